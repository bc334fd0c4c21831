"""One batch as one statement: events, states, deliveries and bodies are stored together or, request by request, not.

A request is written only if its version is the one that was read, nobody else holds its row, every claim that the
batch settles for it is still ours, and every call that it calls off (a claim check without an owner) is not on its way.
What was not written is not in the answer; the writer reads it again. So it does with the outcome of a call that changes
no request, while somebody else holds the row of the call: that one is in the answer, as busy.

The rows go as JSON documents, one for each kind: Postgres reads thousands of values faster from one text than the
driver writes them one by one. One document for all would be read twice, and took Postgres a seventh longer. Bodies
are bytes and go as arrays.
"""

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from asyncpg import Connection

from gateway.ledger.database.seen import Position

STATEMENT: Final = Path(__file__).with_name("commit.sql").read_text(encoding="utf-8")

Row = dict[str, Any]
DeliveryKey = tuple[str, str, int]
"""Which call: its request, operation and number."""


@dataclass(slots=True)
class Batch:
    """The rows of one statement."""

    incoming: list[Row] = field(default_factory=list)
    updates: list[Row] = field(default_factory=list)
    claim_checks: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    payloads: list[Row] = field(default_factory=list)
    payload_bodies: list[bytes] = field(default_factory=list)
    keys: list[Row] = field(default_factory=list)
    recent_outcomes: list[Row] = field(default_factory=list)
    deliveries: list[Row] = field(default_factory=list)
    settled: list[Row] = field(default_factory=list)
    ready: list[Row] = field(default_factory=list)
    dead: list[Row] = field(default_factory=list)
    no_longer_dead: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    quarantine: list[Row] = field(default_factory=list)
    quarantine_bodies: list[bytes] = field(default_factory=list)
    left_quarantine: list[Row] = field(default_factory=list)
    audit: list[Row] = field(default_factory=list)

    def add_payload(
        self, month: date, request_id: str, hashed: str, at: datetime, body: bytes, *, guards: bool
    ) -> None:
        """Add a body; `guards`: it is stored only together with its request's state."""
        self.payloads.append({"month": month, "request_id": request_id, "hash": hashed, "at": at, "guards": guards})
        self.payload_bodies.append(body)

    async def commit(self, connection: Connection, position: Position) -> tuple[set[str], set[DeliveryKey]]:
        """Write the batch and return the ids of the requests that were written, and the calls that were busy."""
        documents = [orjson.dumps(getattr(self, name)).decode() for name in DOCUMENTS]
        number = position.number + 1
        rows = await connection.fetch(
            STATEMENT, documents, self.payload_bodies, self.quarantine_bodies, position.name, number
        )
        position.number = number
        written = {row["id"] for row in rows if row["operation"] is None}
        return written, {(row["id"], row["operation"], row["seq"]) for row in rows if row["operation"]}


DOCUMENTS: Final = tuple(each.name for each in fields(Batch) if not each.name.endswith("_bodies"))
"""The lists of a batch that go as documents, in their order; `make sql` writes their numbers into the statement."""
