"""Cases of calls out: what a provider may answer, and what must be made of it."""

from collections.abc import Awaitable

from gateway.call_errors import CallError, Refused, Throttled, Unknown
from gateway.domain.orders import Order
from gateway.providers.port import Taken

from .http_target import MOST_SENT, PAUSE
from .stand import Failed, NotApplicable, Stand, expect
from .target import Switch

_SLACK = 5.0  # seconds between two clocks, and for a slow machine


async def an_order_is_taken_once(stand: Stand) -> None:
    order = stand.order()
    taken = await stand.create(order)
    expect(isinstance(taken, Taken), f"create gives Taken, and not {taken!r}")
    expect(stand.target.orders == [order.reference], f"the provider has {stand.target.orders}, not {order.reference}")


async def a_doubled_create_makes_one_order(stand: Stand) -> None:
    if not stand.adapter.can.idempotent:
        raise NotApplicable("it does not say that a repeated create is harmless: the gateway looks first")
    order = stand.order()
    first, second = await stand.create(order), await stand.create(order)
    expect(stand.target.orders == [order.reference], f"two creates of one order made {len(stand.target.orders)}")
    ids = (first.provider_order, second.provider_order)
    expect(ids[1] in {ids[0], None}, f"the second create tells another id of the same order: {ids}")


async def a_lost_answer_is_unknown_and_then_found(stand: Stand) -> None:
    order = await _lost(stand, Switch.LOSE_AFTER)
    if stand.adapter.can.look_up:
        found = await stand.adapter.look_up(order)
        expect(found is not None, "the provider has the order, and the look-up does not find it")
    elif stand.adapter.can.idempotent:
        await stand.create(order)
    else:
        raise NotApplicable("it can neither be asked nor told twice: a person decides")
    expect(stand.target.orders == [order.reference], f"the provider has {stand.target.orders}")


async def a_lost_call_is_unknown_and_then_not_found(stand: Stand) -> None:
    order = await _lost(stand, Switch.LOSE_BEFORE)
    if stand.adapter.can.look_up:
        found = await stand.adapter.look_up(order)
        expect(found is None, f"the provider never had the order, and the look-up finds {found}")
    elif not stand.adapter.can.idempotent:
        raise NotApplicable("it can neither be asked nor told twice: a person decides")
    await stand.create(order)
    expect(stand.target.orders == [order.reference], f"the provider has {stand.target.orders}")


async def _lost(stand: Stand, how: Switch) -> Order:
    _switch(stand, how)
    order = stand.order()
    error = await _failure(stand.create(order), "a create that is not answered")
    expect(isinstance(error, Unknown), f"a create that is not answered is Unknown, and not {_shown(error)}")
    return order


async def a_look_up_that_finds_another_order_finds_nothing(stand: Stand) -> None:
    _needs_look_up(stand)
    await stand.sent()
    order = stand.order()
    _switch(stand, Switch.ANOTHER)
    found = await _answer(stand.adapter.look_up(order))
    expect(not isinstance(found, Taken), "the look-up was answered with another order, and took it for this one")


async def an_unknown_order_is_not_found(stand: Stand) -> None:
    order = stand.order()
    if not (stand.adapter.can.look_up or stand.adapter.can.withdraw):
        raise NotApplicable("it neither looks up nor withdraws")
    if stand.adapter.can.look_up:
        found = await stand.adapter.look_up(order)
        expect(found is None, f"the look-up of an order that is not there gives None, and not {found}")
    if stand.adapter.can.withdraw:
        proof = await stand.adapter.withdraw(order)
        expect(proof is None, f"the withdrawal of an order that is not there gives None, and not {proof!r}")


async def an_order_that_is_refused_is_refused(stand: Stand) -> None:
    _switch(stand, Switch.REFUSE)
    error = await _failure(stand.create(stand.order()), "an order that the provider will not take")
    expect(isinstance(error, Refused), f"an order that the provider will not take is Refused, not {_shown(error)}")
    expect(not stand.target.orders, "the provider has an order that it refused")


async def a_provider_that_is_asked_too_often_is_left_alone_until_its_date(stand: Stand) -> None:
    _switch(stand, Switch.THROTTLE)
    error = await _failure(stand.create(stand.order()), "a 429")
    if not isinstance(error, Throttled):
        raise Failed(f"a 429 is Throttled, and not {_shown(error)}")
    wait, meant = error.retry_after, PAUSE.total_seconds()
    expect(abs(wait - meant) < _SLACK, f"its Retry-After is a date in {meant:g} s, and was read as {wait:g} s")


async def a_token_that_expires_mid_call_is_renewed(stand: Stand) -> None:
    await stand.sent()
    _switch(stand, Switch.EXPIRE)
    order = stand.order()
    try:
        await stand.create(order)
    except CallError as error:
        raise Failed(f"the token expired, and the create ended as {_shown(error)}: get a new one and repeat") from error
    expect(stand.target.orders.count(order.reference) == 1, "the order was not made once under the new token")


async def an_empty_answer_proves_nothing(stand: Stand) -> None:
    await _proves_nothing(stand, Switch.EMPTY)


async def an_answer_that_breaks_off_proves_nothing(stand: Stand) -> None:
    await _proves_nothing(stand, Switch.MALFORMED)


async def an_answer_of_another_shape_proves_nothing(stand: Stand) -> None:
    await _proves_nothing(stand, Switch.OTHER_SHAPE)


async def an_answer_without_end_is_cut_off(stand: Stand) -> None:
    await _proves_nothing(stand, Switch.OVERSIZED)
    sent = getattr(stand.target, "sent", 0)
    expect(sent < MOST_SENT, f"{sent} bytes of an answer without end were read: stop after a few million")


async def _proves_nothing(stand: Stand, answer: Switch) -> None:
    """Of an order that is there: it is never said to be missing, and no write is said to have failed."""
    _switch(stand, answer)
    order = stand.order()
    told = await _answer(stand.create(order))
    may_be_there = isinstance(told, Taken | Unknown)
    expect(may_be_there, f"the provider took the order and gave {answer}: Taken or Unknown, and not {_shown(told)}")
    if stand.adapter.can.look_up:
        _switch(stand, answer)
        found = await _answer(stand.adapter.look_up(order))
        expect(found is not None, f"the look-up got {answer}, and says that the order is not there")
    if stand.adapter.can.withdraw:
        _switch(stand, answer)
        proof = await _answer(stand.adapter.withdraw(order))
        expect(proof is not None, f"the withdrawal got {answer}, and says that the order was never there")


async def a_web_page_is_not_the_providers_word(stand: Stand) -> None:
    _switch(stand, Switch.WEB_PAGE)
    order = stand.order()
    told = await _answer(stand.create(order))
    expect(isinstance(told, Unknown), f"a create got {Switch.WEB_PAGE}: that is Unknown, and not {_shown(told)}")
    if stand.adapter.can.look_up:
        _switch(stand, Switch.WEB_PAGE)
        found = await _answer(stand.adapter.look_up(order))
        expect(isinstance(found, CallError), f"a look-up got {Switch.WEB_PAGE}, and believes it: {_shown(found)}")
    if stand.adapter.can.withdraw:
        _switch(stand, Switch.WEB_PAGE)
        proof = await _answer(stand.adapter.withdraw(order))
        expect(isinstance(proof, CallError), f"a withdrawal got {Switch.WEB_PAGE}, and believes it: {_shown(proof)}")


async def an_order_that_is_withdrawn_stops(stand: Stand) -> None:
    _needs_withdraw(stand)
    order = await stand.sent()
    for time in ("first", "second"):
        proof = await stand.adapter.withdraw(order)
        expect(isinstance(proof, str) and proof, f"the {time} withdrawal says how the provider stopped, not {proof!r}")
    expect(order.reference in stand.target.stopped, "it is told that the order stopped, and the provider goes on")


async def an_order_that_was_picked_is_not_withdrawn(stand: Stand) -> None:
    _needs_withdraw(stand)
    order = await stand.sent()
    stand.target.pick(order)
    told = await _answer(stand.adapter.withdraw(order))
    expect(isinstance(told, Refused), f"the provider goes on with the order: that is Refused, and not {_shown(told)}")


async def what_is_sent_is_written_the_same_each_time(stand: Stand) -> None:
    order, again = (stand.order("TEE", "TEE", "CAP", name="b7a0c1de-52f4-4d0e-9a51-000000000099") for _ in range(2))
    body = stand.adapter.compose(order)
    expect(isinstance(body, bytes) and body, f"compose gives bytes, and not {body!r}")
    expect(stand.adapter.compose(order) == body == stand.adapter.compose(again), "compose writes one order in two ways")
    expect(stand.adapter.compose(stand.order("CAP")) != body, "compose writes two orders in the same way")
    expect(not stand.target.orders, "compose has sent something")


async def a_check_reaches_the_provider_and_changes_nothing(stand: Stand) -> None:
    await stand.adapter.check()
    expect(not stand.target.orders, "check has made an order")


def _switch(stand: Stand, what: Switch) -> None:
    if what not in stand.target.switches:
        raise NotApplicable(f"its target has no switch for {what}")
    stand.target.switch(what)


def _needs_look_up(stand: Stand) -> None:
    if not stand.adapter.can.look_up:
        raise NotApplicable("it looks no order up")


def _needs_withdraw(stand: Stand) -> None:
    if not stand.adapter.can.withdraw:
        raise NotApplicable("it withdraws no order")


async def _answer(call: Awaitable[object]) -> object:
    """Give what a call gives, or how it failed."""
    try:
        return await call
    except CallError as error:
        return error


async def _failure(call: Awaitable[object], of: str) -> CallError:
    told = await _answer(call)
    if not isinstance(told, CallError):
        raise Failed(f"{of} is told as {_shown(told)}")
    return told


def _shown(told: object) -> str:
    return f"{type(told).__name__} ({told})" if isinstance(told, CallError) else repr(told)


CASES = (
    an_order_is_taken_once,
    a_doubled_create_makes_one_order,
    a_lost_answer_is_unknown_and_then_found,
    a_lost_call_is_unknown_and_then_not_found,
    a_look_up_that_finds_another_order_finds_nothing,
    an_unknown_order_is_not_found,
    an_order_that_is_refused_is_refused,
    a_provider_that_is_asked_too_often_is_left_alone_until_its_date,
    a_token_that_expires_mid_call_is_renewed,
    an_empty_answer_proves_nothing,
    an_answer_that_breaks_off_proves_nothing,
    an_answer_of_another_shape_proves_nothing,
    an_answer_without_end_is_cut_off,
    a_web_page_is_not_the_providers_word,
    an_order_that_is_withdrawn_stops,
    an_order_that_was_picked_is_not_withdrawn,
    what_is_sent_is_written_the_same_each_time,
    a_check_reaches_the_provider_and_changes_nothing,
)
