"""What the role that serves may do: `sql/grants.sql`, given by the owner of the tables, and looked at by each start."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from .migrations import GRANTS, SchemaMismatch, sql_folder

if TYPE_CHECKING:
    from .migrations import Connection

_GRANT = re.compile(r'^GRANT ([A-Z, ]+) ON (FUNCTION )?(?!SCHEMA)(.+) TO :"role";$', re.MULTILINE)
_QUOTED = "SELECT quote_ident($1)"
_OWNER = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass('requests')"
_SCHEMA = "SELECT current_schema()"
# What is not there yet is for the migrations to say.
_MISSING = """
SELECT privilege || ' on ' || name AS missing, current_user AS role
FROM unnest($1::text[], $2::bool[], $3::text[]) WITH ORDINALITY AS needed(privilege, is_function, name, n)
WHERE NOT coalesce(
    CASE WHEN is_function THEN has_function_privilege(to_regprocedure(name), privilege)
        ELSE has_table_privilege(to_regclass(name), privilege) END, true)
ORDER BY n
"""


class MissingGrants(SchemaMismatch):  # said of the database, not of the code
    """The role may not do what it needs; the text names what is missing and what to do."""


async def give(connection: "Connection", role: str) -> None:
    """Give a role what it needs to serve, and take what it does not."""
    if role == await connection.fetchval(_OWNER):
        raise SchemaMismatch(f"{role} owns the tables and may do everything: name the role that serves")
    schema = await connection.fetchval(_QUOTED, await connection.fetchval(_SCHEMA))
    quoted = await connection.fetchval(_QUOTED, role)
    text = _read().replace(':"schema"', schema).replace(':"role"', quoted)
    try:
        async with connection.transaction():
            await connection.execute(text)
    except asyncpg.UndefinedObjectError as error:
        raise SchemaMismatch(
            f"there is no role {role}: let a superuser run CREATE ROLE {quoted} LOGIN PASSWORD '…'"
        ) from error


async def check(connection: "Connection") -> None:
    """Refuse to serve as a role that lacks a grant."""
    if await connection.fetchval(_SCHEMA) is None:
        raise MissingGrants(
            "the role lacks USAGE on the schema of the tables: run `gateway migrate --grant-to` with it"
        )
    rows = await connection.fetch(_MISSING, *zip(*needed(), strict=True))
    if rows:
        role = rows[0]["role"]
        raise MissingGrants(
            f"the role {role} lacks {', '.join(row['missing'] for row in rows)}: "
            f"as the owner of the tables, run `gateway migrate --grant-to {role}`"
        )


def needed() -> list[tuple[str, bool, str]]:
    """List each privilege that is needed, whether it is of a function, and of which function or table."""
    return [
        (privilege, bool(function), name)
        for privileges, function, names in _GRANT.findall(_read())
        for name in ([names] if function else names.split(", "))
        for privilege in privileges.split(", ")
    ]


def _read() -> str:
    return Path(sql_folder() / GRANTS).read_text(encoding="utf-8")
