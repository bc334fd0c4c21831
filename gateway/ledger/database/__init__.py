"""Connections, schema and grants, and whether this is the database that it was."""
