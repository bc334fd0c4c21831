"""Where panels lead in the dashboard of people: its pages, with the location and provider that are chosen.

What is chosen there but is none of its own, as "All" or several, it takes as any.
"""

from typing import Final

URL: Final = "http://localhost:8501"
"""Where the dashboard is seen from outside."""

_DC: Final = "dc=${location:percentencode}"
_ANY: Final = f"{_DC}&provider=${{provider:percentencode}}"

NOW: Final = ""
ALL: Final = f"shipments?status=all&{_ANY}"
LAST_HOUR: Final = f"{ALL}&age=of%20the%20last%20hour"
PENDING: Final = f"shipments?status=pending&{_ANY}"
PENDING_LONG: Final = f"{PENDING}&age=older%20than%201%20hour"
REJECTED: Final = f"shipments?status=rejected&{_ANY}"
UNROUTABLE: Final = f"shipments?status=unroutable&{_DC}"
FAILED: Final = f"failures?{_DC}"
UNVERIFIED: Final = f"{FAILED}&cause=NewStore%20never%20showed%20it"
CONFLICTS: Final = f"{FAILED}&cause=somebody%20contradicts%20it"
QUARANTINE: Final = "failures?show=Quarantine"
MAPPINGS: Final = "mappings"
PLACES: Final = "places"
