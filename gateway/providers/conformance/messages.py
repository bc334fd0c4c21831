"""Cases of messages in: what a provider says, in which order and how often, and what must be made of it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

from multidict import CIMultiDict

from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel, normal
from gateway.domain.orders import Order
from gateway.providers.port import Admission, Look, Malformed, Message, Proof, Reading, Statement, Unreadable

from .stand import End, Failed, NotApplicable, Stand, expect, names
from .target import Happening, Target

FIRST, SECOND = Parcel("UPS", "1Z999AA10123456784"), Parcel("UPS", "1Z999AA10123456795")
NO_STOCK = RejectionReason.NO_INVENTORY
_LATER = timedelta(hours=2)
_MOST_ORDERS = 24  # in which a few messages are heard


def ships(order: Order, parcel: Parcel = FIRST, **items: int) -> Happening:
    return Happening(order=order, word=Word.SHIPPED, items=items, parcel=parcel)


def accepts(order: Order, **items: int) -> Happening:
    return Happening(order=order, word=Word.ACCEPTED, items=items)


def rejects(order: Order, target: Target, **items: int) -> Happening:
    """Reject for lack of stock, or for the reason that this provider has a word for."""
    reason = NO_STOCK if NO_STOCK in target.reasons else next(iter(target.reasons))
    return Happening(order=order, word=Word.REJECTED, items=items, reason=reason)


async def every_word_that_the_provider_has_is_read(stand: Stand) -> None:
    for word in Word:
        for reason in RejectionReason if word is Word.REJECTED else [None]:
            if word not in stand.target.words or (reason and reason not in stand.target.reasons):
                continue
            order = await stand.sent("TEE", "TEE", "CAP")
            parcel = FIRST if word is Word.SHIPPED else None
            what = Happening(order=order, word=word, items={"TEE": 1}, reason=reason, parcel=parcel)
            read = await _statements(stand, order, await stand.told(what))
            units = {} if word is Word.ACCEPTED and stand.target.accepts_whole else {"TEE": 1}
            wanted = f"{word} {reason or ''} {units} {parcel.tracking_code if parcel else ''}"
            # what a hint leads to and what a poll brings may be the same
            found = sorted({_in_words(each) for each in read})
            expect(found == [wanted], f"{wanted} is read as {' and '.join(found) or 'nothing'}")


async def a_carrier_is_told_by_the_settings_word_for_it(stand: Stand) -> None:
    order = await stand.sent("TEE")
    provider = replace(stand.adapter.provider, carriers={normal(FIRST.carrier): "United Parcel"})
    stand.adapter = type(stand.adapter)(provider, stand.adapter.session)
    for each in await _statements(stand, order, await stand.told(ships(order, TEE=1))):
        if each.parcel:
            told = (each.parcel.carrier, each.parcel.carrier_said)
            expect(
                told == ("United Parcel", FIRST.carrier), f"the settings call UPS United Parcel, and it reads {told}"
            )


async def an_order_ships_in_parts(stand: Stand) -> None:
    order = await stand.sent("TEE", "TEE", "CAP")
    messages = await stand.told(ships(order, TEE=1)) + await stand.told(ships(order, SECOND, TEE=1, CAP=1))
    await _ends(stand, order, messages, _shipped("CAP", SECOND), _shipped("TEE"), _shipped("TEE", SECOND))


async def what_is_short_is_rejected_beside_what_ships(stand: Stand) -> None:
    order = await stand.sent("TEE", "TEE", "CAP")
    short = rejects(order, stand.target, TEE=1)
    messages = await stand.told(short) + await stand.told(ships(order, TEE=1, CAP=1))
    await _ends(stand, order, messages, _shipped("CAP"), ("TEE", "rejected", str(short.reason)), _shipped("TEE"))


async def a_doubled_message_changes_nothing(stand: Stand) -> None:
    order, messages, end = await _lived(stand)
    at_once = [each for message in messages for each in (message, message)]
    _same(end, await stand.end(order, at_once), "a message that comes twice at once changes something")
    _same(end, await stand.end(order, [*messages, *messages]), "messages that come twice change something")


async def a_late_message_is_known_again(stand: Stand) -> None:
    order, messages, end = await _lived(stand)
    late = [replace(message, at=message.at + _LATER) for message in messages]
    _same(end, await stand.end(order, late), "when a message comes changes what it says")
    again = [each for both in zip(messages, late, strict=True) for each in both]
    _same(end, await stand.end(order, again), "a message that comes again hours later is not known again")


async def messages_in_another_order_end_the_same(stand: Stand) -> None:
    order, messages, end = await _lived(stand)
    for turned in _orders(messages):
        _same(end, await stand.end(order, turned), "in another order the messages come to something else")


async def more_of_one_parcel_adds_up(stand: Stand) -> None:
    order = await stand.sent("TEE", "TEE", "TEE")
    messages = await stand.told(ships(order, TEE=1)) + await stand.told(ships(order, TEE=2))
    await _ends(stand, order, messages, *[_shipped("TEE")] * 3)
    for turned in _orders(messages):
        await _ends(stand, order, [*turned, *turned], *[_shipped("TEE")] * 3)


async def a_message_with_a_bad_signature_is_nobodys(stand: Stand) -> None:
    message = await _pushed(stand)
    expect(_proof(stand, message), "the provider's own message is turned away")
    heads = {name: value for name, value in message.headers.items() if _is_credential(stand, name)}
    expect(heads, f"the message has none of the headers of credentials: {stand.adapter.credentials}")
    for name, value in heads.items():
        rest = {other: text for other, text in message.headers.items() if other != name}
        _nobodys(stand, rest, message.body, f"without {name}")
        for wrong in ("", value[:-4], f"{value[:-4]}AAA=", value.swapcase(), "Bearer x", "v1,", "t=1,v1=", "\udcff"):
            if wrong != value:
                _nobodys(stand, {**rest, name: wrong}, message.body, f"with {name}: {wrong[:20]!r}")
    if stand.adapter.admit(message.headers, message.at.timestamp()) is Admission.TO_BE_PROVED:
        _nobodys(stand, message.headers, message.body + b" ", "with another body")


def _nobodys(stand: Stand, headers: object, body: bytes, how: str) -> None:
    message = Message(body, stand.now, headers=CIMultiDict(headers))  # type: ignore[arg-type]
    expect(_proof(stand, message) is None, f"a message {how} is taken for the provider's")


async def a_message_that_is_replayed_changes_nothing(stand: Stand) -> None:
    message = await _pushed(stand)
    replayed = replace(message, at=message.at + _LATER)
    first, again = _proof(stand, message), _proof(stand, replayed)
    if first is None:
        raise Failed("the provider's own message is turned away")
    if again is not None:
        known = [_identity(each) for each in stand.adapter.read(replace(message, name=first.name))]
        told = [_identity(each) for each in stand.adapter.read(replace(replayed, name=again.name))]
        expect(told == known, f"a message that is sent once more by a stranger has another name: {told}, not {known}")


async def a_message_that_is_kept_reads_the_same_again(stand: Stand) -> None:
    _, messages, _ = await _lived(stand)
    for message in messages:
        for each in stand.adapter.read(message):
            kept = Message(message.body if each.part is None else each.part, message.at, each.event_id)
            again = [replace(other, part=None) for other in stand.adapter.read(kept)]
            told = f"it is kept with its body and its name alone, and reads otherwise then: {again}, not {_shown(each)}"
            expect(replace(each, part=None) in again, told)


async def an_unknown_word_is_left_to_a_person(stand: Stand) -> None:
    order = await stand.sent("TEE", "CAP")
    messages = list(stand.target.unknown_word(order))
    if stand.adapter.can.poll:
        messages += await stand.told()
    expect(messages, "the target says nothing that is unknown")
    unclear = 0
    for message in messages:
        try:
            readings = await stand.readings(order, message)
        except Malformed:
            unclear += 1
            continue
        for each in readings:
            is_left = isinstance(each, Unreadable) or (isinstance(each, Statement) and each.word is None)
            expect(is_left, f"an unknown word is read as {_shown(each)}")
            unclear += is_left
            expect(not isinstance(each, Statement) or each.problem, "its problem is empty: nobody sees which word")
    expect(unclear, "an unknown word is read over: nobody hears of it")


async def a_message_about_an_unknown_order_names_it(stand: Stand) -> None:
    ours, theirs = await stand.sent("TEE"), await stand.sent("TEE")
    for message in await stand.told(accepts(theirs, TEE=1) if Word.ACCEPTED in stand.target.words else ships(theirs)):
        for each in stand.adapter.read(message):
            named = each.names
            expect(named, f"{_shown(each)} names no order: nobody can tell whose it is")
            expect(names(named, theirs), f"{_shown(each)} names {named}, and is about {theirs.reference}")
            expect(not names(named, ours), f"{_shown(each)} names another order: {named}")


async def one_bad_line_keeps_the_rest(stand: Stand) -> None:
    orders = [await stand.sent("TEE") for _ in range(3)]
    happening = [replace(ships(each, TEE=1), is_spoilt=each is orders[1]) for each in orders]
    messages = await _several(stand, happening)
    for order in orders:
        spoilt = order is orders[1]
        end = await stand.end(order, messages)
        wanted = ("TEE", "open", "") if spoilt else _shipped("TEE")
        expect(end.units == (wanted,), f"one bad line in a message: an order beside it comes to {end}")
    bad = [each for message in messages for each in stand.adapter.read(message) if isinstance(each, Unreadable)]
    expect(len(bad) == 1, f"one line can't be read, and {len(bad)} are named")
    expect(bad[0].place and bad[0].what, "it is not said where the bad line stands, and what is wrong with it")


async def the_parts_of_a_message_say_the_same_alone(stand: Stand) -> None:
    orders = [await stand.sent("TEE") for _ in range(3)]
    for message in await _several(stand, [ships(each, TEE=1) for each in orders]):
        for each in stand.adapter.read(message):
            if each.part is None:
                continue
            alone = stand.adapter.read(replace(message, body=each.part, name=each.event_id))
            told = [replace(other, part=None) for other in alone]
            expect(
                told == [replace(each, part=None)], f"a part that is kept reads otherwise: {told}, not {_shown(each)}"
            )


async def a_rejection_that_is_no_promise_is_none(stand: Stand) -> None:
    order = await stand.sent("TEE", "CAP")
    for each in await _statements(stand, order, await stand.told(rejects(order, stand.target, TEE=1, CAP=1))):
        promise = stand.target.is_promise
        told = (
            f"its rejection is read with `is_proof = {each.is_proof}` (a promise that nothing of it ships), and its "
            f"target has `is_promise = {promise}`: one of the two is wrong"
        )
        expect(each.is_proof == promise, told)


async def _lived(stand: Stand) -> tuple[Order, list[Message], End]:
    """Let an order be worked to its end."""
    order = await stand.sent("TEE", "TEE", "CAP")
    steps = [accepts(order, TEE=2)] if Word.ACCEPTED in stand.target.words else []
    steps.append(ships(order, TEE=1))
    if Word.REJECTED in stand.target.words:
        steps.append(rejects(order, stand.target, CAP=1))
    steps.append(ships(order, SECOND, TEE=1))
    messages = [message for step in steps for message in await stand.told(step)]
    end = await stand.end(order, messages)
    expect(not end.unclear, f"an order that is worked to its end comes to {end}")
    return order, messages, end


async def _several(stand: Stand, happening: Sequence[Happening]) -> list[Message]:
    if not stand.target.says_several:
        raise NotApplicable("a message of this provider is about one order")
    return await stand.told(*happening)


async def _pushed(stand: Stand) -> Message:
    if not stand.adapter.can.callbacks:
        raise NotApplicable("it does not call us")
    order = await stand.sent("TEE")
    messages = stand.target.happen(ships(order, TEE=1))
    if not messages:
        raise Failed("it says that the provider calls us, and its target sends nothing")
    stand.now = messages[0].at
    return messages[0]


def _proof(stand: Stand, message: Message) -> Proof | None:
    """Let a message in as the gateway does."""
    if stand.adapter.admit(message.headers, message.at.timestamp()) is Admission.REFUSED:
        return None
    return stand.adapter.authentic(message)


def _is_credential(stand: Stand, name: str) -> bool:
    return name.casefold() in {each.casefold() for each in stand.adapter.credentials}


async def _statements(stand: Stand, order: Order, messages: Iterable[Message]) -> list[Statement]:
    found = []
    for message in messages:
        for each in await stand.readings(order, message):
            if not isinstance(each, Statement):
                raise Failed(f"it can't be read: {_shown(each)}")
            found.append(each)
    return found


async def _ends(stand: Stand, order: Order, messages: Iterable[Message], *units: tuple[str, str, str]) -> None:
    _same(End(tuple(sorted(units))), await stand.end(order, messages), "the order comes to something else")


def _same(wanted: End, found: End, told: str) -> None:
    expect(found == wanted, f"{told}: {found}; and it should be: {wanted}")


def _shipped(product: str, parcel: Parcel = FIRST) -> tuple[str, str, str]:
    return product, "shipped", f"{parcel.carrier} {parcel.tracking_code}"


def _orders(messages: Sequence[Message]) -> list[Sequence[Message]]:
    """Give the messages in some other orders, the reverse among them."""
    return [messages[::-1], *list(permutations(messages))[:_MOST_ORDERS]]


def _in_words(said: Statement) -> str:
    where = f"{said.parcel.tracking_code}" if said.parcel else ""
    return f"{said.word} {said.reason or ''} {dict(said.items or {})} {where}{said.problem}{said.unread}"


def _identity(reading: Reading) -> tuple[str, str]:
    return reading.event_id, reading.fingerprint


def _shown(reading: Reading) -> str:
    match reading:
        case Statement():
            return f"{reading.word or reading.problem} of {dict(reading.items) if reading.items else 'all units'}"
        case Look():
            return "a hint to read an order"
        case Unreadable():
            return f"unreadable ({reading.place}: {reading.what})"


CASES = (
    every_word_that_the_provider_has_is_read,
    a_carrier_is_told_by_the_settings_word_for_it,
    an_order_ships_in_parts,
    what_is_short_is_rejected_beside_what_ships,
    a_doubled_message_changes_nothing,
    a_late_message_is_known_again,
    messages_in_another_order_end_the_same,
    more_of_one_parcel_adds_up,
    a_message_with_a_bad_signature_is_nobodys,
    a_message_that_is_replayed_changes_nothing,
    a_message_that_is_kept_reads_the_same_again,
    an_unknown_word_is_left_to_a_person,
    a_message_about_an_unknown_order_names_it,
    one_bad_line_keeps_the_rest,
    the_parts_of_a_message_say_the_same_alone,
    a_rejection_that_is_no_promise_is_none,
)
