"""Facts and commands as JSON, and request rows as states."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from operator import attrgetter
from typing import Any, Final

import msgspec
from asyncpg import Record

from gateway.domain.commands import Deadline, End, ProviderSaid, Words
from gateway.domain.deliveries import Delivery, Operation, Parcel
from gateway.domain.events import FACTS
from gateway.domain.events.event import Event, Fact
from gateway.domain.events.people import Declined
from gateway.domain.requests import Dead, Missed, Refusal, Request, Withdrawal
from gateway.domain.units import Said, from_text, to_text

from .columns import CHANGING, ONCE, READ


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


_ANSWERED: Final = ":answered"
_WRITTEN_AS: Final[Mapping[str, Callable[[Request], object]]] = {
    "month": month_of,
    "products": lambda request: [unit.product for unit in request.units],
    "units": lambda request: to_text(request.units),
    "pending": lambda request: request.is_pending,
    "rejected": lambda request: request.is_rejected,
    "shipped": lambda request: request.has_settled(Said.SHIPPED),
    "cancelled": lambda request: request.has_settled(Said.CANCELLED),
    "dead": lambda request: " ".join(f"{dead.operation}@{dead.seq}:{dead.end}" for dead in request.dead),
    "missed": lambda request: " ".join(f"{each.deadline}{_ANSWERED * each.answered}" for each in request.missed),
}
_READ_AS: Final[Mapping[str, Callable[[Any], object]]] = {
    "dead": lambda text: tuple(_dead(word) for word in text.split()),
    "withdrawal": lambda text: msgspec.json.decode(text, type=Withdrawal) if text else None,
    "refused": lambda text: msgspec.json.decode(text, type=tuple[Refusal, ...]),
    "former": tuple,
    "untold": tuple,
    "backordered": tuple,
    "missed": lambda text: tuple(_missed(word) for word in text.split()),
}
"""The columns that the request has otherwise; of all others it has the value under the same name."""


def _row(columns: Iterable[str]) -> Callable[[Request], dict[str, Any]]:
    plain = [name for name in columns if name not in _WRITTEN_AS]
    others = [(name, _WRITTEN_AS[name]) for name in columns if name in _WRITTEN_AS]
    values = attrgetter(*plain)

    def row(request: Request) -> dict[str, Any]:
        found = dict(zip(plain, values(request), strict=True))
        for name, value in others:
            found[name] = value(request)
        return found

    return row


written_once: Final = _row([name for name in ONCE if name != "trace"])
"""Gives the columns that never change; the trace is not the request's."""
changing: Final = _row(CHANGING)
"""Gives the columns that change."""
_STATE: Final = [name for name in READ if name not in {"month", "products", "units", "trace"}]


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
    state = {name: row[name] for name in _STATE}
    for name, value in _READ_AS.items():
        state[name] = value(row[name])
    units = from_text(msgspec.json.decode(row["products"]), row["units"])
    return Request(**state, units=units, owed=tuple(owed), causes=causes or {}, parcels=parcels or {})


def decode_words(text: str | None) -> Words:
    return msgspec.json.decode(text, type=Words) if text else ()


def decode_delivery(row: Record) -> Delivery:
    return Delivery(
        row["destination"],
        Operation(row["operation"]),
        row["seq"],
        in_doubt=row["doubt"],
        in_flight=row["owner"] is not None,
        hold=row.get("hold") or 0,
        not_before=row.get("not_before"),
        unmapped=decode_words(row.get("unmapped")),
    )


def _missed(word: str) -> Missed:
    return Missed(Deadline(word.removesuffix(_ANSWERED)), word.endswith(_ANSWERED))


def _dead(word: str) -> Dead:
    operation, _, rest = word.partition("@")
    seq, _, end = rest.partition(":")
    return Dead(Operation(operation), int(seq), End(end))
