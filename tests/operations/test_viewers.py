"""What others wrote in words of their own: operators read it, viewers read that it is there."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, get_args, get_origin, get_type_hints

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.api_shapes import ProblemDocument
from gateway.domain.commands import CallEnded, CallTaken, End, ProviderSaid
from gateway.domain.deliveries import Operation
from gateway.domain.events import FACTS
from gateway.ledger.queue.claims import Claim
from gateway.ledger.read import request_reads
from gateway.ledger.write.queued import Attempt
from gateway.newstore.errors import code_of
from gateway.operations import viewers
from gateway.operations.masking import MASK
from gateway.routes import ROUTES
from tests.requests import AT
from tests.served import Served, event, order

if TYPE_CHECKING:
    from gateway.domain.decide import Command

PREFIXES = st.sampled_from(["https://ups.example", "https://ups.example/track/1Z", "HTTP://h:81/a b", "mailto:", ""])
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PARCEL = {
    "carrier": "UPS Ground", "tracking_number": "1Z 999",
    "tracking_url": "https://marked-user@ups.example/track/1Z?to=marked-query&at=marked-more#marked-fragment",
}  # fmt: skip
ANSWERED = json.dumps({"error_code": "marked-code of Ada", "message": "marked-refusal"}).encode()
SEEN_BY_OPERATORS = {
    "user", "query", "more", "fragment", "order", "event", "early", "lost", "type", "word", "reason", "product",
    "field", "line", "key",
}  # fmt: skip
"""The marks that the API shows to whoever may act."""
UNCLEAR = (
    event("marked-word", "e-2"),
    event("marked-type of Ada", "e-3"),
    event("rejected", "e-4", reason="marked-reason"),
    event("rejected", "e-5", reason="marked-sentence of Ada"),
    {**event("rejected", "e-6"), "marked-field of Ada": 1},
    event("rejected", "e-7", items=[{"product_id": "CAP", "marked-line count": 2}]),
    event("accepted", "marked-early of Ada", "marked-lost of Ada", items=[{"product_id": "marked-lost of Ada"}]),
)
PLANTED = SEEN_BY_OPERATORS | {"code", "refusal", "remark", "sentence", "value"}

TOLD_AS_THEY_ARE = {
    # words of ours and of people, and what the settings name
    "who", "reason", "remark", "text", "action", "subject", "outcome", "why", "name", "about", "sender", "source",
    "kind", "operation", "destination", "provider", "location", "adapter", "can", "to", "taken_by",
    "replayed_by", "waits_for",
    "failure", "confirmed", "time_zone", "trace_id", "reference", "fingerprint", "next_page", "shut",
    # how acts are offered
    "label", "help", "question", "hint", "value", "means", "consequence", "many", "among", "content", "default_reason",
    "roles",
    # what NewStore names, and parcels are found by
    "id", "order_id", "service_level", "product_id", "product", "products", "carrier", "carrier_said", "tracking_code",
    "code_said",
}  # fmt: skip


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ups.example/track/1Z", "https://ups.example/track/1Z"),
        ("https://ups.example:8443/track?code=1Z&mail=ada%40x.example", "https://ups.example:8443/track?•••"),
        ("https://ups.example#/ada", "https://ups.example#•••"),
        ("https://ada:secret@ups.example/1Z/", "https://•••@ups.example/1Z/"),
        ("https://ups.example/to/ada@x.example/Ada%20Lovelace;at=9/1Z", "https://ups.example/to/•••/•••/1Z"),
        ("call Ada", "•••"),
        ("mailto:ada@x.example", "•••"),
        ("https://ups.example\\@ada.example/1Z", "https://•••@ada.example/1Z"),
        ("https://", "•••"),
    ],
)
def test_of_a_link_host_and_path_are_shown(url: str, shown: str) -> None:
    assert viewers.link(url) == shown


@given(PREFIXES, st.sampled_from("?#"), WORDS, WORDS)
@example("https://ups.example", "?", "Ada\n", "#@/")
def test_whatever_a_link_asks_for_shows_the_same(prefix: str, mark: str, one: str, other: str) -> None:
    assert viewers.link(f"{prefix}{mark}{one}") == viewers.link(f"{prefix}{mark}{other}")


@given(WORDS, WORDS)
def test_whoever_a_link_names_shows_the_same(one: str, other: str) -> None:
    users = (re.sub("[/?#]", "", each) for each in (one, other))
    assert len({viewers.link(f"https://{user}@ups.example/1Z") for user in users}) == 1


@given(WORDS, WORDS)
def test_a_sentence_never_shows_what_it_quotes(one: str, other: str) -> None:
    for text in (one, other):
        assert (
            viewers.sentence(f"2 of {text!r}, and NewStore's are 1 of 'A'") == "2 of •••, and NewStore's are 1 of •••"
        )


@given(st.text(st.sampled_from("XY'\"\\ \n"), max_size=9), st.integers(0, 30))
def test_a_sentence_that_was_cut_off_shows_no_more(text: str, most: int) -> None:
    assert not set("XY") & set(viewers.sentence(f"says {text!r}"[:most]))


@pytest.mark.parametrize("text", ["W-1", "acme/77#b", "2026.11_3", "7", "f" * 64])
def test_what_looks_like_an_id_is_shown(text: str) -> None:
    assert viewers.identifier(text) == text


@pytest.mark.parametrize("text", ["Ada Lovelace", "ada@x.example", "Örn", "a\n", "f" * 65, "-", ""])
def test_what_looks_like_a_text_is_hidden(text: str) -> None:
    assert viewers.identifier(text) == MASK


@pytest.mark.parametrize(
    ("cause", "shown"),
    [
        ("acme:e-1~1", "acme:e-1~1"),
        ("acme:Ada moved", "acme:•••"),
        ("discard:acme:Ada moved", "discard:acme:•••"),
        ("webhook-id:msg_1", "webhook-id:msg_1"),
        ("newstore:Old Town:0123456789abcdef", "newstore:Old Town:0123456789abcdef"),
        ("read:ship:2026-11-03T09:00:00+00:00", "read:ship:2026-11-03T09:00:00+00:00"),
    ],
)
def test_a_cause_says_whose_message_it_was(cause: str, shown: str) -> None:
    assert viewers.cause(cause) == shown


@pytest.mark.parametrize(
    ("proof", "shown"),
    [
        ("acme said so: acme:Ada moved", "acme said so: acme:•••"),
        ("acme said so: acme:e-1", "acme said so: acme:e-1"),
        ("otto: Bo of acme said so: 'it is off'", "otto: Bo of acme said so: 'it is off'"),
        ("acme: answered 204", "acme: answered 204"),
    ],
)
def test_a_proof_is_told_in_our_words_or_a_persons(proof: str, shown: str) -> None:
    assert viewers.proof(proof) == shown


def test_every_text_of_an_answer_is_told_as_it_is_or_hidden_on_purpose() -> None:
    routes = [route for route in ROUTES if route.method == "get" and route.path.startswith("/v1/")]
    kinds = {kind for route in routes for kind in route.answers.values()} - {ProblemDocument}
    named = {name for kind in [*kinds, *FACTS.values(), ProviderSaid] for name in texts_in(kind)}
    assert named - viewers.OTHERS.keys() == TOLD_AS_THEY_ARE
    assert viewers.OTHERS.keys() - named == set()


def texts_in(hint: Any) -> Iterator[str]:
    """Name the fields that hold any text, here or further inside."""
    fields = get_type_hints(hint) if isinstance(hint, type) and hasattr(hint, "__annotations__") else {}
    for name, each in fields.items():
        if get_origin(each) is ClassVar:
            continue
        if str in choices(each):
            yield name
        for inner in choices(each):
            yield from texts_in(inner)


def choices(hint: Any) -> set[Any]:
    """Tell what a value may be, or those in it; who is named by the keys of a mapping is another matter."""
    parts = get_args(hint)[1:] if get_origin(hint) in {dict, Mapping} else get_args(hint)
    return {inner for part in parts for inner in choices(part)} if parts else {hint}


async def settle(
    gateway: Served, request_id: str, operation: Operation, response: bytes, *, taken: str = "", detail: str = ""
) -> None:
    """Let an owed call be taken, under this name of the provider's, or be refused."""
    request = await request_reads.request(gateway.pool, request_id)
    assert request is not None
    (owed,) = [each for each in request.owed if each.operation is operation]
    month = await gateway.pool.fetchval(
        "UPDATE deliveries SET owner = 'us', call_ends_at = now(), attempt = 1 FROM requests r "
        "WHERE request_id = $1 AND operation = $2 AND r.id = request_id RETURNING r.month",
        request_id, operation,
    )  # fmt: skip
    claim = Claim(
        request_id, operation, owed.seq, owed.destination, "DC01", month, 1, 0, doubt=False, owner="us", overdue=False
    )  # fmt: skip
    call: dict[str, Any] = {"request_id": request_id, "at": AT, "operation": operation, "seq": owed.seq, "attempt": 1}
    then: Command = CallTaken(**call, provider_order=taken)
    if detail:
        then = CallEnded(**call, end=End.REFUSED, detail=detail)
    await gateway.writer.settle(claim, Attempt(AT, 0.1, "done", 200, detail, response), then)


async def plant(gateway: Served) -> None:
    """Have others write a mark into every field that they fill as they like."""
    for request_id in ("r-1", "r-2"):
        await gateway.receive(order(request_id))
    await settle(gateway, "r-1", Operation.CREATE, b'{"id": "marked-order of Ada"}', taken="marked-order of Ada")
    tee = [{"product_id": "TEE", "quantity": 1}]
    shipped = event("shipped", "marked-event of Ada", items=tee, shipment=PARCEL, remark="marked-remark")
    assert (await gateway.say(shipped)).status == 200
    for told in UNCLEAR:
        assert (await gateway.say(told)).status == 202, told
    refused = event("rejected", "e-8", reason="no_inventory", items=[{"product_id": "marked-product of Ada"}])
    assert (await gateway.say(refused)).status == 422
    await gateway.say(event("accepted", "e-9", "r-2"))
    await settle(gateway, "r-2", Operation.ACKNOWLEDGE, ANSWERED, detail=f"400 {code_of(ANSWERED)}".rstrip())
    doubled = (
        b'{"id": "r-3", "items": [{"product_id": "A"}], "marked-key of Ada": "marked-value", "marked-key of Ada": 2}'
    )
    assert (await gateway.receive(doubled)).status == 400


async def everything(gateway: Served, who: str) -> dict[str, str]:
    """Read every route below /v1, with each id that the lists name."""
    app = gateway.internal.app
    assert app is not None
    paths = {each.resource.canonical for each in app.router.routes() if each.method == "GET" and each.resource}
    told: dict[str, str] = {}
    for path in sorted(each for each in paths if each.startswith("/v1/")):
        theme = path.split("/")[2]
        ids = [""] if "{id}" not in path else [each["id"] for each in json.loads(told[f"/v1/{theme}"])[theme]]
        for each in ids:
            full = path.format(id=each)
            answer = await gateway.ask(full, who)
            assert answer.status == 200, full
            told[full] = await answer.text()
    return told


async def test_a_viewer_reads_nothing_that_others_wrote_in_any_answer_and_an_operator_does(gateway: Served) -> None:
    await plant(gateway)
    told = await everything(gateway, "vera")
    assert len(told) >= 9 + 2 + 8
    assert {path: text for path, text in told.items() if "marked" in text.lower()} == {}
    for who in ("otto", "ada"):
        whole = "".join((await everything(gateway, who)).values())
        assert set(re.findall("marked-([a-z]+)", whole)) == SEEN_BY_OPERATORS


async def test_every_mark_was_planted(gateway: Served) -> None:
    await plant(gateway)
    rows = await gateway.pool.fetch("SELECT body FROM payloads UNION ALL SELECT body FROM quarantine")
    found = {mark for row in rows for mark in re.findall(b"marked-([a-z]+)", row["body"])}
    assert {mark.decode() for mark in found} == PLANTED


async def test_a_viewer_reads_what_the_job_needs(gateway: Served) -> None:
    await plant(gateway)
    story = await (await gateway.ask("/v1/requests/r-1")).json()
    (parcel,) = story["parcels"]
    assert parcel["tracking_url"] == "https://•••@ups.example/track/1Z?•••"
    assert (parcel["carrier"], parcel["tracking_code"]) == ("UPS Ground", "1Z 999")
    facts = {each["kind"]: each["fact"] for each in story["events"]}
    assert facts["submitted"]["provider_order"] == "•••"
    assert {"reported_by": parcel["reported_by"], **facts["units_shipped"]["parcel"]} == parcel
    refused = facts["callback_refused"]
    assert (refused["reason"], refused["detail"]) == ("unknown_product", "••• is not in the request")
    assert story["waiting_for"]["next"].startswith("acme said rejected, which was refused: ••• is not in the request: ")
    details = {each["detail"] for each in (await (await gateway.ask("/v1/quarantine")).json())["quarantine"]}
    assert "type ••• is unknown: send one of accepted, rejected, cancelled, shipped" in details


async def test_a_viewer_reads_ids_and_links_that_ask_for_nothing(gateway: Served) -> None:
    await gateway.receive(order())
    await settle(gateway, "r-1", Operation.CREATE, b'{"id": "W-1"}', taken="W-1")
    parcel = {"carrier": "UPS", "tracking_number": "1Z", "tracking_url": "https://ups.example/1Z"}
    said = event("shipped", "e-1", items=[{"product_id": "TEE", "quantity": 1}], shipment=parcel)
    await gateway.say({**said, "occurred_at": "2026-11-03T09:00:00.5+01:00"})
    for path in ("/v1/requests/r-1", "/v1/requests/r-1/bodies"):
        told = [await (await gateway.ask(path, who)).json() for who in ("vera", "otto")]
        assert told[0] == told[1]


async def test_a_viewer_still_finds_requests_by_what_is_hidden(gateway: Served) -> None:
    await plant(gateway)
    for query in ("tracking_code=1Z 999", "text=1Z 999", "text=marked-order of Ada"):
        page = await (await gateway.ask(f"/v1/requests?{query}")).json()
        assert [each["id"] for each in page["requests"]] == ["r-1"], query


async def test_persons_remarks_are_for_everybody(gateway: Served) -> None:
    await gateway.receive(order())
    remark = "Bo of acme said 'never' about https://acme.example/?id=1"
    await gateway.do("/v1/requests/r-1/note", {"reason": remark})
    await gateway.do("/v1/holds", {"scope": "location", "name": "DC01", "reason": remark})
    for path in ("/v1/requests/r-1", "/v1/holds", "/v1/audit", "/v1/locations", "/v1/summary"):
        assert remark in await (await gateway.ask(path)).text(), path
