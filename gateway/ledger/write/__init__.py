"""The one writer of a process: commands are queued, decided in order, and committed as one statement."""
