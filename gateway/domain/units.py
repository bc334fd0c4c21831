"""One unit of a fulfillment request, and the two facts it holds: what was said, and what NewStore confirmed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Said(StrEnum):
    """What the provider told us of a unit; final once it is not open, but for a person's discard."""

    OPEN = "open"
    SHIPPED = "shipped"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Confirmed(StrEnum):
    """What NewStore's read-back shows of it."""

    NOT_SENT = "not_sent"
    SENT = "sent"
    PROVED = "proved"
    REFUSED = "refused"
    UNVERIFIED = "unverified"  # sent, and not shown within the time-box
    UNVERIFIABLE = "unverifiable"  # sent, and this tenant offers no read-back of the operation


# The two state machines: state -> states allowed next. `gateway/README.md` draws them; a test compares.
SAID_NEXT: dict[Said, frozenset[Said]] = {
    Said.OPEN: frozenset({Said.SHIPPED, Said.REJECTED, Said.CANCELLED}),
    Said.SHIPPED: frozenset(),
    Said.REJECTED: frozenset({Said.OPEN}),  # only by a person, and only while NewStore was not told
    Said.CANCELLED: frozenset({Said.OPEN}),
}
CONFIRMED_NEXT: dict[Confirmed, frozenset[Confirmed]] = {
    Confirmed.NOT_SENT: frozenset({Confirmed.SENT, Confirmed.UNVERIFIABLE, Confirmed.REFUSED}),
    Confirmed.SENT: frozenset({Confirmed.PROVED, Confirmed.REFUSED, Confirmed.UNVERIFIED, Confirmed.UNVERIFIABLE}),
    Confirmed.UNVERIFIED: frozenset({Confirmed.PROVED, Confirmed.REFUSED, Confirmed.UNVERIFIABLE, Confirmed.NOT_SENT}),
    Confirmed.PROVED: frozenset(),
    Confirmed.REFUSED: frozenset({Confirmed.NOT_SENT, Confirmed.PROVED}),
    Confirmed.UNVERIFIABLE: frozenset(),
}
SETTLED = frozenset({Confirmed.PROVED, Confirmed.UNVERIFIABLE})


@dataclass(frozen=True, slots=True)
class Unit:
    """One entry of NewStore's `items[]`: one piece of one product."""

    product: str
    said: Said = Said.OPEN
    confirmed: Confirmed = Confirmed.NOT_SENT
    accepted: int = 0  # version of the event that accepted it; 0 until then
    reported_by: int = 0  # version of the event whose report to NewStore carries it; 0 until one does
    refusals: int = 0  # how often a read-back showed it refused: NewStore's list keeps each of them

    @property
    def is_settled(self) -> bool:
        return self.said is not Said.OPEN and self.confirmed in SETTLED


def say(unit: Unit, said: Said, reported_by: int) -> Unit:
    """Move a unit to what the provider said of it. Raises `ValueError` for a move that is not legal."""
    if said not in SAID_NEXT[unit.said]:
        raise ValueError(f"a unit that is {unit.said} cannot become {said}")
    return replace(unit, said=said, reported_by=reported_by)


def confirm(unit: Unit, confirmed: Confirmed) -> Unit:
    """Move a unit to what NewStore confirmed of it. Raises `ValueError` for a move that is not legal."""
    if confirmed not in CONFIRMED_NEXT[unit.confirmed]:
        raise ValueError(f"a unit that is {unit.confirmed} cannot become {confirmed}")
    return replace(unit, confirmed=confirmed)


_SAID = {Said.OPEN: "o", Said.SHIPPED: "s", Said.REJECTED: "r", Said.CANCELLED: "c"}
_CONFIRMED = {
    Confirmed.NOT_SENT: "-",
    Confirmed.SENT: "s",
    Confirmed.PROVED: "p",
    Confirmed.REFUSED: "f",
    Confirmed.UNVERIFIED: "u",
    Confirmed.UNVERIFIABLE: "n",
}
_SAID_BACK = {code: said for said, code in _SAID.items()}
_CONFIRMED_BACK = {code: confirmed for confirmed, code in _CONFIRMED.items()}


def to_text(units: Iterable[Unit]) -> str:
    """Write what changes of each unit as a few characters: said, confirmed, `accepted`.`reported_by`[.`refusals`]."""
    return " ".join(map(_word, units))


def _word(unit: Unit) -> str:
    refusals = f".{unit.refusals}" if unit.refusals else ""
    return f"{_SAID[unit.said]}{_CONFIRMED[unit.confirmed]}{unit.accepted}.{unit.reported_by}{refusals}"


def from_text(products: Iterable[str], text: str) -> tuple[Unit, ...]:
    """Read back what `to_text` wrote, beside the product ids that never change."""
    return tuple(_unit(product, word) for product, word in zip(products, text.split(), strict=True))


def _unit(product: str, word: str) -> Unit:
    return Unit(product, _SAID_BACK[word[0]], _CONFIRMED_BACK[word[1]], *map(int, word[2:].split(".")))
