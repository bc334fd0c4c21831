"""Which processes live: each holds an advisory lock on a connection of its own, and writes a heartbeat."""

import asyncio
import os
import secrets
import socket
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

from gateway.domain.deliveries import HARMLESS
from gateway.ledger.database.connections import DATABASE_AWAY, Connect, Connection
from gateway.ledger.database.seen import Seen
from gateway.telemetry import metrics
from gateway.telemetry.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable

_BEAT = 0.5  # seconds
_SILENT = 1.2  # seconds without a heartbeat after which a process without its lock counts as dead
_STALE = 8.0  # seconds without a heartbeat after which it counts as dead, whatever its connection says
_LOOKS = 20  # of a process whose own heartbeat goes on, in which another's did not: that one is dead
_TRUSTED = 5.0  # seconds since the last heartbeat for which a process may believe that its claims are its own

_LOCK = "SELECT pg_advisory_lock($1)"
_REGISTER = "INSERT INTO processes (owner, key) VALUES ($1, $2)"
_COME_BACK = """
UPDATE processes SET key = $2, started_at = clock_timestamp(), heartbeat_at = clock_timestamp() WHERE owner = $1
RETURNING started_at
"""
_HEARTBEAT = """
WITH counted AS (UPDATE positions SET number = $3, at = clock_timestamp() WHERE name = $2)
UPDATE processes SET heartbeat_at = clock_timestamp() WHERE owner = $1 RETURNING heartbeat_at
"""
_LEAVE = """
WITH gone AS (DELETE FROM processes WHERE owner = $1)
UPDATE incarnations SET alive_at = clock_timestamp() WHERE number = (SELECT max(number) FROM incarnations)
RETURNING alive_at
"""
_EXPIRE = """
WITH back AS (
    SELECT greatest(pg_postmaster_start_time(), $1::timestamptz) AS at, clock_timestamp() AS now
)
DELETE FROM processes p USING back
WHERE p.owner = ANY($4) OR greatest(p.heartbeat_at, back.at) < back.now - make_interval(secs => $2)
    OR p.heartbeat_at > back.at AND p.heartbeat_at < back.now - make_interval(secs => $3) AND NOT EXISTS (
        SELECT FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (l.classid::bigint << 32) | l.objid::bigint = p.key)
RETURNING p.owner
"""
_HEARTBEATS = "SELECT owner, heartbeat_at FROM processes WHERE owner <> $1"
# A row that another statement has in hand is left to the next look: waiting for it could end in a deadlock.
_TAKE_OVER = """
WITH lost AS (
    SELECT d.request_id, d.operation, d.seq
    FROM deliveries d
    WHERE d.owner IS NOT NULL AND NOT EXISTS (SELECT FROM processes p WHERE p.owner = d.owner)
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries d
SET owner = NULL, call_ends_at = NULL, doubt = NOT d.is_read,
    due_at = CASE WHEN d.operation = ANY($2) THEN greatest(d.call_ends_at, clock_timestamp()) ELSE d.due_at END,
    sure_at = greatest(d.call_ends_at, clock_timestamp()) + make_interval(secs => $1)
FROM lost
WHERE (d.request_id, d.operation, d.seq) = (lost.request_id, lost.operation, lost.seq)
RETURNING d.request_id
"""


class Membership:
    """One process among the others. `run` must be running.

    `owner` names the process on its claims. One that loses its connection starts no call, and comes back under the
    same name as long as nobody has expired it: a claim is taken over only once its owner's row is gone, and a row that
    is gone never comes back, so whoever still finds its row still has all of its claims.
    """

    def __init__(self, connect: Connect, seen: Seen | None = None) -> None:
        self._connect = connect
        self._seen = seen or Seen()
        self._connection: Connection | None = None
        self._broke = asyncio.Event()
        self._beat_at = 0.0
        self.on_beat: Callable[[Exception | None], None] = lambda _error: None  # how a heartbeat went
        self.owner = ""
        self.back_at: datetime | None = None
        """When it last came back, by the database's clock: others may have been cut off as well."""

    @property
    def is_alive(self) -> bool:
        """Whether the others still count this process among the living, so that its claims are its own."""
        connected = self._connection is not None and not self._connection.is_closed()
        # Not the loop's time: uvloop's is as old as the loop's last turn, in which the process may have stood still.
        return bool(self.owner) and connected and monotonic() - self._beat_at < _TRUSTED

    async def join(self) -> None:
        """Become a member: under the old name where that still stands, else under one that was never used before."""
        connection = await self._connect()
        key = secrets.randbits(63)  # a new one: the server may not have noticed yet that the old connection is gone
        started = monotonic()
        try:
            await connection.execute(_LOCK, key)
            back_at = await connection.fetchval(_COME_BACK, self.owner, key)
            if back_at is None:
                if self.owner:
                    log("membership.expired", process=self.owner)
                self.owner = ""
                owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
                await connection.execute(_REGISTER, owner, key)
                self.owner = owner
        except BaseException:
            connection.terminate()
            raise
        broke = self._broke = asyncio.Event()
        connection.add_termination_listener(lambda _: broke.set())
        self._connection, self._beat_at = connection, started
        self.back_at = back_at or self.back_at

    async def run(self) -> None:
        """Show life until cancelled; join again whenever membership was lost."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEAT):
                    await self._broke.wait()
            try:
                await self._beat()
            except DATABASE_AWAY as error:
                log("membership.lost", error, process=self.owner)
                self._drop()
                self.on_beat(error)
            else:
                self.on_beat(None)

    async def _beat(self) -> None:
        if self._connection is not None and self._connection.is_closed():
            log("membership.lost", process=self.owner)
            self._drop()
        if self._connection is None:
            await self.join()
            return
        started = monotonic()
        position = self._seen.heartbeats
        alive_at = await self._connection.fetchval(_HEARTBEAT, self.owner, position.name, position.number + 1)
        position.number += 1
        if alive_at is not None:
            self._seen.alive_at, self._beat_at = alive_at, started
        else:
            self._drop()
            await self.join()

    async def leave(self) -> None:
        """Leave the others nothing to expire: nothing is claimed any more."""
        try:
            if self._connection is not None:
                self._seen.alive_at = await self._connection.fetchval(_LEAVE, self.owner)
        except DATABASE_AWAY:
            pass
        finally:
            self._drop()
            self.owner = ""

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        self._broke = asyncio.Event()


class Others:
    """What a living process has seen of the others: whose heartbeat stays the same in look after look.

    While Postgres goes and comes again and again, nobody's silence ever lasts the eight seconds since it was last back.
    But whoever lives writes a heartbeat in the moments in which others do.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[datetime, int]] = {}

    async def silent(self, connection: Connection, owner: str) -> list[str]:
        """Look once, as `owner`, whose own heartbeat goes on; give those to expire."""
        rows = await connection.fetch(_HEARTBEATS, owner)
        before, self._seen = self._seen, {}
        for row in rows:
            beat, looks = before.get(row["owner"], (None, 0))
            self._seen[row["owner"]] = (row["heartbeat_at"], looks + 1 if beat == row["heartbeat_at"] else 0)
        return [each for each, (_, looks) in self._seen.items() if looks >= _LOOKS]


async def take_over(
    connection: Connection, *, grace: float, back_at: datetime | None = None, silent: Collection[str] = ()
) -> int:
    """Give back the claims of processes that died or stand still; each write among them may have happened.

    A process whose heartbeat is 8 s old is dead, and one without its lock once it missed a heartbeat: so much time
    has one whose connection broke to come back. But while Postgres is away nobody can write a heartbeat. So whoever
    has written none since this Postgres started, and since the asking process itself came back (`back_at`, which a
    failover or a cut line brings about too), has 8 s from then, and at most as long as others write theirs meanwhile
    (`silent`). To expire a process too early costs time and is never wrong: it finds its row gone and joins again
    under another name, and what it brings then is late. The calls that it has in hand may go on. Such a write is
    looked for at once; that it is absent is believed once the call must have ended and it was left `grace` seconds
    to show up. One that is harmless twice is repeated as soon as the call must have ended.
    """
    await connection.fetch(_EXPIRE, back_at, _STALE, _SILENT, list(silent))
    taken = len(await connection.fetch(_TAKE_OVER, grace, list(HARMLESS)))
    metrics.TAKEOVERS.inc(taken)
    if taken:
        log("claims.taken_over", count=taken)
    return taken
