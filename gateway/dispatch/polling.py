"""Ask providers for news: one process at a time, page after page, each kept before the next one is asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from random import random
from time import monotonic

from asyncpg import Pool

from gateway.call_errors import LONGEST_WAIT, CallError, Throttled, Unknown
from gateway.ledger.database.connections import DATABASE_AWAY
from gateway.ledger.queue import holds, polls
from gateway.ledger.queue.polls import Poll
from gateway.ledger.queue.processes import Membership
from gateway.ledger.write.queued import LedgerUnavailable
from gateway.providers.port import Adapter, Message, Page
from gateway.sending import NotDispatched, may_leave
from gateway.telemetry import metrics, trace
from gateway.telemetry.logs import log

from .limiter import DestinationLimiter
from .outcomes import FAILURES, left_alone, outcome_of

Hear = Callable[[str, Message], Awaitable[bool]]
"""Stores all that a message says before it returns, and tells whether any of it was new."""

_TICK = 0.5  # seconds between looks for polls that are due
_ENROL = 30.0  # seconds between looks at which providers are polled: a reload may have changed it
_KEPT_FOR = 20.0  # seconds for which a claim is made, again and again as long as its process goes on
_KEEP = 5.0
_SHORTEST = 60.0  # seconds that a page may take at least; else two calls' time, for a token may have to be got first
_SOON = 1.0  # seconds until a page is asked for again that could not be stored
_JITTER = 0.1  # of an interval, so that providers are not all asked at once
_BACK_OFF = (1.0, 2.0, 4.0, 8.0, 15.0)  # intervals, after so many failures
_LONGEST = 900.0  # seconds between two polls that fail, unless the interval is longer
_MOST_SEEN = 10_000
_STUCK = "it says that there is more, and gives the same again: what comes after that can't be had; ask it why"
OPERATION = "poll"


class Poller:
    """Polls the providers whose adapters do that, as a member of all processes that do."""

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        hear: Hear,
        pool: Pool,
        membership: Membership,
        limiters: Mapping[str, DestinationLimiter],
    ) -> None:
        self._adapters = adapters
        self._hear = hear
        self._pool = pool
        self._membership = membership
        self._limiters = limiters
        self._enrolled_at = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: set[asyncio.Task[Page]] = set()
        self._stopping = asyncio.Event()
        self._seen: dict[str, set[str]] = {}  # the cursors of the pages that followed each other at once

    def stop(self) -> None:
        """Ask for no more pages, and wait for none; what has come is stored."""
        self._stopping.set()
        for call in self._calls:
            call.cancel()

    async def run(self) -> None:
        """Poll until stopped; what has come then is stored until `settled`."""
        while not self._stopping.is_set():
            try:
                await self.run_once()
            except DATABASE_AWAY as error:
                log("sweep.interrupted", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await self._stopping.wait()

    async def run_once(self) -> int:
        """Begin the polls that are due where a destination has room, and say how many."""
        polled = {name: each for name, each in self._adapters.items() if each.can.poll}
        await self._enrol(polled)
        room = {name: self._limiters[name].limits.concurrency for name in polled if self._limiters[name].may_poll}
        if not room or not self._membership.is_alive:
            return 0
        claimed = await polls.claim(self._pool, room, owner=self._membership.owner, seconds=_KEPT_FOR)
        for each in claimed:
            task = asyncio.create_task(self._poll(each))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(claimed)

    async def settled(self) -> None:
        """Wait until what has come is stored."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _enrol(self, polled: Mapping[str, Adapter]) -> None:
        if monotonic() - self._enrolled_at < _ENROL:
            return
        every = {name: each.provider.poll_seconds for name, each in polled.items()}
        await polls.enrol(self._pool, every, [name for name in self._adapters if name not in polled])
        self._enrolled_at = monotonic()

    async def _poll(self, poll: Poll) -> None:
        keeping = asyncio.create_task(self._keep(poll))
        span = trace.attempt(None, continues=False, destination=poll.provider, operation=OPERATION)
        try:
            outcome = await self._page(poll, self._adapters[poll.provider])
            trace.end(span, failed=outcome in FAILURES or outcome == "stuck", outcome=outcome)
        except DATABASE_AWAY as error:
            log("sweep.interrupted", error)  # the claim runs out by itself
        except Exception as error:  # noqa: BLE001 - whatever one adapter does, the others go on
            metrics.of(metrics.ATTEMPTS, poll.provider, OPERATION, "broke").inc()
            log("call.broke", error, destination=poll.provider, operation=OPERATION)
            trace.end(span, failed=True, outcome="broke")
            await self._failed(poll, f"the adapter broke ({type(error).__name__}): the gateway's log says where")
        finally:
            keeping.cancel()

    async def _keep(self, poll: Poll) -> None:
        """Renew the claim as long as this process goes on; one that stands still loses it."""
        while True:
            await asyncio.sleep(_KEEP)
            with suppress(*DATABASE_AWAY):
                await polls.renew(self._pool, poll, _KEPT_FOR)

    async def _page(self, poll: Poll, adapter: Adapter) -> str:
        """Ask for a page, store it, and name how that went."""
        try:
            page = await self._ask(poll, adapter)
            is_new = await self._store(poll, page)
            if is_new is None:
                return "lost"
            await adapter.acknowledge(page)
        except CallError as error:
            return await self._refused(poll, error)
        except (NotDispatched, LedgerUnavailable, asyncio.CancelledError):
            await polls.give_back(self._pool, poll, _SOON)
            return "not_made"
        return await self._done(poll, adapter, page, is_new=is_new)

    async def _ask(self, poll: Poll, adapter: Adapter) -> Page:
        """Ask for a page within the destination's budget, which is free again before the page is stored."""
        limiter = self._limiters[poll.provider]
        reserved, began = limiter.start(), monotonic()
        error: Exception | None = None
        may_leave.set(lambda: self._membership.is_alive and self._membership.owner == poll.owner)
        limit = max(_SHORTEST, 2 * limiter.seconds)
        call = asyncio.create_task(adapter.poll(poll.cursor))
        self._calls.add(call)
        try:
            async with asyncio.timeout(limit):
                return await call
        except TimeoutError as late:
            error = Unknown(f"no page within {limit:g} s")
            raise error from late
        except asyncio.CancelledError:
            error = NotDispatched("this process stops")
            raise
        except Exception as failed:
            error = failed
            raise
        finally:
            self._calls.discard(call)
            limiter.end(error, reserved)
            limiter.settled()
            metrics.of(metrics.ATTEMPT_SECONDS, poll.provider, OPERATION).observe(monotonic() - began)

    async def _store(self, poll: Poll, page: Page) -> bool | None:
        """Keep all messages, then where the next page begins. Tells whether any was new; None if we lost the poll."""
        is_new = False
        for each in page.messages:
            with trace.hearing():
                is_new |= await self._hear(poll.provider, each)
        return is_new if await polls.move(self._pool, poll, page.cursor) else None

    async def _done(self, poll: Poll, adapter: Adapter, page: Page, *, is_new: bool) -> str:
        is_stuck = self._is_stuck(poll, page)
        outcome = "stuck" if is_stuck else "done"
        metrics.of(metrics.ATTEMPTS, poll.provider, OPERATION, outcome).inc()
        if is_stuck and not is_new:
            await self._failed(poll, _STUCK)
        else:
            at_once = page.more and not is_stuck
            await polls.succeed(self._pool, poll, 0.0 if at_once else _spread(adapter.provider.poll_seconds))
        return outcome

    def _is_stuck(self, poll: Poll, page: Page) -> bool:
        """Tell whether more is said to come, from a place where we were since a page last said that it was the last."""
        seen = self._seen.setdefault(poll.provider, set())
        seen.add(poll.cursor)
        is_stuck = page.more and page.cursor in seen
        if is_stuck or not page.more or len(seen) > _MOST_SEEN:
            del self._seen[poll.provider]
        return is_stuck

    async def _refused(self, poll: Poll, error: CallError) -> str:
        outcome = outcome_of(error).name
        metrics.of(metrics.ATTEMPTS, poll.provider, OPERATION, outcome).inc()
        log("poll.failed", destination=poll.provider, outcome=outcome, status=error.status)
        wait = None
        if isinstance(error, Throttled):
            wait = min(error.retry_after, LONGEST_WAIT)  # beyond, a hold keeps it back
            if held := left_alone(poll.provider, error, datetime.now(UTC)):
                await holds.place_once(self._pool, held.scope, held.name, held.reason)
        await self._failed(poll, str(error)[:500], wait)
        return outcome

    async def _failed(self, poll: Poll, detail: str, wait: float | None = None) -> None:
        every = self._adapters[poll.provider].provider.poll_seconds
        if wait is None:
            times = _BACK_OFF[min(poll.failures, len(_BACK_OFF) - 1)]
            wait = _spread(max(every, min(times * every, _LONGEST)))
        await polls.fail(self._pool, poll, wait, detail)


def _spread(seconds: float) -> float:
    return seconds * (1 + _JITTER * (2 * random() - 1))  # noqa: S311 - jitter
