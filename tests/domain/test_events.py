"""What is declared of an event holds wherever events go."""

import pkgutil
from importlib import import_module

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import events
from gateway.domain.events import FACTS
from gateway.domain.events.event import Event, Fact, Verdict
from gateway.domain.events.messages import TURNED_AWAY, CallbackRefused
from gateway.telemetry import lifecycle_metrics
from gateway.web.receipts import CALLBACKS, callback_receipt
from tests.requests import AT, receive

from .steps import after

STORED = {
    "request_received", "provider_assigned", "conflicting_body", "conflicting_location", "submitted",
    "units_accepted", "units_shipped", "units_rejected", "units_withdrawn", "units_cancelled", "units_reopened",
    "callback_refused", "callback_without_effect", "callback_quarantined", "conflicting_callback", "acknowledged",
    "reported", "report_refused", "units_proved", "units_refused", "units_unverified", "units_unverifiable",
    "surplus_shown", "shown_beyond_log", "delivery_died", "redriven", "recheck_asked", "rechecked", "closed",
    "noted", "taken_over", "withdrawal_asked", "order_withdrawn", "withdrawal_refused", "quarantine_left",
    "declined", "order_read_asked", "order_read", "acknowledgement_overdue",
    "acceptance_overdue", "backorder_overdue", "units_backordered",
}  # fmt: skip
"""The ledgers of our users are full of these words."""


def test_no_kind_that_is_stored_is_ever_renamed() -> None:
    assert set(FACTS) == STORED


def test_every_fact_of_every_theme_can_be_read_back_under_a_kind_of_its_own() -> None:
    themes = [import_module(f"{events.__name__}.{found.name}") for found in pkgutil.iter_modules(events.__path__)]
    declared = {
        each
        for theme in themes
        for each in vars(theme).values()
        if isinstance(each, type) and issubclass(each, Fact) and hasattr(each, "kind")
    }
    assert declared == set(FACTS.values())


facts = st.sampled_from(list(FACTS.values())).flatmap(st.builds)
refusals = st.builds(CallbackRefused, reason=st.sampled_from([*TURNED_AWAY, "closed"]))


@given(fact=facts | refusals)
def test_whatever_is_committed_is_counted_and_answered(fact: Fact) -> None:
    event = Event(2, AT, "acme:e-1", "", fact)
    request = after(receive())
    lifecycle_metrics.passed(request, request, [event], None)
    status, _ = callback_receipt(request.id, [event])
    assert status in {200, 202, 403, 422}


def test_every_verdict_has_its_status() -> None:
    assert set(CALLBACKS) == set(Verdict)
