"""How bytes get to a provider and back: over HTTP, or through a folder."""
