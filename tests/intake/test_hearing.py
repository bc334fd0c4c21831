"""What providers send that is not one saying about one NewStore id."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import asyncpg
import pytest

from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.providers.port import (
    Adapter,
    Admission,
    Capabilities,
    Message,
    Names,
    Proof,
    Reading,
    Statement,
    Unreadable,
)
from tests.served import Served, order, serve

KEY = {"Authorization": "anybody"}
NAMES = ("request", "reference", "provider_order", "order")


class Rows(Adapter):
    """A provider whose one body says many things, each as a row of a JSON list."""

    can = Capabilities(withdraw=True)

    def admit(self, _: Mapping[str, str], __: float) -> Admission:
        return Admission.PROVED

    def authentic(self, _: Message) -> Proof:
        return Proof(1)

    def read(self, message: Message) -> list[Reading]:
        return [self._row(n, row) for n, row in enumerate(json.loads(message.body))]

    def _row(self, number: int, row: Any) -> Reading:
        part = json.dumps([row]).encode()
        fingerprint = sha256(part).hexdigest()
        names = Names(
            **{name: row[name] for name in ("request", "reference", "provider_order", "order") if name in row}
        )
        if "say" not in row:
            return Unreadable(
                place=f"row {number}", what="says nothing", fingerprint=fingerprint, names=names, part=part
            )
        return Statement(
            names=names,
            word=Word(row["say"]),
            fingerprint=fingerprint,
            event_id=row.get("id", ""),
            items=row.get("items"),
            reason=RejectionReason.NO_INVENTORY if row["say"] == "rejected" else None,
            parcel=Parcel("UPS", row["parcel"]) if "parcel" in row else None,
            is_total=row.get("total", False),
            as_of=datetime.fromisoformat(row["as_of"]) if "as_of" in row else None,
            is_proof=row.get("promise", True),
            part=part,
        )


@pytest.fixture
async def gateway(database: str, pool: asyncpg.Pool) -> AsyncIterator[Served]:
    async with serve(pool, lambda: asyncpg.connect(database), kinds={"acme": Rows}) as served:
        yield served


async def told(gateway: Served, *rows: dict[str, Any]) -> tuple[int, list[tuple[str, str]]]:
    answer = await gateway.say(list(rows), headers=KEY)
    said = await answer.json()
    results = said.get("results") or [said]
    return answer.status, [(each["result"], each.get("reason", "")) for each in results]


async def units(gateway: Served, request_id: str = "r-1") -> list[str]:
    story = await (await gateway.ask(f"/v1/requests/{request_id}")).json()
    return [unit["said"] for unit in story["units"]]


async def reference_of(gateway: Served, request_id: str = "r-1") -> str:
    found: str = await gateway.pool.fetchval("SELECT reference FROM requests WHERE id = $1", request_id)
    return found


def shipped(parcel: str, **more: Any) -> dict[str, Any]:
    return {"say": "shipped", "parcel": parcel, **more}


async def test_one_body_about_several_requests_is_applied_to_each_and_answered_in_its_order(gateway: Served) -> None:
    for request_id in ("r-1", "r-2"):
        await gateway.receive(order(request_id))
    rows = {"request": "r-1", "say": "accepted"}, {"request": "r-2", **shipped("1Z", items={"TEE": 1})}
    assert await told(gateway, *rows) == (200, [("applied", ""), ("applied", "")])
    assert await told(gateway, *rows) == (200, [("duplicate", ""), ("duplicate", "")])
    assert await units(gateway, "r-2") == ["shipped", "open"]


async def test_one_bad_row_costs_that_row_alone_and_is_kept_as_it_came(gateway: Served) -> None:
    await gateway.receive(order())
    bad = {"request": "r-1", "colour": "red"}
    status, results = await told(gateway, bad, {"request": "r-1", "say": "accepted"})
    assert (status, results) == (202, [("quarantined", "malformed"), ("applied", "")])
    assert await gateway.quarantined() == [("acme", "malformed", json.dumps([bad]).encode())]
    detail = await gateway.pool.fetchval("SELECT detail FROM quarantine")
    assert detail == "row 0: says nothing"


async def test_what_a_request_keeps_of_a_body_about_many_is_the_part_about_it(gateway: Served) -> None:
    for request_id in ("r-1", "r-2"):
        await gateway.receive(order(request_id))
    await told(gateway, {"request": "r-1", "say": "accepted"}, {"request": "r-2", "say": "accepted", "to": "Ada"})
    assert [b"Ada" in body for body in await gateway.stored_bodies("r-1")] == [False, False]
    assert [b"Ada" in body for body in await gateway.stored_bodies("r-2")] == [False, True]


async def test_what_one_body_says_of_one_request_is_applied_in_its_order(gateway: Served) -> None:
    await gateway.receive(order("r-1", *["TEE"] * 3))
    rows = [{"request": "r-1", **shipped(f"1Z{n}", items={"TEE": 1})} for n in range(3)]
    await told(gateway, *rows)
    story = await (await gateway.ask("/v1/requests/r-1", who="otto")).json()
    assert [parcel["tracking_code"] for parcel in story["parcels"]] == ["1Z0", "1Z1", "1Z2"]


@pytest.mark.parametrize("spell", [str, str.lower, "{}-1".format, " {} ".format])
async def test_a_request_is_found_by_our_reference_however_it_is_spelled(gateway: Served, spell: Any) -> None:
    await gateway.receive(order())
    said = {"reference": spell(await reference_of(gateway)), "say": "accepted"}
    assert await told(gateway, said) == (200, [("applied", "")])


async def test_a_request_is_found_by_its_order_while_only_one_of_it_is_open(gateway: Served) -> None:
    await gateway.receive(order("r-1", order_id="SO-1"))
    assert await told(gateway, {"order": "SO-1", "say": "accepted"}) == (200, [("applied", "")])
    await gateway.receive(order("r-2", order_id="SO-1"))
    status, results = await told(gateway, {"order": "SO-1", **shipped("1Z", items={"TEE": 1})})
    assert (status, results) == (202, [("quarantined", "ambiguous_request")])
    assert await units(gateway, "r-1") == await units(gateway, "r-2") == ["open", "open"]


async def test_names_that_lead_to_two_requests_are_left_to_a_person_who_says_which(gateway: Served) -> None:
    for request_id in ("r-1", "r-2"):
        await gateway.receive(order(request_id))
    said = {"request": "r-1", "reference": await reference_of(gateway, "r-2"), "say": "accepted"}
    assert await told(gateway, said) == (202, [("quarantined", "ambiguous_request")])
    [(number,)] = await gateway.pool.fetch("SELECT id FROM quarantine")
    vague = await gateway.do(f"/v1/quarantine/{number}/replay", {"reason": "look again"})
    assert (vague.status, "say which" in (await vague.json())["detail"]) == (409, True)
    done = await gateway.do(f"/v1/quarantine/{number}/replay", {"reason": "I asked them", "request": "r-2"})
    assert (await done.json())["request_id"] == "r-2"
    accepted = await gateway.pool.fetch("SELECT id FROM requests WHERE accepted_at IS NOT NULL")
    assert [row["id"] for row in accepted] == ["r-2"]
    assert await gateway.quarantined() == []


async def test_what_names_the_providers_order_waits_until_that_is_known(gateway: Served) -> None:
    await gateway.receive(order())
    said = {"provider_order": "wms-7", "say": "accepted"}
    assert await told(gateway, said) == (202, [("quarantined", "unknown_request")])
    await gateway.pool.execute("INSERT INTO request_keys VALUES ('r-1', 'provider_order', 'wms-7')")
    await gateway.sweep()
    assert await gateway.quarantined() == []
    assert await gateway.pool.fetchval("SELECT accepted_at IS NOT NULL FROM requests")
    assert await told(gateway, said) == (200, [("duplicate", "")])


async def test_a_providers_order_of_another_provider_is_not_this_ones(gateway: Served) -> None:
    await gateway.receive(order("r-1"), location="DC04", Authorization="Bearer the-key-of-DC01")
    await gateway.pool.execute("INSERT INTO request_keys VALUES ('r-1', 'provider_order', 'wms-7')")
    said = {"provider_order": "wms-7", "say": "accepted"}
    assert await told(gateway, said) == (202, [("quarantined", "unknown_request")])


async def test_a_total_counts_from_what_was_told_and_repeated_changes_nothing(gateway: Served) -> None:
    await gateway.receive(order("r-1", *["TEE"] * 3))
    for count, result in ((1, "applied"), (1, "duplicate"), (3, "applied"), (3, "duplicate")):
        said = {"request": "r-1", **shipped("1Z", items={"TEE": count}, total=True)}
        assert await told(gateway, said) == (200, [(result, "")])
    assert await units(gateway) == ["shipped"] * 3


async def test_a_total_of_another_parcel_counts_by_itself(gateway: Served) -> None:
    await gateway.receive(order("r-1", *["TEE"] * 3))
    for parcel, count in (("1Z1", 1), ("1Z2", 2)):
        await told(gateway, {"request": "r-1", **shipped(parcel, items={"TEE": count}, total=True)})
    assert await units(gateway) == ["shipped"] * 3


async def test_a_total_that_falls_is_refused_and_a_person_sees_it(gateway: Served) -> None:
    await gateway.receive(order("r-1", *["TEE"] * 3))
    await told(gateway, {"request": "r-1", **shipped("1Z", items={"TEE": 3}, total=True)})
    less = {"request": "r-1", **shipped("1Z", items={"TEE": 2}, total=True)}
    assert await told(gateway, less) == (202, [("callback_refused", "falling_total")])
    assert await gateway.pool.fetchval("SELECT failure FROM requests") == "callback_refused"
    assert await units(gateway) == ["shipped"] * 3


async def test_a_total_of_an_earlier_time_that_comes_late_changes_nothing(gateway: Served) -> None:
    await gateway.receive(order("r-1", *["TEE"] * 3))
    await told(gateway, {"request": "r-1", **shipped("1Z", items={"TEE": 3}, total=True)})
    earlier = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    late = {"request": "r-1", **shipped("1Z", items={"TEE": 2}, total=True, as_of=earlier)}
    assert await told(gateway, late) == (200, [("duplicate", "")])
    assert await gateway.pool.fetchval("SELECT failure FROM requests") is None


async def test_totals_of_rejected_units_count_from_those_rejected(gateway: Served) -> None:
    await gateway.receive(order("r-1", *["TEE"] * 3))
    for count in (1, 2):
        await told(gateway, {"request": "r-1", "say": "rejected", "items": {"TEE": count}, "total": True})
    assert await units(gateway) == ["rejected", "rejected", "open"]


async def test_a_total_of_more_than_is_left_is_refused(gateway: Served) -> None:
    await gateway.receive(order("r-1", "TEE", "TEE"))
    await told(gateway, {"request": "r-1", **shipped("1Z", items={"TEE": 1}, total=True)})
    await told(gateway, {"request": "r-1", "say": "rejected", "items": {"TEE": 1}})
    more = {"request": "r-1", **shipped("1Z", items={"TEE": 2}, total=True)}
    assert await told(gateway, more) == (202, [("callback_refused", "units_not_open")])


async def test_a_rejection_that_is_no_promise_stops_the_order_before_newstore_is_told(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.pool.execute("DELETE FROM deliveries")  # it is at the provider
    await gateway.pool.execute("UPDATE requests SET submitted_at = received_at")
    await told(gateway, {"request": "r-1", "say": "rejected", "promise": False})
    owed = await gateway.pool.fetch("SELECT operation FROM deliveries")
    assert [row["operation"] for row in owed] == ["withdraw"]


async def test_a_part_that_is_no_promise_stops_nothing_while_the_rest_may_ship(gateway: Served) -> None:
    await gateway.receive(order())
    await told(gateway, {"request": "r-1", "say": "rejected", "items": {"TEE": 1}, "promise": False})
    owed = await gateway.pool.fetch("SELECT operation FROM deliveries")
    assert "withdraw" not in [row["operation"] for row in owed]


async def test_a_row_that_can_be_read_by_now_is_applied_by_a_persons_replay(gateway: Served) -> None:
    await gateway.receive(order())
    await told(gateway, {"request": "r-1"}, {"request": "r-1", "say": "accepted"})
    [(number,)] = await gateway.pool.fetch("SELECT id FROM quarantine")
    body = json.dumps([{"request": "r-1", **shipped("1Z", items={"TEE": 1})}]).encode()
    still = await gateway.do(f"/v1/quarantine/{number}/replay", {"reason": "mended"})
    assert (still.status, "row 0: says nothing" in (await still.json())["detail"]) == (409, True)
    await gateway.pool.execute("UPDATE quarantine SET body = $1", body)  # as if the adapter understood it now
    assert (await gateway.do(f"/v1/quarantine/{number}/replay", {"reason": "mended"})).status == 200
    assert await units(gateway) == ["shipped", "open"]


async def test_what_breaks_an_adapter_is_kept_and_no_fault_of_the_sender(gateway: Served) -> None:
    await gateway.receive(order())
    body = b'[{"request": "r-1", "say": "teleported"}]'  # no word of ours: this adapter does not look
    answer = await gateway.say(body, headers=KEY)
    said = await answer.json()
    assert (answer.status, said["result"], said["reason"]) == (202, "quarantined", "adapter_broke")
    assert await gateway.quarantined() == [("acme", "adapter_broke", body)]
    [(number,)] = await gateway.pool.fetch("SELECT id FROM quarantine")
    still = await gateway.do(f"/v1/quarantine/{number}/replay", {"reason": "is it mended?"})
    assert (still.status, "still can't be read" in (await still.json())["detail"]) == (409, True)
