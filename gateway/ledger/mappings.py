"""What people said that providers call things, and what waits until somebody says it."""

from asyncpg import Pool

from gateway.domain.commands import ProviderSaid, Words
from gateway.domain.mappings import Mapped

from .codec import decode_command, decode_words

_VERSION = "SELECT coalesce(max(id), 0) FROM mappings"
_CURRENT = """
SELECT * FROM (
    SELECT DISTINCT ON (provider, kind, word) id, at, provider, kind, word, ours, theirs, removed, who
    FROM mappings ORDER BY provider, kind, word, id DESC
) last
WHERE NOT removed
ORDER BY provider, kind, ours, theirs
"""
_ADD = """
WITH added AS (
    INSERT INTO mappings (provider, kind, word, ours, theirs, removed, who)
    VALUES ($1, $2, $3, $4, $5, false, $6)
    RETURNING *
), audited AS (
    INSERT INTO audit (who, action, subject, reason, outcome)
    SELECT who, 'map', 'mapping ' || id, $7, format('%s %s: %s = %s', provider, kind, ours, theirs) FROM added
)
SELECT id, at, provider, kind, word, ours, theirs, who FROM added
"""
_REMOVE = """
WITH last AS (
    SELECT * FROM mappings m
    WHERE id = $1 AND NOT removed AND NOT EXISTS (
        SELECT FROM mappings n WHERE (n.provider, n.kind, n.word) = (m.provider, m.kind, m.word) AND n.id > m.id)
), removed AS (
    INSERT INTO mappings (provider, kind, word, ours, theirs, removed, who)
    SELECT provider, kind, word, ours, theirs, true, $2 FROM last
    RETURNING *
), audited AS (
    INSERT INTO audit (who, action, subject, reason, outcome)
    SELECT who, 'unmap', 'mapping ' || $1, $3, format('%s %s: %s = %s', provider, kind, ours, theirs) FROM removed
)
SELECT id, at, provider, kind, word, ours, theirs, who FROM last
"""
_CREATES = """
SELECT destination, unmapped, count(*) AS count FROM deliveries WHERE unmapped IS NOT NULL
GROUP BY destination, unmapped
"""
_MESSAGES = """
SELECT id, source, command FROM quarantine
WHERE reason = 'unmapped' AND resolved_at IS NULL AND command IS NOT NULL AND id > $1
ORDER BY id
LIMIT 500
"""
_FREE = """
UPDATE deliveries SET unmapped = NULL, due_at = clock_timestamp()
WHERE destination = $1 AND unmapped = $2::jsonb AND owner IS NULL
"""


async def version(pool: Pool) -> int:
    """Tell which change was the last one."""
    found: int = await pool.fetchval(_VERSION)
    return found


async def current(pool: Pool) -> list[Mapped]:
    """List what people said, as far as it still counts."""
    rows = await pool.fetch(_CURRENT)
    return [Mapped(**{name: value for name, value in row.items() if name != "removed"}) for row in rows]


async def add(pool: Pool, words: tuple[str, str, str, str, str], *, who: str, reason: str) -> Mapped:
    """Say what a provider calls something: provider, kind, the word by which it is found, ours, theirs."""
    (row,) = await pool.fetch(_ADD, *words, who, reason)
    return Mapped(**row)


async def remove(pool: Pool, mapping_id: int, *, who: str, reason: str) -> Mapped | None:
    """Take back what a person said; None where that counts no longer."""
    row = await pool.fetchrow(_REMOVE, mapping_id, who, reason)
    return Mapped(**row) if row else None


async def creates(pool: Pool) -> list[tuple[str, Words, str, int]]:
    """Count the orders that wait: by provider, by the words they wait for, which are also given as they are stored."""
    rows = await pool.fetch(_CREATES)
    return [(row["destination"], decode_words(row["unmapped"]), row["unmapped"], row["count"]) for row in rows]


async def messages(pool: Pool) -> list[tuple[int, str, ProviderSaid]]:
    """List the messages in quarantine that wait for words, oldest first."""
    found: list[tuple[int, str, ProviderSaid]] = []
    while rows := await pool.fetch(_MESSAGES, found[-1][0] if found else 0):
        found += [(row["id"], row["source"], decode_command(row["command"])) for row in rows]
    return found


async def free(pool: Pool, provider: str, stored: str) -> bool:
    """Let the orders go on that wait for these words; tell whether there were any."""
    return await pool.execute(_FREE, provider, stored) != "UPDATE 0"
