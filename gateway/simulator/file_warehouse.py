"""A warehouse that shares a folder: it fetches order files from `out`, works each order once, and writes to `in`.

It fetches a file by moving it to `fetched`. A file that it writes tells of everything that was done since the last one,
and a name is never used for other rows. With a `marker` an empty file of that ending follows each whole one.
"""

import asyncio
import csv
import io
import random
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.simulator.memory import KEEP, forget_oldest
from gateway.simulator.served import JSON, Served, now
from gateway.simulator.warehouse import Order
from gateway.simulator.warehouse_temperament import TEMPERAMENTS, Step, Temperament, Unit, plan

COLUMNS = ("Order No", "SKU", "Qty", "Status", "Reason", "Tracking No", "Carrier", "Time")
WORDS = {"accepted": "TAKEN", "rejected": "SHORT", "cancelled": "VOID", "shipped": "SENT"}
REASONS = {"no_inventory": "NOT ON SHELF", "cannot_fulfill": "BROKEN"}
Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileFaults:
    """Which shares of its files, from 0 to 1, come wrong."""

    half_written: float = 0.0  # its beginning lies there for a while
    again: float = 0.0  # once more, when it was taken
    shuffled: float = 0.0
    bad_row: float = 0.0  # a row more, which is none


NO_FILE_FAULTS = FileFaults()
SOME_FILE_FAULTS = FileFaults(half_written=0.2, again=0.2, shuffled=0.5, bad_row=0.1)


class FileWarehouse(Served):
    """The warehouse. Over HTTP it only shows its record."""

    def __init__(
        self,
        name: str,
        folder: Path,
        temperament: Temperament | str = "quick",
        faults: FileFaults = NO_FILE_FAULTS,
        *,
        every: float = 0.2,
        marker: str = "",
        seed: int = 0,
        keep: int = KEEP,
    ) -> None:
        super().__init__([])
        self.name = name
        self.folder = folder
        given = TEMPERAMENTS[temperament] if isinstance(temperament, str) else temperament
        self.again = given.says_twice
        self.temperament = replace(given, says_twice=0.0)  # a repetition is a whole file
        self.file_faults = faults
        self.header = COLUMNS
        self.every = every
        self.marker = marker
        self.keep = keep
        self.orders: dict[str, Order] = {}
        self.files: dict[str, list[Row]] = {}
        self.faults: Counter[str] = Counter()
        self._by_reference: dict[str, Order] = {}
        self._unsaid: list[tuple[Order, list[Row]]] = []
        self._untaken: dict[str, list[Order]] = {}
        self._to_repeat: set[str] = set()
        self._seed = f"{seed}:{name}"
        self._random = random.Random(self._seed)  # noqa: S311 - repeatable, not secret

    @property
    def finished(self) -> bool:
        """Nothing left to do or to say."""
        return all(order.finished for order in self.orders.values())

    def order_of(self, request_id: str, reference: str) -> Order | None:
        """Find an order by whichever name this warehouse knows it."""
        return self.orders.get(request_id) or self._by_reference.get(reference)

    def record(self) -> JSON:
        """Orders by id with their units, and the files that were written."""
        return {
            "name": self.name,
            "orders": {order.id: order.record() for order in self.orders.values()},
            "doubled": [order.id for order in self.orders.values() if order.doubled],
            "calls": self.calls,
            "faults": self.faults,
            "files": {name: len(rows) for name, rows in self.files.items()},
        }

    def make_folders(self) -> None:
        """Make what both sides expect to be there."""
        for name in ("in", "out", "fetched"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def _resume(self) -> None:
        self.make_folders()
        for order in self.orders.values():
            if len(order.said) < len(order.steps):
                self._spawn(self._work(order))
        self._spawn(self._live())

    async def _live(self) -> None:
        while True:
            for path in sorted((self.folder / "out").glob("[!.]*.csv")):
                self._fetch(path)
            await self._say()
            await self._note_taken()
            await asyncio.sleep(self.every)

    def _fetch(self, path: Path) -> None:
        """Take a file away before anything is made of it: from then on the order is worked."""
        self.calls["fetch"] += 1
        there = self.folder / "fetched" / path.name
        try:
            path.rename(there)
        except FileNotFoundError:
            return  # it was withdrawn
        with there.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        reference = rows[0]["reference"]
        known = self._by_reference.get(reference)
        order = known or self._write_down(rows)
        order.times_seen += 1
        order.references.append(reference)
        if not known:
            order.times_worked += 1
            self._spawn(self._work(order))
        self._change()

    def _write_down(self, rows: list[dict[str, str]]) -> Order:
        first = rows[0]
        units = [Unit(row["product"]) for row in rows for _ in range(int(row["quantity"]))]
        source = random.Random(f"{self._seed}:{first['request']}")  # noqa: S311 - the same whatever comes before it
        steps = plan(units, first["carrier"] or "UPS", self.temperament, source)
        order = Order(first["request"], first["reference"], {"order_id": first["order"]}, units, steps)
        self.orders[order.id] = self._by_reference[order.reference] = order
        if over := forget_oldest(self.orders, lambda kept: kept.finished, self.keep):
            self._by_reference.pop(over.reference, None)
        return order

    async def _work(self, order: Order) -> None:
        for step in order.steps[len(order.said) :]:
            await asyncio.sleep(self._random.uniform(*self.temperament.pause))
            rows = _rows(order, step)
            for unit in step.units if step.becomes != "accepted" else ():
                unit.status = step.becomes
                unit.parcel = step.shipment["tracking_number"] if step.shipment else None
            order.said.append({"type": step.becomes, "occurred_at": now(), "rows": len(rows)})
            self._unsaid.append((order, rows))
            self._change()

    async def _say(self) -> None:
        """Write what is new as one file, wrongly now and then."""
        told, self._unsaid = self._unsaid, []
        if not told:
            return
        rows = [row for _, some in told for row in some]
        faults = self.file_faults
        if self._drawn("shuffled", faults.shuffled):
            self._random.shuffle(rows)
        if self._drawn("bad_row", faults.bad_row):
            rows.insert(self._random.randrange(len(rows) + 1), ("TOTAL", "", f"{len(rows)} rows", *[""] * 5))
        name = f"{self.name}_{len(self.files) + 1:06}.csv"
        self.files[name] = rows
        self._untaken[name] = [order for order, _ in told]
        self.calls["write"] += 1
        await self._put(name, rows, in_halves=self._drawn("half_written", faults.half_written))
        if self._drawn("again", faults.again or self.again):
            self._to_repeat.add(name)
        self._change()

    async def _put(self, name: str, rows: list[Row], *, in_halves: bool = False) -> None:
        content = _csv(self.header, rows)
        path = self.folder / "in" / name
        if in_halves:
            path.write_bytes(content[: len(content) // 2])
            await asyncio.sleep(self.every)
            path.write_bytes(content)
        else:
            unfinished = path.with_name(f".{name}.part")
            unfinished.write_bytes(content)
            unfinished.rename(path)
        if self.marker:
            path.with_name(f"{name}{self.marker}").touch()

    async def _note_taken(self) -> None:
        """Count what the gateway has taken away as said, and put some of it there once more."""
        for name in [name for name in self._untaken if not (self.folder / "in" / name).exists()]:
            for order in self._untaken.pop(name):
                order.told += 1
            if name in self._to_repeat:
                self._to_repeat.remove(name)
                await self._put(name, self.files[name])
            self._change()

    def _drawn(self, fault: str, share: float) -> bool:
        is_drawn = self._random.random() < share
        self.faults[fault] += is_drawn
        return is_drawn


def _rows(order: Order, step: Step) -> list[Row]:
    counted = Counter(unit.product_id for unit in step.units)
    shipment = step.shipment or {"tracking_number": "", "carrier": ""}
    return [
        (
            order.reference,
            product,
            str(count),
            WORDS[step.becomes],
            REASONS.get(step.reason or "", ""),
            shipment["tracking_number"],
            shipment["carrier"],
            now(),
        )
        for product, count in counted.items()
    ]


def _csv(header: tuple[str, ...], rows: list[Row]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";").writerows([header, *rows])
    return out.getvalue().encode()
