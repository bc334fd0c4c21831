"""What the answers to a create, a look-up and a withdrawal come to, by the mapping: what they leave open is raised."""

from gateway.call_errors import Disputed, Inconclusive, NotSent, Refused, Unknown

from . import answers
from .port import Call, Taken
from .rest_expressions import Expression, Odd
from .rest_mapping import Create, LookUp, MappingFile, Withdraw
from .rest_reading import orders_in
from .transports.http import believed


def taken(create: Create, status: int, answer: bytes) -> Taken:
    """Read a good answer to a create. Raises `Disputed` where it says no, and `Unknown`."""
    told = believed(status, answer)
    if answers.says_no(told):
        raise Disputed(f"answered {status} and says no: ask it whether it has the order", status, answer)
    if create.provider_order is None:
        return Taken(status)
    named = _id_in(create.provider_order, told)
    if named is None:
        what = f"{create.provider_order} finds no id in it: it may have taken the order"
        raise Unknown(f"answered {status}, and {what}", status, answer)
    return Taken(status, named)


def found(look_up: LookUp, status: int, answer: bytes) -> list[tuple[str, str | None]]:
    """Read a good answer to a look-up: of each order in it our reference, and the provider's own id.

    Raises `Inconclusive`.
    """
    try:
        orders = orders_in(look_up.orders, answers.decoded(answer))
        named = [(answers.id_of(look_up.reference.of(each)) or "", each) for each in orders]
    except ValueError as error:
        raise Inconclusive(f"the look-up answered {status} and no JSON", status, answer) from error
    except Odd as odd:
        raise Inconclusive(f"the look-up answered {status}, but {odd}", status, answer) from odd
    return [(name, _id_in(look_up.provider_order, each) if look_up.provider_order else None) for name, each in named]


def stopped(withdraw: Withdraw, status: int, answer: bytes) -> str:
    """Read a good answer to a withdrawal, and say how it says that nothing more ships. Raises a `CallError`."""
    if status == 202 and withdraw.stopped is None:
        raise NotSent(f"answered {status}: it has not stopped yet", status, answer)
    told = believed(status, answer)
    if answers.says_no(told):
        raise Refused(f"answered {status} and says no: it goes on with the order", status, answer)
    if withdraw.stopped is None:
        return f"answered {status}"
    try:
        is_so = withdraw.stopped.of(told)
    except Odd as odd:
        raise Unknown(f"answered {status}, and {odd}: it may have stopped", status, answer) from odd
    if is_so is False:
        raise Refused(f"answered {status}, and {withdraw.stopped} is false: it goes on with the order", status, answer)
    if is_so is not True:
        raise Unknown(f"answered {status}, and {withdraw.stopped} is neither true nor false", status, answer)
    return f"answered {status}, {withdraw.stopped}"


def judged(mapping: MappingFile, call: Call, answer: bytes) -> str:
    """Say what an answer with status 200 comes to. Raises a `CallError`."""
    about = getattr(mapping, call)
    if about is None:
        raise Inconclusive(f"the mapping has no [{call}]: add it")
    if isinstance(about, Create):
        named = taken(about, 200, answer).provider_order
        return f"it has the order{f'; its id is {named}' if named else ''}"
    if isinstance(about, Withdraw):
        return f"{stopped(about, 200, answer)}: nothing more of the order ships"
    return ", and ".join(_has(about, *each) for each in found(about, 200, answer)) or "it has no such order"


def _has(look_up: LookUp, reference: str, named: str | None) -> str:
    if not reference:
        raise Inconclusive(f"it shows an order, and {look_up.reference} finds no reference in it")
    if look_up.provider_order and not named:
        raise Inconclusive(f"it shows the order {reference}, and {look_up.provider_order} finds no id in it")
    return f"it has the order {reference}{f'; its id is {named}' if named else ''}"


def _id_in(expression: Expression, answer: object) -> str | None:
    """Find the provider's own id of an order."""
    try:
        return answers.id_of(expression.of(answer))
    except Odd:
        return None
