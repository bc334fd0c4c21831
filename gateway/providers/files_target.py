"""The provider that the adapter `files` is tried against: it works what lies in one folder, and writes to another."""

import csv
import io
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from gateway.domain.commands import Word
from gateway.domain.orders import Order

from .conformance import Happening, Target
from .port import Message

_COLUMNS = ("Order No", "SKU", "Qty", "Status", "Reason", "Tracking", "Carrier")

_WORDS = {"accepted": "TAKEN", "rejected": "SHORT", "cancelled": "VOID", "shipped": "SENT", "backordered": "AWAITED"}
_REASONS = {"no_inventory": "OUT", "cannot_fulfill": "BROKEN"}


class FilesProvider(Target):
    """It fetches an order by moving its file, and tells in one file what has happened since the last one."""

    settings = """
folder = "{folder}"
fetched = ["fetched"]
marker = ".done"
idempotent = true
withdraw = true
final_rejections = true
columns = {{ reference = "Order No", product = "SKU", quantity = "Qty", word = "Status", reason = "Reason", \
tracking_number = "Tracking", carrier = "Carrier" }}
words = {{ TAKEN = "accepted", SHORT = "rejected", VOID = "cancelled", SENT = "shipped", AWAITED = "backordered" }}
reasons = {{ OUT = "no_inventory", BROKEN = "cannot_fulfill" }}
"""
    words = frozenset(Word)
    says_several = True

    def __init__(self) -> None:
        self._numbers = count(1)
        super().__init__()

    async def start(self) -> None:
        for name in ("in", "out", "fetched"):
            (Path(self.folder) / name).mkdir()

    @property
    def orders(self) -> list[str]:
        """What has been put there, wherever it lies by now."""
        return [each.stem for name in ("out", "fetched") for each in self._files(name)]

    @orders.setter
    def orders(self, _: object) -> None:
        """Take none: they lie in the folder."""

    @property
    def stopped(self) -> set[str]:
        """What was taken away again."""
        return {each.stem for each in self._files("withdrawn")}

    @stopped.setter
    def stopped(self, _: object) -> None:
        """Take none: they lie in the folder."""

    def _files(self, folder: str) -> list[Path]:
        return sorted((Path(self.folder) / folder).glob("*.csv"))

    def pick(self, order: Order) -> None:
        (Path(self.folder) / "out" / f"{order.reference}.csv").rename(
            Path(self.folder) / "fetched" / f"{order.reference}.csv"
        )

    def happen(self, *what: Happening) -> Sequence[Message]:
        rows = []
        for each in what:
            parcel = (each.parcel.tracking_code, each.parcel.carrier) if each.parcel else ("", "")
            for product, units in each.items.items():
                said = (_WORDS[each.word], _REASONS.get(each.reason or "", ""), *parcel)
                rows.append((each.order.reference, product, "some" if each.is_spoilt else str(units), *said))
        if rows:
            self._say(rows)
        return []

    def unknown_word(self, order: Order) -> Sequence[Message]:
        self._say([(order.reference, "TEE", "1", "PALLETIZED", "", "", "")])
        return []

    def _say(self, rows: Sequence[Sequence[str]]) -> None:
        out = io.StringIO(newline="")
        csv.writer(out).writerows([_COLUMNS, *rows])
        path = Path(self.folder) / "in" / f"SAID_{next(self._numbers)}.csv"
        path.write_text(out.getvalue(), encoding="utf-8", newline="")
        path.with_name(f"{path.name}.done").touch()
