"""Wrong keys are counted, logged and answered ever more slowly; a right one is never, whoever else fails beside it."""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network
from time import monotonic

from aiohttp import web

from gateway.telemetry import metrics
from gateway.telemetry.logs import log

_FREE = 3  # failures that cost nothing: people mistype
_FIRST = 0.25  # seconds that the next one waits, and each further one twice as long
_LONGEST = 8.0
_FORGOTTEN = 900.0  # seconds after the last failure
_MOST_KNOWN = 10_000
_PREFIX = 64  # bits of an IPv6 address: what lies behind is one household's


class Guesses:
    """The failures of the last while, by address and by the name that was tried."""

    def __init__(self, most_waiting: int, draining: asyncio.Event) -> None:
        self._most_waiting = most_waiting  # so that those who wait never take all places of a listener
        self._draining = draining  # a stop waits for no answer that is only slow on purpose
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._waiting = 0

    async def failed(self, door: str, address: str, name: str = "") -> None:
        """Note a wrong key, and let whoever gave it wait for the answer."""
        failures = self._note(_house(address))
        metrics.of(metrics.CREDENTIALS_REFUSED, door).inc()
        if failures & (failures - 1) == 0:  # 1, 2, 4, 8 …: a flood writes few lines
            log("credentials.refused", door=door, name=name or None, address=address, failures=failures)
        if name:
            failures = max(failures, self._note(f"{door} {name}"))
        if failures <= _FREE or self._waiting >= self._most_waiting:
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(min(_FIRST * 2 ** min(failures - _FREE - 1, 10), _LONGEST)):
                await self._draining.wait()
        except TimeoutError:
            return
        finally:
            self._waiting -= 1

    def _note(self, whose: str) -> int:
        failures, last = self._failures.pop(whose, (0, 0.0))
        now = monotonic()
        failures = 1 if now - last > _FORGOTTEN else failures + 1
        self._failures[whose] = failures, now
        if len(self._failures) > _MOST_KNOWN:
            self._failures.popitem(last=False)
        return failures


def address_of(request: web.Request, trusted: Collection[IPv4Network | IPv6Network]) -> str:
    """Give the address of a caller; what a proxy says of it counts only where the settings trust the proxy."""
    address = request.remote or ""
    said = request.headers.get("X-Forwarded-For", "").split(",")
    while said and _is_in(address, trusted):
        before = said.pop().strip()
        if not _is_address(before):
            break
        address = before
    return address


def _is_in(address: str, networks: Collection[IPv4Network | IPv6Network]) -> bool:
    return _is_address(address) and any(ipaddress.ip_address(address) in each for each in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _house(address: str) -> str:
    if _is_address(address) and ipaddress.ip_address(address).version == 6:
        return str(ipaddress.ip_network((address, _PREFIX), strict=False))
    return address
