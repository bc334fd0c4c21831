import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.call_errors import Inconclusive, NotSent, Refused
from gateway.domain.orders import Address, Details, Order
from gateway.providers.files import LARGEST, Files
from gateway.providers.port import Malformed, Message, Page, Statement
from tests.providers.files import SHIPMENTS, settings

SHIPPED = b"Order No;SKU;Qty;Tracking;Carrier\nNS0123456789ABCD;A;1;1Z1;UPS\n"
ORDER = Order(
    request_id="r-1",
    reference="NS0123456789ABCD",
    location="DC03",
    order_id="SO-1",
    service_level="EXPRESS",
    products=("A", "B", "A"),
    read_details=lambda _: Details(
        ship_to=Address(first_name="Ana", last_name="Ruiz", lines=("12 Elm St", "Apt 4"), city="Łódź", country="PL"),
        carrier="UPS",
        attributes=(("gift", "yes"),),
        unit_attributes=((), (("engraving", 'A "R"'),), ()),
    ),
)


class Shared:
    """The folder of a provider, as the provider sees it, and the adapter on our side."""

    def __init__(self, root: Path, **said: Any) -> None:
        self.root = root
        for name in ("in", "out", *said.get("fetched", ())):
            (root / name).mkdir(exist_ok=True)
        self.files = Files(settings(root, **(said or {})), None)  # type: ignore[arg-type]
        self.files.pause = self._between_looks
        self.meanwhile: Callable[[], object] = lambda: None

    def names(self, folder: str) -> list[str]:
        at = self.root / folder
        return sorted(each.name for each in at.iterdir()) if at.exists() else []

    def put(self, name: str, body: bytes, folder: str = "in") -> Path:
        path = self.root / folder / name
        path.write_bytes(body)
        return path

    async def _between_looks(self, seconds: float) -> None:
        assert seconds == 2.0
        self.meanwhile()

    async def came(self) -> Page:
        return await self.files.poll("")

    async def create(self) -> None:
        await self.files.create(ORDER, self.files.compose(ORDER))


Share = Callable[..., Shared]


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return lambda **said: Shared(tmp_path, **said)


# Orders out


async def test_an_order_is_one_file_named_by_our_reference_with_a_row_for_each_product(share: Share) -> None:
    shared = share(orders={"columns": {"Ref": "reference", "Item": "product", "Qty": "quantity", "To": "ship_to.name"}})
    await shared.create()
    assert shared.names("out") == ["NS0123456789ABCD.csv"]
    assert (shared.root / "out" / "NS0123456789ABCD.csv").read_bytes() == (
        b"Ref,Item,Qty,To\r\nNS0123456789ABCD,A,2,Ana Ruiz\r\nNS0123456789ABCD,B,1,Ana Ruiz\r\n"
    )


async def test_an_order_has_all_that_the_settings_can_name(share: Share) -> None:
    named = {
        "a": "request", "b": "reference", "c": "order", "d": "location", "e": "service_level", "f": "carrier",
        "g": "line", "h": "product", "i": "quantity", "j": "attributes", "k": "attribute:engraving",
        "l": "attribute:gift",
        "m": "text:DTC", "n": "ship_to.line_1", "o": "ship_to.line_2", "p": "bill_to.email", "q": "ship_to.city",
        "r": "ship_to.country", "s": "bill_to.name", "t": "attribute:none",
    }  # fmt: skip
    shared = share(orders={"format": "ndjson", "columns": named})
    first, second = map(json.loads, shared.files.compose(ORDER).decode().splitlines())
    alike = {
        "a": "r-1", "b": "NS0123456789ABCD", "c": "SO-1", "d": "DC03", "e": "EXPRESS", "f": "UPS", "l": "yes",
        "m": "DTC", "n": "12 Elm St", "o": "Apt 4", "p": "", "q": "Łódź", "r": "PL", "s": "", "t": "",
    }  # fmt: skip
    assert first == alike | {"g": "1", "h": "A", "i": "2", "j": "", "k": ""}
    assert second == alike | {"g": "2", "h": "B", "i": "1", "j": 'engraving=A "R"', "k": 'A "R"'}
    await shared.create()
    assert shared.names("out") == ["NS0123456789ABCD.ndjson"]


def test_an_order_is_composed_the_same_each_time_in_the_providers_encoding(share: Share) -> None:
    shared = share(orders={"encoding": "cp1250", "delimiter": ";", "columns": {"City": "ship_to.city"}})
    assert shared.files.compose(ORDER) == shared.files.compose(ORDER) == "City\r\nŁódź\r\nŁódź\r\n".encode("cp1250")


def test_an_order_that_the_encoding_cannot_write_is_refused_with_what_to_do(share: Share) -> None:
    with pytest.raises(Refused, match=r"'Ł', which latin-1 has not: set orders\.encoding to utf-8"):
        share(orders={"encoding": "latin-1"}).files.compose(ORDER)


async def test_an_order_that_is_there_is_not_written_again(share: Share) -> None:
    shared = share()
    await shared.create()
    before = (shared.root / "out" / "NS0123456789ABCD.csv").stat()
    await shared.create()
    assert (shared.root / "out" / "NS0123456789ABCD.csv").stat() == before


async def test_an_order_that_was_fetched_is_not_written_again(share: Share) -> None:
    shared = share(fetched=["fetched"])
    await shared.create()
    (shared.root / "out" / "NS0123456789ABCD.csv").rename(shared.root / "fetched" / "NS0123456789ABCD.csv")
    await shared.create()
    assert shared.names("out") == []


async def test_an_order_is_looked_up_where_it_was_put_and_where_the_provider_moves_it(share: Share) -> None:
    shared = share(fetched=["fetched"])
    assert await shared.files.look_up(ORDER) is None
    path = shared.put("NS0123456789ABCD.csv", b"", "out")
    assert await shared.files.look_up(ORDER) is not None
    path.rename(shared.root / "fetched" / path.name)
    assert await shared.files.look_up(ORDER) is not None


async def test_an_order_that_is_gone_may_be_the_providers_where_it_deletes_what_it_fetches(share: Share) -> None:
    with pytest.raises(
        Inconclusive, match=r"NS0123456789ABCD\.csv is not in out: the provider has fetched it, or never"
    ):
        await share().files.look_up(ORDER)


async def test_an_order_that_was_not_fetched_is_withdrawn_for_good_and_as_often_as_asked(share: Share) -> None:
    shared = share(withdraw=True)
    await shared.create()
    proof = await shared.files.withdraw(ORDER)
    assert proof == "out/NS0123456789ABCD.csv was taken away before it was fetched"
    assert await shared.files.withdraw(ORDER) == proof
    assert (shared.names("out"), shared.names("withdrawn")) == ([], ["NS0123456789ABCD.csv"])
    with pytest.raises(Refused, match="was withdrawn"):
        await shared.create()


async def test_an_order_that_was_fetched_is_not_withdrawn(share: Share) -> None:
    shared = share(withdraw=True, fetched=["fetched"])
    shared.put("NS0123456789ABCD.csv", b"", "fetched")
    with pytest.raises(Refused, match="was fetched: have the provider stop"):
        await shared.files.withdraw(ORDER)


async def test_an_order_that_is_nowhere_never_was_there_only_where_the_provider_keeps_what_it_fetches(
    share: Share,
) -> None:
    assert await share(withdraw=True, fetched=["fetched"]).files.withdraw(ORDER) is None
    with pytest.raises(Refused, match="is not in out"):
        await share(withdraw=True).files.withdraw(ORDER)


async def test_a_provider_that_works_files_where_they_lie_is_asked_for_no_withdrawal(share: Share) -> None:
    shared = share()
    await shared.create()
    assert not shared.files.can.withdraw
    with pytest.raises(Refused):
        await shared.files.withdraw(ORDER)
    assert shared.names("out") == ["NS0123456789ABCD.csv"]


# Messages in


async def test_a_file_is_read_once_it_stands_still_and_archived_once_it_is_kept(share: Share) -> None:
    shared = share()
    shared.put("SHIP_1.csv", SHIPPED[:30])
    shared.meanwhile = lambda: shared.put("SHIP_1.csv", SHIPPED)
    assert (await shared.files.poll("")).messages == []
    shared.meanwhile = lambda: None

    page = await shared.files.poll("")

    assert [(each.name, each.body) for each in page.messages] == [("SHIP_1.csv", SHIPPED)]
    assert shared.names("in") == ["SHIP_1.csv"]
    await shared.files.acknowledge(page)
    assert (shared.names("in"), shared.names("archive")) == ([], ["SHIP_1.csv"])
    assert (await shared.files.poll("")).messages == []


async def test_an_empty_folder_is_looked_at_once(share: Share) -> None:
    shared = share()
    shared.meanwhile = lambda: pytest.fail("nothing is there that could stand still")
    shared.put(".SHIP_1.csv", SHIPPED)
    assert await shared.files.poll("before") == Page([], "before", receipt=[])


async def test_a_file_with_a_marker_is_read_when_that_is_there_and_both_are_archived(share: Share) -> None:
    shared = share(marker=".done")
    shared.put("SHIP_1.csv", SHIPPED)
    assert (await shared.came()).messages == []
    shared.put("SHIP_1.csv.done", b"")
    page = await shared.files.poll("")
    assert [each.name for each in page.messages] == ["SHIP_1.csv"]
    await shared.files.acknowledge(page)
    assert (shared.names("in"), shared.names("archive")) == ([], ["SHIP_1.csv", "SHIP_1.csv.done"])


async def test_a_marker_is_put_aside_before_its_file(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = share(marker=".done")
    shared.put("SHIP_1.csv", SHIPPED)
    shared.put("SHIP_1.csv.done", b"")
    page = await shared.came()
    moved: list[str] = []
    move = shared.files.store.move

    async def moving(folder: str, name: str, to: str) -> str:
        moved.append(name)
        return await move(folder, name, to)

    monkeypatch.setattr(shared.files.store, "move", moving)
    await shared.files.acknowledge(page)
    assert moved == ["SHIP_1.csv.done", "SHIP_1.csv"]


async def test_a_file_that_can_not_be_read_goes_aside_with_the_reason_beside_it(share: Share) -> None:
    shared = share()
    shared.put("SHIP_1.csv", b"Order;SKU;Qty;Tracking;Carrier\nNS0123456789ABCD;A;1;1Z1;UPS\n")
    page = await shared.came()
    with pytest.raises(Malformed, match=r"header: 'Order No' is missing; beside what is expected it has 'Order'"):
        shared.files.read(page.messages[0])
    await shared.files.acknowledge(page)
    assert (shared.names("in"), shared.names("unreadable")) == ([], ["SHIP_1.csv", "SHIP_1.csv.why"])
    why = (shared.root / "unreadable" / "SHIP_1.csv.why").read_text()
    assert "'Order No' is missing" in why
    assert "Put it back into in/" in why


async def test_a_file_that_changes_while_it_is_kept_stays(share: Share) -> None:
    shared = share()
    shared.put("SHIP_1.csv", SHIPPED)
    page = await shared.came()
    shared.put("SHIP_1.csv", SHIPPED + SHIPPED[-30:])
    await shared.files.acknowledge(page)
    assert (shared.names("in"), shared.names("archive")) == (["SHIP_1.csv"], [])


async def test_a_file_that_was_put_aside_before_is_no_fault(share: Share) -> None:
    shared = share()
    path = shared.put("SHIP_1.csv", SHIPPED)
    page = await shared.came()
    path.unlink()
    await shared.files.acknowledge(page)
    assert shared.names("archive") == []


async def test_the_same_file_again_is_read_again_and_says_the_same(share: Share) -> None:
    shared = share()
    shared.put("SHIP_1.csv", SHIPPED)
    first = await shared.came()
    await shared.files.acknowledge(first)
    shared.put("SHIP_1.csv", SHIPPED)
    again = await shared.came()
    assert list(shared.files.read(again.messages[0])) == list(shared.files.read(first.messages[0]))
    await shared.files.acknowledge(again)
    assert shared.names("archive") == ["SHIP_1.csv", "SHIP_1.csv~2"]


async def test_a_file_of_a_name_that_came_with_other_rows_goes_aside(share: Share) -> None:
    shared = share()
    shared.put("SHIP_1.csv", SHIPPED)
    await shared.files.acknowledge(await shared.came())
    shared.put("SHIP_1.csv", SHIPPED.replace(b"1Z1", b"1Z2"))
    page = await shared.came()
    with pytest.raises(Malformed, match="came before and said something else"):
        shared.files.read(page.messages[0])
    await shared.files.acknowledge(page)
    assert shared.names("unreadable") == ["SHIP_1.csv", "SHIP_1.csv.why"]


async def test_a_name_that_is_reused_says_something_else_each_time(share: Share) -> None:
    shared = share(file_names="reused")
    ids = []
    for body in (SHIPPED, SHIPPED.replace(b"1Z1", b"1Z2"), SHIPPED):
        shared.put("today.csv", body)
        page = await shared.came()
        [said] = shared.files.read(page.messages[0])
        ids.append(said.event_id)
        await shared.files.acknowledge(page)
    assert ids[0] == ids[2] != ids[1]
    assert ids[0].startswith("today.csv@")


async def test_a_file_that_is_too_large_goes_aside_and_its_beginning_is_kept(share: Share) -> None:
    shared = share()
    with shared.put("huge.csv", SHIPPED).open("r+b") as file:
        file.truncate(LARGEST + 1)
    page = await shared.came()
    assert len(page.messages[0].body) == 65_536
    with pytest.raises(Malformed, match=f"has {LARGEST + 1} bytes, and {LARGEST} at most are read"):
        shared.files.read(page.messages[0])
    await shared.files.acknowledge(page)
    assert shared.names("unreadable") == ["huge.csv", "huge.csv.why"]


async def test_a_link_that_leads_out_goes_aside_unread(share: Share, tmp_path: Path) -> None:
    shared = share()
    (tmp_path.parent / "outside.csv").write_bytes(SHIPPED)
    (shared.root / "in" / "a.csv").symlink_to(tmp_path.parent / "outside.csv")
    page = await shared.came()
    assert page.messages[0].body == b""
    with pytest.raises(Malformed, match="leads out of"):
        shared.files.read(page.messages[0])
    await shared.files.acknowledge(page)
    assert shared.names("unreadable") == ["a.csv", "a.csv.why"]
    assert (tmp_path.parent / "outside.csv").read_bytes() == SHIPPED


async def test_a_name_that_is_no_text_is_spelled_so_that_it_can_be_kept(share: Share) -> None:
    shared = share()
    shared.put(os.fsdecode(b"a\xff.csv"), SHIPPED)
    page = await shared.came()
    assert page.messages[0].name == "a\\udcff.csv"
    await shared.files.acknowledge(page)
    assert shared.names("in") == []


async def test_many_files_come_in_pages_the_oldest_first(share: Share) -> None:
    shared = share()
    for number in range(60):
        os.utime(shared.put(f"{number}.csv", SHIPPED), (1_000_000 - number, 1_000_000 - number))
    first = await shared.came()
    assert [each.name for each in first.messages] == [f"{number}.csv" for number in range(59, 9, -1)]
    assert first.more
    await shared.files.acknowledge(first)
    second = await shared.files.poll(first.cursor)
    assert len(second.messages) == 10
    assert not second.more
    assert len({first.cursor, second.cursor, ""}) == 3


async def test_a_folder_that_is_away_is_no_empty_one(share: Share) -> None:
    shared = share()
    (shared.root / "in").rmdir()
    with pytest.raises(NotSent, match="in is not there: create it, or mount"):
        await shared.files.poll("")


async def test_the_check_looks_at_all_folders_that_the_settings_name(share: Share) -> None:
    shared = share(fetched=["fetched"])
    await shared.files.check()
    assert shared.names(".") == ["fetched", "in", "out"]
    (shared.root / "fetched").rmdir()
    with pytest.raises(NotSent, match="fetched is not there"):
        await shared.files.check()


async def test_what_is_kept_of_a_file_is_read_as_the_file_was(share: Share) -> None:
    shared = share()
    body = SHIPPED + b"NS0123456789ABCD;B;x;1Z1;UPS\nNS0123456789ABCE;B;2;1Z2;UPS\n"
    for said in shared.files.read(Message(body, datetime.now(UTC), "SHIP_1.csv")):
        assert said.part is not None
        [again] = shared.files.read(Message(said.part, datetime.now(UTC), said.event_id))
        assert again == said


def test_an_adapter_says_what_its_provider_can_do(share: Share) -> None:
    can = share(withdraw=True, idempotent=True).files.can
    assert (can.create, can.look_up, can.poll, can.callbacks, can.withdraw, can.idempotent) == (
        True, True, True, False, True, True,
    )  # fmt: skip


def test_of_several_kinds_of_files_each_is_read_by_the_first_that_fits_its_name(tmp_path: Path) -> None:
    shared = Shared(
        tmp_path,
        delimiter=";",
        words={},
        forms={
            "shipments": {"names": "SHIP*", **SHIPMENTS},
            "rejections": {
                "names": "rej_*.csv",
                "word": "rejected",
                "quantity": 1,
                "columns": {"order": "Auftrag", "product": "Artikel", "reason": "Grund"},
                "reasons": {"Fehlbestand": "no_inventory"},
            },
        },
    )
    at = datetime.now(UTC)
    [said] = shared.files.read(Message(b"Auftrag;Artikel;Grund\nSO-1;A;FEHLBESTAND\n", at, "REJ_1.csv"))
    assert isinstance(said, Statement)
    assert (said.word, said.reason, said.items, said.names.order) == ("rejected", "no_inventory", {"A": 1}, "SO-1")
    [shipped] = shared.files.read(Message(SHIPPED, at, "ship_1.csv"))
    assert isinstance(shipped, Statement)
    assert shipped.word == "shipped"
    with pytest.raises(Malformed, match=r"fits none of SHIP\*, rej_\*\.csv"):
        shared.files.read(Message(SHIPPED, at, "stock.csv"))


def test_settings_of_forms_take_what_they_do_not_say_from_the_provider(tmp_path: Path) -> None:
    read = settings(tmp_path, encoding="cp1252", forms={"all": {**SHIPMENTS, "counts": "totals"}})
    assert (read.forms["all"].encoding, read.forms["all"].counts, read.forms["all"].names) == ("cp1252", "totals", "*")
