"""Make the calls that requests owe: claim, send, settle."""
