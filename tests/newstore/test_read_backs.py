"""Where and how NewStore may show what became of a report."""

import json
import time
from collections import Counter

import pytest

from gateway.domain.deliveries import Operation
from gateway.newstore.client import Client
from gateway.newstore.errors import Unreadable
from gateway.newstore.read_backs import NOWHERE
from tests.telemetry.counted import value

from .answers import Answer, Answering, always, by_path

UNIT = {"product_id": "A", "carrier": "UPS", "tracking_code": "1Z1"}
SHIPPED = json.dumps({"successful_shipments": [UNIT], "failed_shipments": []})
REJECTED = json.dumps({"rejected_items": [{"product_id": "A"}]})
NOT_FOUND, NOT_ALLOWED = always(404, "{}"), always(405)


@pytest.mark.parametrize(
    "answer",
    [
        always(204), always(200), always(200, "  \n"), always(200, "null"), always(200, "{}"), always(200, "[]"),
        always(200, '{"successful_shipments": null, "failed_shipments": null}'),
        always(200, '{"successful_shipments": []}'), always(200, '{"failed_shipments": []}'),
        always(200, '{"status": "pending"}'), always(200, '{"shipments": []}'),
    ],
)  # fmt: skip
async def test_a_read_back_without_an_entry_shows_nothing_yet(answering: Answering, answer: Answer) -> None:
    assert await (await answering(answer)).read_back(Operation.SHIP, "r-1") is None


@pytest.mark.parametrize("other", [{}, {"failed_shipments": None}, {"failed_shipments": []}, {"note": ["x"]}])
async def test_units_that_were_taken_are_read_whatever_became_of_the_other_list(
    answering: Answering, other: dict[str, object]
) -> None:
    client = await answering(always(200, json.dumps({"successful_shipments": [UNIT], **other})))
    shown = await client.read_back(Operation.SHIP, "r-1")
    assert shown is not None
    assert (shown.taken, shown.refused) == (Counter({("A", "ups", "1z1"): 1}), {})


@pytest.mark.parametrize("other", [{}, {"successful_shipments": None}, {"successful_shipments": []}])
async def test_units_that_were_refused_are_read_whatever_became_of_the_other_list(
    answering: Answering, other: dict[str, object]
) -> None:
    client = await answering(always(200, json.dumps({"failed_shipments": [UNIT], **other})))
    shown = await client.read_back(Operation.SHIP, "r-1")
    assert shown is not None
    assert (shown.taken, shown.refused) == (Counter(), {("A", "ups", "1z1"): (1, "failed")})


@pytest.mark.parametrize(
    "body",
    [
        '{"shipments": [{"product_id": "A"}]}', '{"data": {"successful_shipments": []}}', '{"success": false}',
        '{"success": false, "successful_shipments": []}', '[{"product_id": "A"}]', '"none"', "0",
        '{"successful_shipments": {"product_id": "A"}}', '{"successful_shipments": ["A"]}',
        '{"successful_shipments": [{"product_id": "A", "quantity": 2}]}', "<html>nothing yet</html>",
    ],
)  # fmt: skip
async def test_what_may_show_something_in_another_way_is_not_read_as_nothing(answering: Answering, body: str) -> None:
    client = await answering(always(200, body))
    with pytest.raises(Unreadable):
        await client.read_back(Operation.SHIP, "r-1")


@pytest.mark.parametrize(
    ("carrier", "code"), [(" ups ", "1z 1"), ("UPS", "1Z1"), ("Ups", "\u00a01Z1")], ids=["blanks", "capitals", "nbsp"]
)
async def test_a_code_is_read_in_its_normal_form(answering: Answering, carrier: str, code: str) -> None:
    unit = {"product_id": "A", "carrier": carrier, "tracking_code": code}
    client = await answering(always(200, json.dumps({"successful_shipments": [unit]})))
    shown = await client.read_back(Operation.SHIP, "r-1")
    assert shown is not None
    assert shown.taken == Counter({("A", "ups", "1z1"): 1})


@pytest.mark.parametrize(
    "none", [{}, {"carrier": None, "tracking_code": None}, {"carrier": "", "tracking_code": "N/A"}]
)
async def test_no_code_is_no_code_however_it_is_written(answering: Answering, none: dict[str, str | None]) -> None:
    client = await answering(always(200, json.dumps({"successful_shipments": [{"product_id": "A", **none}]})))
    shown = await client.read_back(Operation.SHIP, "r-1")
    assert shown is not None
    assert shown.taken == Counter({("A", "", ""): 1})


async def rejected(client: Client, request_id: str = "r-1", *, overdue: bool = False) -> object:
    shown = await client.read_back(Operation.REJECT, request_id, overdue=overdue)
    return shown if shown is None or shown is NOWHERE else dict(shown.taken)


TAKEN = {("A", None, None): 1}


@pytest.mark.parametrize("elsewhere", [NOT_FOUND, NOT_ALLOWED, always(410), always(501), always(200, "{}")])
@pytest.mark.parametrize(("shows", "calls"), [("rejection", 1), ("reject_items", 2)])
async def test_a_rejection_is_read_where_it_is_shown_and_from_then_on_only_there(
    answering: Answering, elsewhere: Answer, shows: str, calls: int
) -> None:
    seen: list[str] = []
    paths = {"GET rejection": elsewhere, "GET reject_items": elsewhere, f"GET {shows}": always(200, REJECTED)}
    client = await answering(by_path(paths, seen))
    assert await rejected(client) == TAKEN
    assert len(seen) == calls
    assert client.taught.news == {Operation.REJECT: shows}
    assert await rejected(client, "r-2") == TAKEN
    assert seen[calls:] == [f"GET {shows}"]


async def test_a_place_that_can_not_be_read_hides_no_other(answering: Answering) -> None:
    odd = always(200, '{"missing_product_ids": ["A"]}')
    client = await answering(by_path({"GET rejection": odd, "GET reject_items": always(200, REJECTED)}))
    assert await rejected(client) == TAKEN
    client = await answering(by_path({"GET rejection": odd}))
    with pytest.raises(Unreadable):
        await rejected(client, overdue=True)


async def test_what_the_ledger_knows_is_read_alone(answering: Answering) -> None:
    seen: list[str] = []
    client = await answering(by_path({}, seen))
    client.taught.learn(Operation.REJECT, "reject_items", time.time())
    assert await rejected(client) is None
    assert seen == ["GET reject_items"]


@pytest.mark.parametrize("how", [{"overdue": True}, {"everywhere": True}])
async def test_before_a_verdict_every_place_is_read(answering: Answering, how: dict[str, bool]) -> None:
    seen: list[str] = []
    client = await answering(by_path({"GET reject_items": always(200, REJECTED)}, seen))
    client.taught.learn(Operation.REJECT, "rejection", time.time())
    assert await client.read_back(Operation.REJECT, "r-1") is None
    shown = await client.read_back(Operation.REJECT, "r-1", **how)
    assert shown is not None
    assert shown.taken == TAKEN
    assert seen == ["GET rejection", "GET rejection", "GET reject_items"]


async def test_a_place_that_is_retired_gives_way_to_another(answering: Answering) -> None:
    seen: list[str] = []
    client = await answering(by_path({"GET rejection": always(410), "GET reject_items": always(200, REJECTED)}, seen))
    client.taught.learn(Operation.REJECT, "rejection", time.time())
    assert await rejected(client) == TAKEN
    assert seen == ["GET rejection", "GET reject_items"]
    assert client.taught.news == {Operation.REJECT: "reject_items"}


@pytest.mark.parametrize("status", [405, 410, 501])
async def test_where_no_place_is_there_nobody_looks_after_three_requests_and_for_a_day(
    answering: Answering, status: int
) -> None:
    client = await answering(always(status))
    for request_id in ("r-1", "r-1", "r-2"):
        assert await rejected(client, request_id) is NOWHERE
        assert client.is_verifiable(Operation.REJECT)
    assert value("gateway_read_back_missing", operation="reject") == 1
    assert await rejected(client, "r-3") is NOWHERE
    assert not client.is_verifiable(Operation.REJECT)
    assert client.is_verifiable(Operation.CANCEL)
    assert client.taught.news == {Operation.REJECT: None}

    client.taught.news.clear()
    client.taught.learn(Operation.REJECT, None, time.time() - 86_500)
    assert client.is_verifiable(Operation.REJECT)


async def test_a_request_that_is_shown_after_all_says_that_there_is_a_place(answering: Answering) -> None:
    paths = {"GET rejection": NOT_ALLOWED, "GET reject_items": NOT_ALLOWED}
    client = await answering(by_path(paths))
    for request_id in ("r-1", "r-2"):
        assert await rejected(client, request_id) is NOWHERE
    paths["GET rejection"] = always(200, REJECTED)
    assert await rejected(client, "r-3") == TAKEN
    assert value("gateway_read_back_missing", operation="reject") == 0
    paths["GET rejection"] = NOT_ALLOWED
    assert await rejected(client, "r-4") is NOWHERE
    assert client.is_verifiable(Operation.REJECT)


@pytest.mark.parametrize("operation", [Operation.REJECT, Operation.CANCEL])
async def test_a_guessed_place_that_says_404_till_the_end_of_the_time_box_is_none(
    answering: Answering, operation: Operation
) -> None:
    client = await answering(NOT_FOUND)
    assert await client.read_back(operation, "r-1") is None
    assert await client.read_back(operation, "r-1", overdue=True) is NOWHERE


async def test_a_place_that_is_known_says_by_404_only_that_nothing_is_shown(answering: Answering) -> None:
    client = await answering(NOT_FOUND)
    assert await client.read_back(Operation.SHIP, "r-1", overdue=True) is None
    paths = {"GET rejection": always(200, REJECTED)}
    client = await answering(by_path(paths))
    assert await rejected(client) == TAKEN
    del paths["GET rejection"]
    for request_id in ("r-2", "r-3", "r-4"):
        assert await rejected(client, request_id, overdue=True) is None
    assert client.is_verifiable(Operation.REJECT)


async def test_a_place_that_answers_with_empty_lists_is_there(answering: Answering) -> None:
    client = await answering(always(200, '{"canceled_items": []}'))
    assert await client.read_back(Operation.CANCEL, "r-1", overdue=True) is None
