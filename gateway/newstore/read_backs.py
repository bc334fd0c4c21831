"""Where NewStore shows what became of a report: all paths that are known, and what this tenant has taught of them."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.call_errors import MOST_BYTES, as_code
from gateway.domain.commands import Key
from gateway.domain.deliveries import Operation, Parcel, normal
from gateway.telemetry import metrics
from gateway.telemetry.logs import log

from .errors import Unreadable, says_no

_FORGOTTEN_AFTER = 86_400.0  # seconds after which it is looked again whether there is a path by now
_ENOUGH = 3  # requests that were shown nowhere, until nobody looks any more: one may be odd


@dataclass(frozen=True, slots=True)
class ReadBackPath:
    """One resource that may show a kind of report, and the names of its two lists."""

    path: str
    taken: str
    refused: str
    certainty: str


@dataclass(frozen=True, slots=True)
class ReadBacks:
    """The paths of one kind of report, the likeliest first.

    `is_seen`: a 404 there means that nothing is shown yet, however long it goes on.
    """

    setting: str
    is_seen: bool
    paths: tuple[ReadBackPath, ...]


# All that is assumed of the read-backs, in one table. Where a tenant has none, its settings say "off".
READ_BACKS: dict[Operation, ReadBacks] = {
    Operation.SHIP: ReadBacks(
        "shipment", is_seen=True,
        paths=(ReadBackPath("shipment", "successful_shipments", "failed_shipments", "seen in client code"),),
    ),
    Operation.CANCEL: ReadBacks(
        "cancellation", is_seen=False,
        paths=(ReadBackPath("canceled_items", "canceled_items", "failed_items", "method documented, path inferred"),),
    ),
    Operation.REJECT: ReadBacks(
        "rejection", is_seen=False,
        paths=(
            ReadBackPath("rejection", "rejected_items", "failed_items", "path seen in client code, lists assumed"),
            ReadBackPath("reject_items", "rejected_items", "failed_items", "assumed"),
        ),
    ),
}  # fmt: skip


def offered(settings: Mapping[str, str]) -> frozenset[Operation]:
    """Give the reports that are read back, by the settings of `newstore.read_back`."""
    return frozenset(each for each, resource in READ_BACKS.items() if settings[resource.setting] != "off")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a read-back shows: units taken and units refused with the reason, by what NewStore counts them by.

    `refusals` is all that was said of the refused ones, `spelled` the parcels as NewStore writes them. `exists` is
    False where this tenant shows them nowhere.
    """

    taken: Counter[Key] = field(default_factory=Counter)
    refused: dict[Key, tuple[int, str]] = field(default_factory=dict)
    refusals: bytes = b""
    spelled: dict[Key, Parcel] = field(default_factory=dict)
    exists: bool = True

    @property
    def is_empty(self) -> bool:
        return not self.taken and not self.refused


NOWHERE = Shown(exists=False)


def read_shown(operation: Operation, path: ReadBackPath, status: int, body: bytes) -> Shown:
    """Read what a path answered, kindly where it shows nothing. Raises `Unreadable` for what may show something."""
    try:
        told = orjson.loads(body) if body.strip() else None
        taken, refused = _lists(path, told)
        return Shown(
            Counter(_key(entry, operation) for entry in taken),
            _refused(refused, operation),
            orjson.dumps({path.refused: refused})[:MOST_BYTES] if refused else b"",
            {_key(entry, operation): _parcel(entry) for entry in taken} if operation is Operation.SHIP else {},
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the read-back of {operation} has a shape we do not know", status, body) from error


def _lists(path: ReadBackPath, told: Any) -> tuple[list[Any], list[Any]]:
    """Give the two lists, of which either may be null or missing; raises `TypeError` for what is something else."""
    if not told and not isinstance(told, str | int):
        return [], []
    if not isinstance(told, dict):
        raise TypeError("no object")
    taken, refused = (told.get(name) or [] for name in (path.taken, path.refused))
    if not (isinstance(taken, list) and isinstance(refused, list)):
        raise TypeError("no lists")
    if not taken and not refused:
        is_strange = not {path.taken, path.refused} & told.keys() and any(
            value and isinstance(value, list | dict) for value in told.values()
        )
        if is_strange or says_no(told):
            raise TypeError("what it shows is neither of the two lists")
    return taken, refused


def _key(entry: Mapping[str, Any], operation: Operation) -> Key:
    product = entry["product_id"]
    if not isinstance(product, str) or "\0" in product:
        raise TypeError("a product id is text that can be stored")
    if entry.get("quantity") not in {None, 1}:
        raise TypeError("one entry is one unit")
    if operation is Operation.SHIP:
        return (product, _code(entry.get("carrier")), _code(entry.get("tracking_code")))
    return (product, None, None)


def _parcel(entry: Mapping[str, Any]) -> Parcel:
    words = [str(entry.get(name) or "").strip() for name in ("carrier", "tracking_code")]
    if any("\0" in word for word in words):
        raise TypeError("a carrier and a tracking code are texts that can be stored")
    return Parcel(*words)


def _code(told: str | float | None) -> str:
    return normal(told if told is None else str(told))


def _refused(entries: Iterable[Mapping[str, Any]], operation: Operation) -> dict[Key, tuple[int, str]]:
    counted: dict[Key, tuple[int, str]] = {}
    for entry in entries:
        key = _key(entry, operation)
        reason = as_code(entry.get("error_code")) or "failed"
        counted[key] = (counted.get(key, (0, ""))[0] + 1, reason)
    return counted


class Taught:
    """What a tenant has taught of its read-backs. `news` is what the other processes are yet to be told."""

    def __init__(self) -> None:
        self.news: dict[Operation, str | None] = {}
        self._paths: dict[Operation, str] = {}
        self._nowhere_since: dict[Operation, float] = {}
        self._without: dict[Operation, set[str]] = {}
        self._heard: dict[Operation, tuple[str | None, float]] = {}

    def paths(self, operation: Operation) -> tuple[ReadBackPath, ...]:
        """Say where to look: where something was shown before, else at all paths."""
        paths = READ_BACKS[operation].paths
        return tuple(each for each in paths if each.path == self._paths.get(operation)) or paths

    def is_nowhere(self, operation: Operation) -> bool:
        """Tell whether there is no path to look at, as far as was found out within a day."""
        return time.time() < self._nowhere_since.get(operation, 0.0) + _FORGOTTEN_AFTER

    def may_be_nowhere(self, operation: Operation) -> bool:
        """Tell whether 404 at each path may mean that there is none: guesses, and none ever showed a thing."""
        return not READ_BACKS[operation].is_seen and operation not in self._paths

    def found(self, operation: Operation, path: str) -> None:
        """Something was shown at this path: from now on only there."""
        self._without.pop(operation, None)
        if self._paths.get(operation) != path:
            self._set(operation, path)
            self.news[operation] = path
            log("read_back.found", operation=operation, path=path)

    def gone(self, operation: Operation) -> None:
        """The path is no more."""
        self._paths.pop(operation, None)

    def nowhere(self, operation: Operation, request_id: str) -> None:
        """A request was shown at none of the paths; after some, nobody looks for a while."""
        metrics.of(metrics.READ_BACK_MISSING, operation).set(1)
        without = self._without.setdefault(operation, set())
        without.add(request_id)
        if len(without) >= _ENOUGH:
            del self._without[operation]
            self._set(operation, None)
            self.news[operation] = None
            log("read_back.missing", operation=operation)

    def told(self, news: Mapping[Operation, str | None]) -> None:
        """The others know of this, unless it has changed meanwhile."""
        self.news = {each: path for each, path in self.news.items() if each not in news or news[each] != path}

    def learn(self, operation: Operation, path: str | None, at: float) -> None:
        """Hear what another process, or this one before it started again, has found out."""
        if operation not in self.news and self._heard.get(operation) != (path, at):
            self._heard[operation] = (path, at)
            self._set(operation, path, at)

    def _set(self, operation: Operation, path: str | None, at: float | None = None) -> None:
        if path is None:
            self._paths.pop(operation, None)
            self._nowhere_since[operation] = time.time() if at is None else at
        else:
            self._paths[operation] = path
            self._nowhere_since.pop(operation, None)
        metrics.of(metrics.READ_BACK_MISSING, operation).set(path is None)
