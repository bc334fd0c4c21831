"""Compare what a restore has left open with NewStore, once the hold of the paused start is released."""

import asyncio
from datetime import UTC, datetime

import asyncpg

from gateway.domain.commands import Compare
from gateway.ledger.queue import comparison
from gateway.ledger.queue.comparison import Progress
from gateway.ledger.write.writer import Writer
from gateway.newstore.read_backs import offered
from gateway.settings import Settings
from gateway.telemetry.logs import log

_MOST = 100  # requests about which NewStore is asked at once: proofs of new reports wait behind their reads
_TELL = 30.0  # seconds between two lines about how far it is


class Comparing:
    """Have NewStore asked about a few requests at a time. Each process does, and finds asked what another has asked."""

    def __init__(self, pool: asyncpg.Pool, writer: Writer, settings: Settings, *, tell_every: float = _TELL) -> None:
        self._pool = pool
        self._writer = writer
        self._read_backs = offered(settings.newstore.read_back)
        self._tell_every = tell_every
        self._is_begun = False
        self._tells_at = float("-inf")

    async def run_once(self) -> int:
        """Have the next requests asked about, and return how many."""
        hold, request_ids = await comparison.next_to_ask(self._pool, _MOST)
        if request_ids:
            self._is_begun = True
            await asyncio.gather(*(self._ask(hold, request_id) for request_id in request_ids))
            await comparison.asked(self._pool, hold, request_ids)
        if self._is_begun and asyncio.get_running_loop().time() >= self._tells_at:
            self._tell(await comparison.progress(self._pool))
        return len(request_ids)

    async def _ask(self, hold: int, request_id: str) -> None:
        await self._writer.apply(
            Compare(request_id=request_id, at=datetime.now(UTC), hold=hold, read_backs=self._read_backs)
        )

    def _tell(self, progress: Progress | None) -> None:
        if progress is None:
            return
        log("restore.compared", compared=progress.compared, of=progress.of)
        self._tells_at = asyncio.get_running_loop().time() + self._tell_every
        self._is_begun = not progress.is_over
