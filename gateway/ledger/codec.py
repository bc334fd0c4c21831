"""Facts and commands as JSON, and request rows as states."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
from asyncpg import Record

from gateway.domain.commands import End, ProviderSaid
from gateway.domain.deliveries import Delivery, Operation, Parcel
from gateway.domain.events import FACTS
from gateway.domain.events.event import Event, Fact
from gateway.domain.events.people import Declined
from gateway.domain.requests import Dead, Refusal, Request, Withdrawal
from gateway.domain.units import Said, from_text, to_text


def encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


def decode_fact(kind: str, text: str) -> Fact:
    fact: Fact = msgspec.json.decode(text, type=FACTS[kind])
    return fact


def decode_event(row: Record) -> Event:
    return Event(row["version"], row["at"], row["cause"], row["fingerprint"], decode_fact(row["kind"], row["fact"]))


def decode_command(text: str) -> ProviderSaid:
    return msgspec.json.decode(text, type=ProviderSaid)


def month_of(request: Request) -> date:
    """Name the partition of a request's story: the month of its receipt, UTC."""
    return request.received_at.date().replace(day=1)


def outcome(events: Sequence[Event]) -> str:
    """Say in a few words what followed from an act: why it was declined, or its facts."""
    declined = [event.fact.why for event in events if isinstance(event.fact, Declined)]
    return f"declined: {declined[0]}" if declined else ", ".join(event.fact.kind for event in events)


def written_once(request: Request, month: date) -> dict[str, Any]:
    """Give the columns that never change."""
    return {
        "id": request.id,
        "month": month,
        "location": request.location,
        "order_id": request.order_id,
        "service_level": request.service_level,
        "reference": request.reference,
        "fingerprint": request.fingerprint,
        "products": [unit.product for unit in request.units],
        "received_at": request.received_at,
    }


def changing(request: Request) -> dict[str, Any]:
    """Give the columns that change."""
    return {
        "version": request.version,
        "provider": request.provider,
        "assignment": request.assignment,
        "units": to_text(request.units),
        "changed_at": request.changed_at,
        "submitted_at": request.submitted_at,
        "accepted_at": request.accepted_at,
        "shipped_at": request.shipped_at,
        "settled_at": request.settled_at,
        "pending": request.is_pending,
        "failure": request.failure,
        "rejected": request.is_rejected,
        "shipped": request.has_settled(Said.SHIPPED),
        "cancelled": request.has_settled(Said.CANCELLED),
        "surplus": request.surplus,
        "conflicts": request.conflicts,
        "quarantined": request.quarantined,
        "dead": " ".join(f"{dead.operation}@{dead.seq}:{dead.end}" for dead in request.dead),
        "closed": request.closed,
        "taken_by": request.taken_by,
        "withdrawal": request.withdrawal,
        "withdrawn": request.withdrawn,
        "refused": request.refused,
        "former": request.former,
        "untold": request.untold,
    }


def encode_event(request_id: str, month: date, event: Event) -> dict[str, Any]:
    """Give the row of an event."""
    return {
        "month": month,
        "request_id": request_id,
        "version": event.version,
        "kind": event.fact.kind,
        "at": event.at,
        "cause": event.cause,
        "fingerprint": event.fingerprint,
        "fact": event.fact,
    }


def decode_request(
    row: Record,
    owed: Iterable[Delivery] = (),
    causes: Mapping[str, str] | None = None,
    parcels: Mapping[int, Parcel] | None = None,
) -> Request:
    """Make the state of a row, with the deliveries it owes, and of its causes and parcels those that were asked for."""
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
        refused=msgspec.json.decode(row["refused"], type=tuple[Refusal, ...]),
        former=tuple(row["former"]),
        restored=row["restored"],
        untold=tuple(row["untold"]),
        causes=causes or {},
        parcels=parcels or {},
    )


def decode_delivery(row: Record) -> Delivery:
    return Delivery(
        row["destination"],
        Operation(row["operation"]),
        row["seq"],
        in_doubt=row["doubt"],
        in_flight=row["owner"] is not None,
        hold=row.get("hold") or 0,
        not_before=row.get("not_before"),
    )


def _dead(word: str) -> Dead:
    operation, _, rest = word.partition("@")
    seq, _, end = rest.partition(":")
    return Dead(Operation(operation), int(seq), End(end))
