"""Find the requests that messages are about, by whatever name they give them."""

import re
from collections.abc import Sequence
from typing import Protocol

from asyncpg import Pool

_NAMED = """
WITH asked AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[])
        AS a(place, request_id, reference, provider_order, order_id)
)
SELECT a.place, r.id, false AS by_order FROM asked a JOIN requests r ON r.id = a.request_id
UNION SELECT a.place, r.id, false FROM asked a JOIN requests r ON r.reference = a.reference
UNION SELECT a.place, r.id, false
FROM asked a JOIN request_keys k ON k.value = a.provider_order AND k.kind = 'provider_order'
JOIN requests r ON r.id = k.request_id AND (r.provider = $6 OR $6 = ANY(r.former))
UNION SELECT a.place, r.id, true
FROM asked a JOIN requests r ON r.order_id = a.order_id AND r.provider = $6 AND r.pending
ORDER BY 1, 2
"""
_OURS = re.compile(r"(NS[0-9A-Z]{14})(?:-\d{1,4})?")


class Names(Protocol):
    """What a message calls its request; empty texts are not given."""

    @property
    def request(self) -> str: ...

    @property
    def reference(self) -> str: ...

    @property
    def provider_order(self) -> str: ...

    @property
    def order(self) -> str: ...


async def named(pool: Pool, provider: str, asked: Sequence[Names]) -> list[list[str]]:
    """Find the ids of the requests that each may mean.

    An id of the request's own decides; its order decides where there is none, among what is open at this provider.
    NewStore's id needs no look where all give that alone: whether it is here is left to whoever takes it.
    """
    if not any(each.reference or each.provider_order or each.order for each in asked):
        return [[each.request] if each.request else [] for each in asked]
    places = list(range(len(asked)))
    rows = await pool.fetch(
        _NAMED, places, [each.request or None for each in asked], [_reference(each.reference) for each in asked],
        [each.provider_order or None for each in asked], [each.order or None for each in asked], provider,
    )  # fmt: skip
    found: list[list[str]] = []
    for place in places:
        own = [row["id"] for row in rows if row["place"] == place and not row["by_order"]]
        found.append(own or [row["id"] for row in rows if row["place"] == place])
    return found


def _reference(said: str) -> str | None:
    """Read our reference, of whichever assignment and in whatever letters; None for what is none of ours."""
    ours = _OURS.fullmatch(said.strip().upper())
    return ours[1] if ours else None
