"""Find out whether a provider has an order of which its answer left a doubt."""

from collections.abc import Awaitable, Callable

from gateway.call_errors import Disputed, Inconclusive, NotSent, Refused, Unknown
from gateway.domain.orders import Order

from .port import Taken

LookUp = Callable[[Order], Awaitable[Taken | None]]


async def confirmed(look_up: LookUp, order: Order, status: int, body: bytes, *, exists: bool) -> Taken:
    """Look an order up whose create was answered with "already here" (`exists`), or with a 2xx that says no."""
    said = "that it has the order" if exists else "no"
    try:
        found = await look_up(order)
    except Inconclusive as told:
        raise Disputed(f"answered {status} and says {said}; {told.detail}", status, body) from told
    except (NotSent, Unknown) as error:
        raise Unknown(f"answered {status} and says {said}; {error.detail}", status, body) from error
    if found is not None:
        return found
    if exists:
        raise Disputed(f"answered {status}, and its look-up does not know the order: ask it", status, body)
    raise Refused(f"answered {status} and says no: it will not take this order", status, body)
