"""Pages that are polled: where the next one begins, whatever the provider's clock and its pages are like."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.call_errors import NotSent
from gateway.providers.port import Page, Statement
from gateway.providers.rest_polling import Place
from tests.listening import listening
from tests.providers.rest import POLL, Mapped, settings, with_keys

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
CURSOR = {"path": "/feed?after={cursor}", "next": "next", "more": "has_more", "updated": None}


@dataclass(slots=True)
class Provider:
    """It answers with what is put there, and notes what it was asked."""

    adapter: Any = None
    url: str = ""
    session: Any = None
    answers: list[object] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said, int):
            return web.Response(status=said)
        return web.Response(text=said if isinstance(said, str) else json.dumps(said))

    def mapped(self, **poll: Any) -> None:
        self.adapter = Mapped(settings(self.url, "warehouse_poll.toml"), self.session, with_keys(POLL, poll=poll))

    async def polled(self, cursor: str, *answers: object) -> Page:
        self.answers[:] = answers
        page: Page = await self.adapter.poll(cursor)
        return page


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    there = Provider()
    async with (
        aiohttp.ClientSession() as there.session,
        listening(web.route("*", "/{at:.*}", there.answer)) as there.url,
    ):
        there.mapped()
        yield there


def page(*minutes: float, number: int = 1, pages: int = 1) -> dict[str, Any]:
    """Make a page of shipments that changed so many minutes after noon."""
    shipments = [
        {"order_number": "NS1", "status": "SHIPPED", "updated_at": at(each), "tracking": f"1Z{each}", "carrier": "UPS",
         "lines": [{"sku": "TEE", "qty": 1}]}
        for each in minutes
    ]  # fmt: skip
    return {"shipments": shipments, "page": number, "pages": pages}


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def since(cursor: str) -> str:
    return at((datetime.fromisoformat(json.loads(cursor)["since"]) - NOON) / timedelta(minutes=1))


async def test_a_round_of_pages_begins_where_the_first_page_of_the_last_one_ended_less_an_overlap(
    provider: Provider,
) -> None:
    first = await provider.polled("", page(20, 30, pages=2))
    second = await provider.polled(first.cursor, page(40, 50, number=2, pages=2))
    assert (first.more, second.more) == (True, False)
    assert [each["page"] for each in provider.asked] == ["1", "2"]
    assert provider.asked[0]["updated_since"] == provider.asked[1]["updated_since"]
    assert since(second.cursor) == at(20)
    await provider.polled(second.cursor, page())
    assert provider.asked[-1] == {"updated_since": at(20), "page": "1"}


async def test_the_very_first_round_reaches_back_a_day(provider: Provider) -> None:
    await provider.polled("", page())
    began = datetime.fromisoformat(provider.asked[0]["updated_since"])
    assert timedelta(hours=23) < datetime.now(UTC) - began < timedelta(hours=25)


async def test_what_a_page_says_is_a_total_with_its_time(provider: Provider) -> None:
    (message,) = (await provider.polled("", page(1, 2))).messages
    first, second = provider.adapter.read(message)
    assert isinstance(first, Statement)
    assert (first.items, first.is_total, first.as_of) == ({"TEE": 1}, True, NOON + timedelta(minutes=1))
    assert second.parcel.tracking_code == "1Z2"


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_is_an_hour_off_passes_nothing_over(provider: Provider, hours: int) -> None:
    theirs = datetime.now(UTC) + timedelta(hours=hours)
    ahead = (theirs - NOON) / timedelta(minutes=1)
    found = await provider.polled("", page(ahead))
    assert datetime.fromisoformat(since(found.cursor)) == pytest.approx(
        theirs - timedelta(minutes=10), abs=timedelta(seconds=1)
    )


async def test_a_clock_that_is_set_back_is_followed(provider: Provider) -> None:
    late = await provider.polled("", page(60))
    early = await provider.polled(late.cursor, page(0))
    assert since(early.cursor) == at(-10)


async def test_an_empty_page_ends_a_round_whatever_it_says(provider: Provider) -> None:
    empty = await provider.polled("", page(number=1, pages=99))
    assert (empty.more, json.loads(empty.cursor)["page"]) == (False, 1)
    provider.mapped(more=None)
    full = await provider.polled("", page(20))
    assert full.more
    last = await provider.polled(full.cursor, page())
    assert (last.more, since(last.cursor)) == (False, at(10))


async def test_a_page_that_repeats_is_no_page(provider: Provider) -> None:
    first = await provider.polled("", page(20, pages=9))
    with pytest.raises(NotSent, match="the page is the same as the one before it: see to"):
        await provider.polled(first.cursor, page(20, number=2, pages=9))
    second = await provider.polled(first.cursor, page(30, number=2, pages=9))
    assert (await provider.polled(second.cursor, page(20, number=3, pages=9))).more


async def test_a_page_that_is_none_moves_nothing(provider: Provider) -> None:
    for said, told in (
        ("<!doctype html>", "the poll answered 200 and no JSON: that is not the provider's word"),
        ('{"shipments": [{"a": 1, "a": 2}], "page": 1, "pages": 1}', "the poll answered 200 and no JSON"),
        ("", "the poll answered 200, but shipments finds nothing"),
        ({"shipments": None}, "the poll answered 200, but shipments finds nothing"),
        (page(1) | {"pages": "many"}, "the poll answered 200, but page < pages can't be found: "),
        ({"shipments": [{"sku": "TEE"}]}, "finds no times: they say where the next poll begins"),
        (
            page(1) | {"shipments": [{"updated_at": "0001-01-01"}]},
            "finds no times: they say where the next poll begins",
        ),
        (page(1) | {"pages": None}, "the poll answered 200, but page < pages is neither true nor false"),
        (404, "the poll answered 404: check the URL, the mapping and the key of the provider"),
        (500, "the poll answered 500"),
    ):
        with pytest.raises(NotSent, match=told):
            await provider.polled("", said)


async def test_a_cursor_of_the_provider_s_leads_on_and_is_kept_at_the_end(provider: Provider) -> None:
    provider.mapped(**CURSOR)
    first = await provider.polled("", page(1) | {"next": "b", "has_more": True})
    last = await provider.polled(first.cursor, page(2) | {"next": "c", "has_more": False})
    empty = await provider.polled(last.cursor, page() | {"next": None, "has_more": False})
    await provider.polled(empty.cursor, page() | {"next": "c", "has_more": False})
    assert provider.asked == [{}, {"after": "b"}, {"after": "c"}, {"after": "c"}]
    assert (first.more, last.more, empty.more) == (True, False, False)


async def test_a_cursor_that_goes_back_is_given_as_it_is_and_seen_to_be_the_same(provider: Provider) -> None:
    """Whoever polls leaves a place alone where it was before."""
    provider.mapped(**CURSOR)
    cursors, answers = [""], [page(1) | {"next": "b", "has_more": True}, page(2) | {"next": "a", "has_more": True}]
    for number in range(6):
        cursors.append((await provider.polled(cursors[-1], answers[number % 2])).cursor)
    assert [json.loads(each)["cursor"] for each in cursors[1:]] == ["b", "a", "b", "a", "b", "a"]
    assert len(set(cursors)) == 3


async def test_one_time_that_is_none_holds_up_no_other(provider: Provider) -> None:
    spoilt = page(20, 30)
    spoilt["shipments"][0]["updated_at"] = "lunch"
    found = await provider.polled("", spoilt)
    assert since(found.cursor) == at(20)
    readings = provider.adapter.read(found.messages[0])
    assert [type(each).__name__ for each in readings] == ["Unreadable", "Statement"]


async def test_pages_may_be_counted_by_what_was_on_them(provider: Provider) -> None:
    provider.mapped(path="/shipments?updated_since={since}&from={offset}", more=None)
    first = await provider.polled("", page(10, 20))
    second = await provider.polled(first.cursor, page(30))
    last = await provider.polled(second.cursor, page())
    await provider.polled(last.cursor, page())
    assert [each["from"] for each in provider.asked] == ["0", "2", "3", "0"]
    assert (first.more, second.more, last.more) == (True, True, False)


async def test_more_without_a_place_where_it_is_can_not_be_had(provider: Provider) -> None:
    provider.mapped(**CURSOR)
    with pytest.raises(NotSent, match="next finds nothing, and another page is said to follow"):
        await provider.polled("", page(1) | {"next": None, "has_more": True})


async def test_a_time_may_be_written_as_a_number(provider: Provider) -> None:
    provider.mapped(since_as="milliseconds")
    found = await provider.polled("", page(10))
    await provider.polled(found.cursor, page())
    assert provider.asked[-1]["updated_since"] == str(int(NOON.timestamp() * 1000))


@pytest.mark.parametrize("cursor", ["", "17", "{}", "[]", '{"since": 3}', '{"since": "lunch"}'])
async def test_a_cursor_that_is_none_of_ours_begins_anew(provider: Provider, cursor: str) -> None:
    place = Place.of(cursor, provider.adapter.mapping.poll, NOON)
    assert place.asked(provider.adapter.mapping.poll) == {"since": at(-24 * 60), "page": 1, "offset": 0, "cursor": ""}
