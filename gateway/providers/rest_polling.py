"""Where a poll of pages is, and what follows from a page: kept as the cursor, which the ledger keeps as it is given.

A round of pages begins at the newest time that the first page of the last round showed, less an overlap. Whatever
moved from page to page meanwhile was changed after that, so no order is missed, in whatever order they come. All times
are the provider's own, but for the very first.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from gateway import canonical

from .rest_expressions import Odd
from .rest_mapping import Poll
from .rest_reading import moment_of, orders_in


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next page is."""

    since: datetime
    page: int = 1
    offset: int = 0
    """How many orders the pages before it had."""
    cursor: str = ""
    newest: datetime | None = None
    """What the first page of this round showed."""
    seen: str = ""
    """The hash of the page before, in the same round."""

    @classmethod
    def of(cls, cursor: str, poll: Poll, now: datetime) -> "Place":
        """Read a cursor; an empty one, or one that another mapping has left, begins anew."""
        try:
            return msgspec.json.decode(cursor, type=Place)
        except msgspec.DecodeError:
            return cls(now - timedelta(seconds=poll.reach_back), poll.first_page)

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()

    def asked(self, poll: Poll) -> dict[str, Any]:
        """Give what stands in the placeholders."""
        since = self.since.astimezone(UTC)
        as_number = {"seconds": 1, "milliseconds": 1000}.get(poll.since_as)
        iso = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "since": int(since.timestamp() * as_number) if as_number else iso,
            "page": self.page,
            "offset": self.offset,
            "cursor": self.cursor,
        }

    def after(self, poll: Poll, page: Any) -> tuple["Place", bool]:
        """Find where it goes on, and whether at once. Raises `Odd` for what is no page, or the one before again."""
        orders = orders_in(poll.orders, page)
        seen = sha256(canonical.spell(orders)).hexdigest()[:24] if orders else ""
        if seen and seen == self.seen:
            raise Odd("the page is the same as the one before it: see to poll.more, and to how pages are asked for")
        newest = self.newest or _newest(poll, page) if orders else self.newest
        following = poll.next.of(page) if poll.next else None
        cursor = str(following) if isinstance(following, str | int) and not isinstance(following, bool) else ""
        if orders and _has_more(poll, page, cursor):
            if poll.next and not cursor:
                raise Odd(f"{poll.next} finds nothing, and another page is said to follow")
            number = self.page + 1 if poll.needs("page") else self.page
            offset = self.offset + len(orders) if poll.needs("offset") else 0
            return replace(self, page=number, offset=offset, cursor=cursor, newest=newest, seen=seen), True
        since = newest - timedelta(seconds=poll.overlap) if newest else self.since
        # beside a time a cursor leads through the pages of one round; alone it leads on for ever
        kept = "" if poll.needs("since") else cursor or self.cursor
        return Place(since, poll.first_page, cursor=kept), False


def _has_more(poll: Poll, page: Any, cursor: str) -> bool:
    """Tell whether another page follows. Raises `Odd` where the page does not say that."""
    if poll.more is not None:
        more = poll.more.of(page)
        if not isinstance(more, bool):
            raise Odd(f"{poll.more} is neither true nor false")
        return more
    return bool(cursor) if poll.next else poll.needs("page") or poll.needs("offset")


def _newest(poll: Poll, page: Any) -> datetime | None:
    """Find the newest time in a page. Raises `Odd` where it should have some, and has none."""
    if poll.updated is None:
        return None
    said = poll.updated.of(page)
    times = [moment_of(each, poll.time_zone) for each in said] if isinstance(said, list) else []
    known = [each for each in times if each is not None]
    if not known:
        raise Odd(f"{poll.updated} finds no times: they say where the next poll begins")
    return max(known)
