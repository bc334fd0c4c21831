"""Where each provider's news go on, and which one of all processes asks for them now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncpg import Pool

# Of a provider that is polled no more the row stays, with where it was, and is due never.
_ENROL = """
INSERT INTO polls AS p (provider, every) SELECT * FROM unnest($1::text[], $2::float8[])
ON CONFLICT (provider) DO UPDATE SET every = excluded.every,
    due_at = CASE p.due_at WHEN 'infinity' THEN clock_timestamp() ELSE p.due_at END
WHERE p.every <> excluded.every OR p.due_at = 'infinity'
"""
_LEAVE_OUT = "UPDATE polls SET due_at = 'infinity' WHERE provider = ANY($1::text[]) AND due_at <> 'infinity'"
_CLAIM = """
WITH room AS (
    SELECT r.name, r.concurrency FROM unnest($1::text[], $2::int[]) AS r(name, concurrency)
    LEFT JOIN destinations s USING (name)
    WHERE (s.name IS NULL OR s.not_before <= clock_timestamp() AND (NOT s.is_open OR s.half_open_owner = $3))
        AND NOT EXISTS (
            SELECT FROM holds
            WHERE released_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
                AND (scope = 'everything' OR (scope = 'destination' AND holds.name = r.name)))
), due AS (
    SELECT p.provider FROM polls p JOIN room ON room.name = p.provider
    WHERE p.due_at <= clock_timestamp()
        AND (p.owner IS NULL OR p.ends_at < clock_timestamp()
            OR NOT EXISTS (SELECT FROM processes WHERE processes.owner = p.owner))
        AND room.concurrency > (
            SELECT count(*) FROM deliveries d WHERE d.destination = p.provider AND d.owner IS NOT NULL)
    FOR UPDATE OF p SKIP LOCKED
)
UPDATE polls p SET owner = $3, number = p.number + 1, ends_at = clock_timestamp() + make_interval(secs => $4)
FROM due WHERE p.provider = due.provider AND EXISTS (SELECT FROM processes WHERE owner = $3)
RETURNING p.provider, p.cursor, p.owner, p.number, p.failures
"""
_RENEW = """
UPDATE polls SET ends_at = clock_timestamp() + make_interval(secs => $4)
WHERE provider = $1 AND owner = $2 AND number = $3
"""
_MOVE = "UPDATE polls SET cursor = $4 WHERE provider = $1 AND owner = $2 AND number = $3"
_SUCCEED = """
UPDATE polls SET owner = NULL, ends_at = NULL, due_at = clock_timestamp() + make_interval(secs => $4),
    polled_at = clock_timestamp(), failures = 0, failing_since = NULL, detail = ''
WHERE provider = $1 AND owner = $2 AND number = $3
"""
_FAIL = """
UPDATE polls SET owner = NULL, ends_at = NULL, due_at = clock_timestamp() + make_interval(secs => $4),
    failures = failures + 1, failing_since = coalesce(failing_since, clock_timestamp()), detail = $5
WHERE provider = $1 AND owner = $2 AND number = $3
"""
_GIVE_BACK = """
UPDATE polls SET owner = NULL, ends_at = NULL, due_at = clock_timestamp() + make_interval(secs => $4)
WHERE provider = $1 AND owner = $2 AND number = $3
"""


@dataclass(frozen=True, slots=True)
class Poll:
    """A provider that this process may ask for news now, as long as it renews that."""

    provider: str
    cursor: str
    owner: str
    number: int  # of the claim, so that a process that stood still does not take its own later one for this
    failures: int  # in a row, before it

    @property
    def key(self) -> tuple[str, str, int]:
        return self.provider, self.owner, self.number


async def enrol(pool: Pool, every: Mapping[str, float], others: Sequence[str]) -> None:
    """Say which providers are asked for news, and how often, in seconds; and which are not."""
    await pool.execute(_ENROL, list(every), list(every.values()))
    await pool.execute(_LEAVE_OUT, list(others))


async def claim(pool: Pool, concurrency: Mapping[str, int], *, owner: str, seconds: float) -> list[Poll]:
    """Take the polls that are due, of these providers, where nothing holds calls back; `concurrency` is their calls."""
    rows = await pool.fetch(_CLAIM, list(concurrency), list(concurrency.values()), owner, seconds)
    return [Poll(**row) for row in rows]


async def renew(pool: Pool, poll: Poll, seconds: float) -> None:
    """Keep a poll for so long from now."""
    await pool.execute(_RENEW, *poll.key, seconds)


async def move(pool: Pool, poll: Poll, cursor: str) -> bool:
    """Say where the next poll begins; False where somebody else has this one by now, and says that."""
    done: str = await pool.execute(_MOVE, *poll.key, cursor)
    return done == "UPDATE 1"


async def succeed(pool: Pool, poll: Poll, wait: float) -> None:
    """End a poll that went well; the next one is due after so many seconds."""
    await pool.execute(_SUCCEED, *poll.key, wait)


async def fail(pool: Pool, poll: Poll, wait: float, detail: str) -> None:
    """End one that did not."""
    await pool.execute(_FAIL, *poll.key, wait, detail)


async def give_back(pool: Pool, poll: Poll, wait: float) -> None:
    """End one of which nothing can be said, for a reason of our own."""
    await pool.execute(_GIVE_BACK, *poll.key, wait)
