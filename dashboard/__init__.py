"""The operations dashboard: what is open, what failed and why, and what to do about it.

It speaks only to the operations API of a gateway, so that rights, limits and the audit are in one place.
"""
