"""What is counted once it is committed, and only then."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.commands import CallTaken, ProviderSaid, RejectionReason, Word
from gateway.domain.deliveries import Operation
from gateway.ledger.write.writer import Writer
from tests.requests import AT, receive, said
from tests.telemetry.counted import growth

UNITS = tuple(
    f"gateway_{each}_units_total" for each in ("accepted", "shipped", "rejected", "cancelled", "proved", "refused")
)


async def test_units_are_counted_as_their_provider_and_newstore_speak_of_them(writer: Writer) -> None:
    with growth(*UNITS, "gateway_received_requests_total", "gateway_settled_requests_total") as grown:
        await writer.apply(receive("r-1", "TEE", "CAP", "MUG"))
        await writer.apply(said(Word.SHIPPED, event="e1", items={"TEE": 1, "CAP": 1}))
        await writer.apply(said(Word.REJECTED, event="e2", reason=RejectionReason.NO_INVENTORY))
    assert grown == {
        "gateway_received_requests_total DC01": 1,
        "gateway_accepted_units_total DC01 acme": 2,
        "gateway_shipped_units_total DC01 acme": 2,
        "gateway_rejected_units_total DC01 acme": 1,
    }


async def test_what_came_again_and_what_contradicts_is_counted_as_such(writer: Writer) -> None:
    with growth("gateway_received_requests_total", "gateway_duplicates_total", "gateway_conflicts_total") as grown:
        await writer.apply(receive())
        await writer.apply(receive())
        await writer.apply(replace(receive(), fingerprint="another"))
        await writer.apply(replace(receive(), location="DC02"))
        accepted = said(Word.ACCEPTED, event="e1")
        await writer.apply(accepted)
        await writer.apply(accepted)
        await writer.apply(replace(accepted, fingerprint="another"))
    assert grown == {
        "gateway_received_requests_total DC01": 1,
        "gateway_duplicates_total request DC01": 1,
        "gateway_duplicates_total callback DC01": 1,
        "gateway_conflicts_total body DC01": 1,
        "gateway_conflicts_total location DC01": 1,
        "gateway_conflicts_total callback DC01": 1,
    }


async def test_a_refused_callback_is_counted_where_a_person_must_look(writer: Writer) -> None:
    with growth("gateway_callbacks_refused_total") as grown:
        await writer.apply(receive())
        await writer.apply(said(Word.SHIPPED, event="e1", items={"HAT": 1}))
        await writer.apply(said(Word.REJECTED, event="e2", provider="former", reason=RejectionReason.NO_INVENTORY))
    assert grown == {"gateway_callbacks_refused_total acme": 1}


async def test_a_request_that_two_writers_store_at_once_is_counted_once(writer: Writer, other: Writer) -> None:
    with growth("gateway_received_requests_total", "gateway_duplicates_total") as grown:
        both = [each.apply(receive()) for each in (writer, other)]
        for each in both:
            await each
    assert grown == {"gateway_received_requests_total DC01": 1, "gateway_duplicates_total request DC01": 1}


async def test_each_step_is_timed_from_the_one_before(writer: Writer) -> None:
    def after(seconds: float, word: Word) -> ProviderSaid:
        return replace(said(word), at=AT + timedelta(seconds=seconds))

    with growth("gateway_step_seconds_sum", "gateway_step_seconds_count") as grown:
        await writer.apply(receive("r-1", "TEE"))
        taken = CallTaken(request_id="r-1", at=AT + timedelta(seconds=2), operation=Operation.CREATE, seq=1, attempt=1)
        await writer.apply(taken)
        await writer.apply(after(62, Word.ACCEPTED))
        await writer.apply(after(662, Word.SHIPPED))
    expected = {
        "gateway_step_seconds_sum DC01 submitted": 2,
        "gateway_step_seconds_count DC01 submitted": 1,
        "gateway_step_seconds_sum DC01 accepted": 60,
        "gateway_step_seconds_count DC01 accepted": 1,
        "gateway_step_seconds_sum DC01 shipped": 600,
        "gateway_step_seconds_count DC01 shipped": 1,
    }
    assert grown == pytest.approx(expected)  # what was counted before leaves a rounding


async def test_batches_are_measured_one_by_one(writer: Writer) -> None:
    with growth("gateway_batch_commands_sum", "gateway_commit_seconds_count") as grown:
        await writer.apply(receive())
        await writer.apply(said(Word.ACCEPTED))
    assert grown == {"gateway_batch_commands_sum": 2, "gateway_commit_seconds_count": 2}
