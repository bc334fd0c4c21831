"""Where this tenant shows what became of a report, found out by one process and told to all."""

from collections.abc import Mapping

from gateway.ledger.database.connections import Connection

_TELL = """
INSERT INTO read_backs (operation, path)
SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT (operation) DO UPDATE SET path = excluded.path, at = excluded.at
"""
_ALL = "SELECT operation, path, extract(epoch FROM at)::float8 AS at FROM read_backs"


async def tell(connection: Connection, found: Mapping[str, str | None]) -> None:
    """Keep the place of each operation, or that it has none."""
    await connection.execute(_TELL, list(found), list(found.values()))


async def every(connection: Connection) -> list[tuple[str, str | None, float]]:
    """Give each operation that was found out about, its place, and since when."""
    return [(row["operation"], row["path"], row["at"]) for row in await connection.fetch(_ALL)]
