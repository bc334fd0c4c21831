"""A database that comes from a backup is older than the world: notice it, and send nothing until a person has looked.

The database carries its incarnation: a number, raised when a restore is noticed, with the cluster it lies in. What a
process has seen of it is compared at each new connection of its writer, its claims and its membership, and at its
start what all processes have left in `state_dir`.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import asyncpg

from gateway.ledger.database.connections import Connect, Connection
from gateway.ledger.database.seen import Kept, Seen, StateDir, UnusableStateDir
from gateway.telemetry import metrics
from gateway.telemetry.logs import log

from . import holds

_ASKED = "started with --paused"
_REASON = "{}: compare with the providers and NewStore, then release this hold to send again"
_PATIENCE = 600.0  # seconds: there may be many
_SILENCE = 120.0  # seconds without any heartbeat after which a risen timeline may be a restore and no failover
_LAST = timedelta(seconds=2)  # before the newest heartbeat: what a process that was killed may not have kept
_KEEP = 0.1  # seconds between looks whether there is something to keep in state_dir

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('gateway.restored'))"
_LOOK = """
SELECT i.number, server.cluster, server.timeline, 'incarnations'::regclass::oid::bigint AS tables,
    i.cluster AS old_cluster, i.timeline AS old_timeline, i.tables::bigint AS old_tables, last.alive_at,
    extract(epoch FROM clock_timestamp() - last.alive_at)::float8 AS silent_for
FROM server_identity() server
CROSS JOIN (SELECT * FROM incarnations ORDER BY number DESC LIMIT 1) i
CROSS JOIN LATERAL (SELECT greatest(i.alive_at, max(heartbeat_at)) AS alive_at FROM processes) last
"""
_BEHIND = """
SELECT seen.name, seen.number AS seen, p.number FROM unnest($1::text[], $2::bigint[]) AS seen(name, number)
LEFT JOIN positions p USING (name) WHERE p.number IS NULL OR p.number < seen.number
"""
_RAISE = """
INSERT INTO incarnations (number, why, cluster, tables, timeline)
SELECT max(number) + 1, $1, $2, $3, $4 FROM incarnations RETURNING number
"""
_MOVE = """
UPDATE incarnations SET cluster = $2, tables = $3, timeline = $4
WHERE number = $1 AND (cluster, tables, timeline) IS DISTINCT FROM ($2, $3::oid, $4)
"""
_REGISTER = """
INSERT INTO positions (name, number) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (name) DO UPDATE SET number = greatest(positions.number, excluded.number)
"""
_FORGET = "DELETE FROM positions WHERE at < clock_timestamp() - interval '1 year'"
_DOUBT = "UPDATE deliveries SET doubt = true WHERE NOT is_read AND NOT doubt"
_MARK = "UPDATE requests SET restored = true WHERE pending AND NOT restored"


async def pause(connection: Connection | asyncpg.Pool, why: str = _ASKED) -> None:
    """Hold back all calls until a person releases them, and let each write be looked up before it is sent.

    That goes for what is owed now, for what open requests will owe, and for requests that come before the release:
    the log may have known them. To be called in a transaction.
    """
    await connection.execute(_DOUBT, timeout=_PATIENCE)
    await connection.execute(_MARK, timeout=_PATIENCE)
    if not any(hold.who == holds.RESTORE for hold in await holds.active(connection)):
        await holds.place(connection, "everything", "", reason=_REASON.format(why), who=holds.RESTORE)


class RestoreDetector:
    """Compare a database with what is known of it, and pause where it is older. `keep` must run for a `state_dir`."""

    def __init__(self, state_dir: Path | None = None) -> None:
        self.seen = Seen()
        self._state_dir = StateDir(state_dir) if state_dir else None
        self._left: Sequence[Kept] = ()
        self._written: Kept | None = None

    def connecting(self, connect: Connect) -> Connect:
        """Let each new connection be looked at before anything goes through it."""

        async def connect_and_look() -> asyncpg.Connection:
            connection = await connect()
            try:
                await self.look(connection)
            except BaseException:
                connection.terminate()
                raise
            return connection

        return connect_and_look

    async def begin(self, connection: Connection, *, paused: bool) -> None:
        """Look for the first time. Raises `UnusableStateDir`."""
        if self._state_dir:
            self._left = await asyncio.to_thread(self._state_dir.read)
        await self.look(connection, _ASKED if paused else "")
        if self._state_dir:
            await asyncio.to_thread(self._state_dir.write, self._kept())
            await asyncio.to_thread(self._state_dir.forget, [each.process for each in self._left])
            self._left = ()

    async def look(self, connection: Connection, asked: str = "") -> None:
        """Compare, and pause and raise the incarnation if the database is older than what is known of it."""
        async with connection.transaction():
            await connection.execute(_LOCK)
            (found,) = await connection.fetch(_LOOK)
            number, identity = found["number"], (found["cluster"], found["tables"], found["timeline"])
            if why := asked or await self._restored(connection, found):
                await pause(connection, why)
                number = await connection.fetchval(_RAISE, why, *identity)
            else:
                await connection.execute(_MOVE, number, *identity)
            await connection.execute(_REGISTER, *_columns(self.seen.positions))
            await connection.execute(_FORGET)
        if why:
            log("restore.paused", reason=why, incarnation=number)
        self.seen.incarnation = number
        metrics.INCARNATION.set(number)

    async def _restored(self, connection: Connection, found: asyncpg.Record) -> str:
        """Say why this must be an older database than the one that was known; empty where it need not."""
        newest = max((each.incarnation for each in self._known()), default=0)
        if newest > found["number"]:
            return f"a gateway has seen incarnation {newest} of this database, which is at {found['number']}"
        known = [each for each in self._known() if each.incarnation == found["number"]]
        positions = {name: number for each in known for name, number in each.positions.items()}
        if behind := await connection.fetchrow(_BEHIND, *_columns(positions)):
            process, _, what = behind["name"].partition("/")
            return (
                f"of process {process} {behind['seen']} {what} were seen and the database has {behind['number'] or 0}"
            )
        if found["old_tables"] is not None and found["cluster"] != found["old_cluster"]:
            return f"the database was written in cluster {found['old_cluster']} and lies in {found['cluster']}"
        if found["old_tables"] not in (None, found["tables"]):
            return "the tables were made anew, as a dump is restored"
        if not _has_risen(found) or _is_vouched_for(found, known):
            return ""
        return (
            f"the timeline rose from {found['old_timeline']} to {found['timeline']}, and no gateway was there "
            f"in the {found['silent_for'] / 60:.0f} minutes before"
        )

    def _known(self) -> Iterator[Kept]:
        if self.seen.incarnation:
            yield self._kept()
        yield from self._left

    def _kept(self) -> Kept:
        return Kept(self.seen.process, self.seen.incarnation, self.seen.alive_at, self.seen.positions)

    async def keep(self) -> None:
        """Keep in `state_dir` what is seen, until cancelled."""
        fault = ""
        while self._state_dir:
            await asyncio.sleep(_KEEP)
            try:
                await self._keep_now()
            except UnusableStateDir as error:
                if not fault:
                    log("state.unwritten", fault=str(error))
                fault = str(error)
            else:
                fault = ""
            metrics.STATE_UNWRITTEN.set(bool(fault))

    async def close(self) -> None:
        """Keep what was seen last."""
        with contextlib.suppress(UnusableStateDir):
            await self._keep_now()

    async def _keep_now(self) -> None:
        kept = self._kept()
        if self._state_dir and kept != self._written:
            await asyncio.to_thread(self._state_dir.write, kept)
            self._written = kept


def _has_risen(found: asyncpg.Record) -> bool:
    """Whether the cluster was promoted, and so long after the last heartbeat that it may be a restore."""
    timelines = (found["old_timeline"], found["timeline"])
    return None not in timelines and timelines[1] > timelines[0] and (found["silent_for"] or 0) > _SILENCE


def _is_vouched_for(found: asyncpg.Record, known: Sequence[Kept]) -> bool:
    """Whether somebody, none of whose work is missing, was there until the newest heartbeat that is there."""
    return any(each.alive_at is not None and each.alive_at >= found["alive_at"] - _LAST for each in known)


def _columns(positions: dict[str, int]) -> tuple[list[str], list[int]]:
    return list(positions), list(positions.values())
