"""Facts and commands as JSON, and request rows as states."""

import typing
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import msgspec
from asyncpg import Record

from gateway.domain.commands import End, ProviderSaid
from gateway.domain.deliveries import Delivery, Operation
from gateway.domain.events import Event, Fact
from gateway.domain.requests import Dead, Request, Withdrawal
from gateway.domain.units import Said, from_text, to_text

_FACTS: dict[str, type] = {fact.__name__: fact for fact in typing.get_args(Fact)}
_KINDS = {
    fact: "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_") for name, fact in _FACTS.items()
}
_BY_KIND = {kind: fact for fact, kind in _KINDS.items()}


def kind(fact: Fact) -> str:
    """Name a fact as the log does: `units_shipped`."""
    return _KINDS[type(fact)]


def encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


def decode_fact(kind: str, text: str) -> Fact:
    fact: Fact = msgspec.json.decode(text, type=_BY_KIND[kind])
    return fact


def decode_event(row: Record) -> Event:
    return Event(row["version"], row["at"], row["cause"], row["fingerprint"], decode_fact(row["kind"], row["fact"]))


def decode_command(text: str) -> ProviderSaid:
    return msgspec.json.decode(text, type=ProviderSaid)


def month_of(request: Request) -> date:
    """Name the partition of a request's story: the month of its receipt, UTC."""
    return request.received_at.date().replace(day=1)


def changing(request: Request) -> tuple[Any, ...]:
    """Give the columns that change, in the order of `commit.CHANGING`."""
    return (
        request.version,
        request.provider,
        request.assignment,
        to_text(request.units),
        request.changed_at,
        request.submitted_at,
        request.accepted_at,
        request.shipped_at,
        request.settled_at,
        request.is_pending,
        request.failure,
        request.is_rejected,
        request.has_settled(Said.SHIPPED),
        request.has_settled(Said.CANCELLED),
        request.surplus,
        request.conflicts,
        request.quarantined,
        " ".join(f"{dead.operation}@{dead.seq}:{dead.end}" for dead in request.dead),
        request.closed,
        request.taken_by,
        encode(request.withdrawal) if request.withdrawal else None,
        request.withdrawn,
    )


def decode_request(row: Record, owed: Iterable[Delivery] = (), causes: Mapping[str, str] | None = None) -> Request:
    """Make the state of a row, with the deliveries it owes and those of its causes that were asked for."""
    return Request(
        id=row["id"],
        version=row["version"],
        location=row["location"],
        order_id=row["order_id"],
        service_level=row["service_level"],
        reference=row["reference"],
        provider=row["provider"],
        assignment=row["assignment"],
        fingerprint=row["fingerprint"],
        received_at=row["received_at"],
        changed_at=row["changed_at"],
        units=from_text(msgspec.json.decode(row["products"]), row["units"]),
        submitted_at=row["submitted_at"],
        accepted_at=row["accepted_at"],
        shipped_at=row["shipped_at"],
        settled_at=row["settled_at"],
        surplus=row["surplus"],
        conflicts=row["conflicts"],
        quarantined=row["quarantined"],
        owed=tuple(owed),
        dead=tuple(_dead(word) for word in row["dead"].split()),
        closed=row["closed"],
        taken_by=row["taken_by"],
        withdrawal=msgspec.json.decode(row["withdrawal"], type=Withdrawal) if row["withdrawal"] else None,
        withdrawn=row["withdrawn"],
        causes=causes or {},
    )


def decode_delivery(row: Record) -> Delivery:
    return Delivery(
        row["destination"],
        Operation(row["operation"]),
        row["seq"],
        in_doubt=row["doubt"],
        in_flight=row["owner"] is not None,
    )


def _dead(word: str) -> Dead:
    operation, _, rest = word.partition("@")
    seq, _, end = rest.partition(":")
    return Dead(Operation(operation), int(seq), End(end))
