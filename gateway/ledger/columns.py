"""The columns of `requests` with their types, each declared once; `make sql` writes the lists that the SQL repeats.

A new column needs a migration, a line here, and an attribute of the same name in `Request`; or a line in `codec` where
its value looks otherwise.
"""

from collections.abc import Mapping
from typing import Final

ONCE: Final[Mapping[str, str]] = {
    "id": "text",
    "month": "date",
    "location": "text",
    "order_id": "text",
    "service_level": "text",
    "reference": "text",
    "fingerprint": "text",
    "products": "jsonb",
    "received_at": "timestamptz",
    "trace": "text",
}
"""Written when the request comes, and never again."""

CHANGING: Final[Mapping[str, str]] = {
    "version": "int",
    "provider": "text",
    "assignment": "smallint",
    "units": "text",
    "changed_at": "timestamptz",
    "submitted_at": "timestamptz",
    "accepted_at": "timestamptz",
    "shipped_at": "timestamptz",
    "settled_at": "timestamptz",
    "pending": "bool",
    "failure": "text",
    "rejected": "bool",
    "shipped": "bool",
    "cancelled": "bool",
    "surplus": "bool",
    "conflicts": "int",
    "quarantined": "int",
    "dead": "text",
    "closed": "bool",
    "taken_by": "text",
    "withdrawal": "jsonb",
    "withdrawn": "bool",
    "refused": "jsonb",
    "former": "text[]",
    "untold": "int[]",
    "missed": "text",
    "backordered": "int[]",
    "backordered_at": "timestamptz",
}
"""Written whole with each change."""

BESIDE: Final[Mapping[str, str]] = {"restored": "bool", "compared": "bigint"}
"""Written by statements of their own, about the restore of a backup."""

_ASKED_ALONE: Final = frozenset({"pending", "failure", "rejected", "shipped", "cancelled", "compared"})
"""What lists and counts ask for. It follows from the rest, so nobody reads it back."""

READ: Final = tuple(name for name in (*ONCE, *CHANGING, *BESIDE) if name not in _ASKED_ALONE)
"""What makes a `Request` again, and tells where its story lies."""
