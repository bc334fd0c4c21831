"""A request leaves its provider only once that provider can't ship it any more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.acts.again import Recheck, Redrive
from gateway.domain.acts.ending import Close
from gateway.domain.acts.leaving import RejectByHand, Reroute
from gateway.domain.commands import Assign, End, OnProviderCancel, Word
from gateway.domain.deliveries import Delivery, Operation
from gateway.domain.events.assignment import OrderWithdrawn, ProviderAssigned, WithdrawalAsked
from gateway.domain.events.messages import CallbackRefused
from gateway.domain.events.people import Declined
from gateway.domain.events.provider import RejectionProven, UnitsRejected
from gateway.domain.references import provider_reference
from gateway.domain.requests import Request, Status, Withdrawal
from gateway.domain.units import Said
from gateway.domain.waiting import waiting_for
from tests.requests import AT, receive, said

from .steps import NO_STOCK, after, ended, events, looked_up, names, operations, ship, stopped, taken


def reroute(to: str = "beta", *, can_withdraw: bool = True, how: str = "", act: str = "re") -> Reroute:
    return Reroute(
        request_id="r-1",
        at=AT,
        who="ada",
        action_id=act,
        reason="no power",
        to=to,
        can_withdraw=can_withdraw,
        provider_stopped=how,
    )


def reject_by_hand(*, can_withdraw: bool = True, how: str = "", act: str = "rj") -> RejectByHand:
    return RejectByHand(
        request_id="r-1",
        at=AT,
        who="ada",
        action_id=act,
        reason="flood",
        rejection_reason=NO_STOCK,
        can_withdraw=can_withdraw,
        provider_stopped=how,
    )


def created() -> Request:
    return taken(after(receive()), Operation.CREATE)


def accepted() -> Request:
    return taken(after(said(Word.ACCEPTED), start=created()), Operation.ACKNOWLEDGE)


def dead_create(end: End) -> Request:
    return ended(after(receive()), Operation.CREATE, end)


def in_doubt() -> Request:
    return tried(in_doubt=True)


def tried(*, in_doubt: bool = False, in_flight: bool = False) -> Request:
    """A request whose order was tried, as the ledger knows."""
    request = after(receive())
    create = replace(request.owed[0], in_doubt=in_doubt, in_flight=in_flight)
    return replace(request, owed=(create,))


def why_declined(request: Request, act: Reroute | RejectByHand) -> str:
    (event,) = events(request, act)
    assert isinstance(event.fact, Declined)
    declined = after(act, start=request)
    assert replace(declined, version=request.version, causes=request.causes) == request
    return event.fact.why


NEVER_REACHED = [after(receive()), dead_create(End.REFUSED), dead_create(End.EXHAUSTED), dead_create(End.ABSENT)]
MAY_SHIP = [created(), accepted(), in_doubt(), dead_create(End.UNDECIDABLE)]


@pytest.mark.parametrize("request_", NEVER_REACHED)
def test_an_order_that_never_reached_its_provider_is_rerouted_at_once(request_: Request) -> None:
    assert names(request_, reroute(can_withdraw=False)) == ["OrderWithdrawn", "ProviderAssigned"]
    rerouted = after(reroute(can_withdraw=False), start=request_)
    assert (rerouted.provider, rerouted.assignment, rerouted.dead) == ("beta", 2, ())
    assert rerouted.owed == (Delivery("beta", Operation.CREATE, rerouted.version),)
    assert provider_reference(rerouted.reference, rerouted.assignment).endswith("-2")
    assert not rerouted.withdrawn


@pytest.mark.parametrize("request_", NEVER_REACHED)
def test_an_order_that_never_reached_its_provider_is_rejected_at_once(request_: Request) -> None:
    rejected = after(reject_by_hand(can_withdraw=False), start=request_)
    assert {unit.said for unit in rejected.units} == {Said.REJECTED}
    assert operations(rejected) == [Operation.REJECT]
    assert rejected.dead == ()


@pytest.mark.parametrize("request_", MAY_SHIP)
def test_what_the_provider_may_still_ship_needs_its_withdrawal_or_a_persons_word(request_: Request) -> None:
    for act in (reroute(can_withdraw=False), reject_by_hand(can_withdraw=False)):
        assert "--provider-stopped" in why_declined(request_, act)
    asked = after(reroute(), start=request_)
    assert asked.owed[-1] == Delivery("acme", Operation.WITHDRAW, asked.version)
    assert asked.withdrawal == Withdrawal("beta", None, "ada", "no power")
    assert asked.provider == "acme"
    told = after(reroute(can_withdraw=False, how="phoned, they deleted it"), start=request_)
    assert (told.provider, told.assignment) == ("beta", 2)


def test_of_a_restored_request_nobody_knows_that_its_order_never_reached_a_provider() -> None:
    for request in NEVER_REACHED:
        assert "--provider-stopped" in why_declined(replace(request, restored=True), reroute(can_withdraw=False))


def test_a_restored_request_without_a_provider_may_have_been_given_to_one_since_the_backup() -> None:
    parked = replace(after(receive(provider=None)), restored=True)
    for act in (reroute(), reject_by_hand()):
        assert f"look for {parked.reference} there" in why_declined(parked, act)
    told = after(reroute(how="nobody has it"), start=parked)
    assert (told.provider, told.assignment) == ("beta", 1)
    assert operations(after(reject_by_hand(how="nobody has it"), start=parked)) == [Operation.REJECT]


def test_a_request_never_goes_back_to_a_provider_that_it_was_taken_from() -> None:
    at_beta = after(reroute(can_withdraw=False), start=after(receive()))
    at_gamma = after(replace(reroute(), to="gamma", action_id="on"), start=at_beta)
    assert at_gamma.former == ("acme", "beta")
    for former in at_gamma.former:
        back = replace(reroute(how="they deleted it"), to=former, action_id="back")
        assert f"{former} had it before" in why_declined(at_gamma, back)
    assert after(replace(reroute(), to="delta", action_id="further"), start=at_gamma).provider == "delta"


def test_a_request_that_had_no_provider_was_taken_from_none() -> None:
    assert after(reroute(), start=after(receive(provider=None))).former == ()


def test_a_persons_word_is_kept_as_the_proof() -> None:
    request = accepted()
    facts = [event.fact for event in events(request, reject_by_hand(can_withdraw=False, how="they deleted it"))]
    assert facts == [
        OrderWithdrawn(0, "ada: they deleted it"),
        UnitsRejected((0, 1), NO_STOCK, "ada", "flood"),
        RejectionProven((0, 1), NO_STOCK, "ada: they deleted it"),
    ]


def test_an_order_on_its_way_this_moment_is_not_given_away_on_anybodys_word() -> None:
    request = tried(in_flight=True)
    assert "on its way to acme" in why_declined(request, reroute(how="they do not have it"))
    assert names(request, reroute()) == ["WithdrawalAsked"]


def test_an_order_whose_every_try_was_turned_away_never_reached_its_provider() -> None:
    assert names(tried(), reroute(can_withdraw=False)) == ["OrderWithdrawn", "ProviderAssigned"]


def test_a_provider_that_spoke_before_its_order_was_answered_has_it() -> None:
    request = after(receive(), said(Word.ACCEPTED))
    assert Operation.CREATE in operations(request)
    assert "--provider-stopped" in why_declined(request, reroute(can_withdraw=False))


def test_a_request_without_a_provider_is_given_one_or_rejected() -> None:
    parked = after(receive(provider=None))
    routed = after(reroute(can_withdraw=False), start=parked)
    assert (routed.provider, routed.assignment) == ("beta", 1)
    rejected = after(reject_by_hand(can_withdraw=False), start=parked)
    assert operations(rejected) == [Operation.REJECT]
    assert events(rejected, Assign(request_id="r-1", at=AT, provider="acme")) == []


def test_once_the_provider_has_stopped_the_request_goes_where_it_was_sent() -> None:
    asked = after(reroute(), start=accepted())
    rerouted = stopped(asked)
    assert (rerouted.provider, rerouted.assignment, rerouted.withdrawal) == ("beta", 2, None)
    assert operations(rerouted) == [Operation.CREATE]
    assert rerouted.submitted_at is None


def test_once_the_provider_has_stopped_newstore_is_told_of_the_rejection() -> None:
    asked = after(reject_by_hand(), start=accepted())
    assert events(accepted(), reject_by_hand())[0].fact == WithdrawalAsked(None, NO_STOCK, "ada", "flood")
    assert operations(asked) == [Operation.WITHDRAW]
    rejected = stopped(asked)
    assert operations(rejected) == [Operation.REJECT]
    assert {unit.said for unit in rejected.units} == {Said.REJECTED}


def test_a_provider_that_goes_on_is_let_go_on() -> None:
    asked = after(reroute(), start=accepted())
    refused = ended(asked, Operation.WITHDRAW, End.REFUSED)
    assert (refused.provider, refused.withdrawal, refused.owed, refused.failure) == ("acme", None, (), None)
    shipped = after(ship(), start=refused)
    assert shipped.status is Status.COMPLETED


def test_a_withdrawal_without_an_answer_waits_for_a_person_and_can_be_asked_again() -> None:
    asked = after(reroute(), start=accepted())
    dead = ended(asked, Operation.WITHDRAW, End.EXHAUSTED)
    assert dead.failure == "dead_withdraw"
    waiting = waiting_for(dead)
    assert waiting is not None
    assert "--provider-stopped" in waiting.next
    again = after(Redrive(request_id="r-1", at=AT, who="ada", action_id="again"), start=dead)
    assert again.owed == (Delivery("acme", Operation.WITHDRAW, again.version),)
    assert not again.owed[0].in_doubt
    assert stopped(again).provider == "beta"
    told = after(reroute(how="they deleted it", act="told"), start=dead)
    assert (told.provider, told.dead, told.withdrawal) == ("beta", (), None)


def test_one_withdrawal_is_asked_at_a_time() -> None:
    asked = after(reroute(), start=accepted())
    assert "asked to stop already" in why_declined(asked, reject_by_hand())
    assert operations(after(reroute(how="they deleted it", act="told"), start=asked)) == [Operation.CREATE]


def test_an_order_still_owed_is_sent_before_it_is_withdrawn() -> None:
    asked = after(reroute(), start=in_doubt())
    assert [each.operation for each in asked.ready] == [Operation.CREATE]
    assert [each.operation for each in taken(asked, Operation.CREATE).ready] == [Operation.WITHDRAW]


def test_units_that_became_final_meanwhile_are_not_rerouted() -> None:
    asked = after(reroute(), start=accepted())
    left = stopped(after(ship(TEE=1), start=asked))
    assert (left.provider, left.withdrawn, left.failure) == ("acme", True, "withdrawn")
    waiting = waiting_for(left)
    assert waiting is not None
    assert waiting.who == "operations"
    assert "`gateway reject ID`" in waiting.next
    assert "final" in why_declined(left, reroute(act="again"))
    rejected = after(reject_by_hand(can_withdraw=False), start=left)
    assert rejected.failure is None
    assert [unit.said for unit in rejected.units] == [Said.SHIPPED, Said.REJECTED]


def test_everything_shipped_before_the_withdrawal_leaves_nothing_to_do() -> None:
    left = stopped(after(ship(), start=after(reject_by_hand(), start=accepted())))
    assert left.failure is None
    assert Operation.REJECT not in operations(left)


def test_what_can_never_be_rerouted_says_what_to_do_instead() -> None:
    assert "redrive" in why_declined(accepted(), reroute("acme"))
    assert "reject the rest" in why_declined(after(ship(TEE=1), start=accepted()), reroute())
    closed = after(Close(request_id="r-1", at=AT, who="ada", action_id="c"), start=accepted())
    assert "closed" in why_declined(closed, reroute())
    assert "closed" in why_declined(closed, reject_by_hand())
    assert "final" in why_declined(after(ship(), start=accepted()), reject_by_hand())


def test_a_request_may_be_rerouted_again() -> None:
    once = taken(stopped(after(reroute(), start=accepted())), Operation.CREATE)
    twice = stopped(after(reroute("gamma", act="two"), start=once))
    assert (twice.provider, twice.assignment) == ("gamma", 3)


@pytest.mark.parametrize(("word", "conflicts"), [(Word.SHIPPED, 1), (Word.ACCEPTED, 1), (Word.CANCELLED, 0)])
def test_a_former_provider_changes_nothing_and_alarms_where_it_may_ship(word: Word, conflicts: int) -> None:
    request = stopped(after(reroute(), start=accepted()))
    late = said(word, event="late", items={"TEE": 1})
    fact = events(request, late)[0].fact
    assert isinstance(fact, CallbackRefused)
    assert fact.reason == "other_provider"
    told = after(late, start=request)
    assert (told.units, told.owed, told.conflicts) == (request.units, request.owed, conflicts)
    assert told.failure == ("conflict" if conflicts else None)


def test_a_provider_that_ships_what_was_withdrawn_and_rejected_alarms() -> None:
    request = stopped(after(reject_by_hand(), start=accepted()))
    told = after(ship("late", TEE=1), start=request)
    assert (told.units, told.failure) == (request.units, "conflict")


def test_a_cancellation_that_we_asked_for_is_the_proof_of_it() -> None:
    asked = after(reroute(), start=accepted())
    rerouted = after(said(Word.CANCELLED, event="c", on_cancel=OnProviderCancel.QUARANTINE), start=asked)
    assert (rerouted.provider, rerouted.quarantined) == ("beta", 0)
    partial = after(said(Word.CANCELLED, event="c", items={"TEE": 1}), start=asked)
    assert (partial.provider, partial.quarantined) == ("acme", 1)


def test_the_new_providers_acceptance_is_its_own_and_newstore_is_acknowledged_once() -> None:
    request = stopped(after(reroute(), start=accepted()))
    assert request.status is Status.ACKNOWLEDGED
    assert not any(unit.accepted for unit in request.units)
    dead = ended(request, Operation.CREATE, End.UNDECIDABLE)
    assert dead.failure == "dead_create"
    spoken = after(said(Word.ACCEPTED, provider="beta", event="b"), start=dead)
    assert all(unit.accepted for unit in spoken.units)
    assert spoken.failure is None
    assert operations(spoken) == []


def test_a_rejection_that_waits_for_proof_is_ended_by_a_persons_word() -> None:
    unproved = said(Word.REJECTED, items={"TEE": 1}, reason=NO_STOCK, is_proof=False)
    request = after(unproved, start=accepted())
    facts = [event.fact for event in events(request, reject_by_hand(can_withdraw=False, how="they said so"))]
    assert facts[1:] == [
        UnitsRejected((1,), NO_STOCK, "ada", "flood"),
        RejectionProven((0, 1), NO_STOCK, "ada: they said so"),
    ]
    whole = after(said(Word.REJECTED, reason=NO_STOCK, is_proof=False), start=accepted())
    assert names(whole, reject_by_hand(how="they said so")) == ["OrderWithdrawn", "RejectionProven"]
    assert operations(stopped(after(reject_by_hand(), start=whole))) == [Operation.REJECT]


def test_a_look_up_that_finds_nothing_makes_a_reroute_safe() -> None:
    request = dead_create(End.UNDECIDABLE)
    request = after(Recheck(request_id="r-1", at=AT, who="ada", action_id="look", can_look_up=True), start=request)
    assert names(looked_up(request, found=False), reroute(can_withdraw=False)) == ["OrderWithdrawn", "ProviderAssigned"]
    assert names(looked_up(request, found=True), reroute(can_withdraw=False)) == ["Declined"]


def test_a_reroute_says_who_and_why() -> None:
    facts = [event.fact for event in events(after(receive()), reroute())]
    assert facts == [
        OrderWithdrawn(0, "the order never reached a provider"),
        ProviderAssigned("beta", 2, "ada", "no power"),
    ]
    later = reroute()
    assert events(after(reroute(), start=after(receive())), replace(later, at=AT + timedelta(days=1))) == []
