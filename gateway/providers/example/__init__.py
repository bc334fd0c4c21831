"""A small plug-in with its simulator and test; `gateway providers new` writes one like it."""
