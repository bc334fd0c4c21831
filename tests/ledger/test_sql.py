"""All SQL is fixed text, and what of it repeats is written from one declaration."""

import ast
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from gateway import ledger
from gateway.ledger import column_lists
from gateway.ledger.columns import BESIDE, CHANGING, ONCE

_LEDGER = Path(ledger.__file__).parent
_QUERIES = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "prepare", "cursor"}
_FILES_OF_SQL = {"database/migrations.py: migration.sql", "database/grants.py: text"}  # whole files of `sql`


@pytest.mark.parametrize("path", list(column_lists.files()), ids=lambda path: path.name)
def test_what_the_sql_repeats_is_what_make_sql_writes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == column_lists.rendered(text), "run `make sql`"


def test_a_list_that_lacks_a_column_is_written_whole() -> None:
    text = "SELECT\n    -- make sql: read\n    r.id\n    -- end\nFROM requests r"
    assert "\n    r.id, r.month, r.location, " in column_lists.rendered(text)


def test_each_list_stands_somewhere() -> None:
    found = {name for path in column_lists.files() for name in column_lists.names(path.read_text(encoding="utf-8"))}
    assert found == set(column_lists.LISTS)


async def test_each_column_of_the_table_is_declared_with_its_type(pool: asyncpg.Pool) -> None:
    rows = await pool.fetch(
        "SELECT attname, atttypid::regtype::text AS type FROM pg_attribute "
        "WHERE attrelid = 'requests'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    named = {
        "int": "integer", "int[]": "integer[]", "bool": "boolean", "timestamptz": "timestamp with time zone",
    }  # fmt: skip
    declared = {**ONCE, **CHANGING, **BESIDE}
    assert {row["attname"]: row["type"] for row in rows} == {
        name: named.get(kind, kind) for name, kind in declared.items()
    }


@pytest.mark.parametrize("path", sorted(_LEDGER.rglob("*.py")), ids=lambda path: str(path.relative_to(_LEDGER)))
def test_every_statement_is_fixed_text(path: Path) -> None:
    built = {f"{path.relative_to(_LEDGER)}: {text}" for text in built_up(path.read_text(encoding="utf-8"))}
    assert built <= _FILES_OF_SQL, "give the values as arguments"


@pytest.mark.parametrize(
    "code",
    [
        'async def f(c, n): await c.fetch(f"SELECT {n}")',
        'async def f(c, n): await c.fetchval("SELECT " + n)',
        'async def f(c, n): await c.execute("SELECT %s" % n)',
        "async def f(c, query): await c.fetchrow(query)",
        '_ONE = f"SELECT {name()}"\nasync def f(c): await c.fetch(_ONE)',
        '_ONE = "SELECT {}".format(1)\nasync def f(c): await c.fetch(_ONE)',
    ],
)
def test_a_statement_that_is_built_up_is_found(code: str) -> None:
    assert len(list(built_up(code))) == 1


def built_up(code: str) -> Iterator[str]:
    """What is run as SQL and is no text and no constant of this module or another."""
    tree = ast.parse(code)
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=[query, *_]) if name in _QUERIES:
                if not is_fixed(query, constants):
                    yield ast.unparse(query)


def is_fixed(node: ast.expr, constants: dict[str, ast.expr]) -> bool:
    match node:
        case ast.Constant(value=str()):
            return True
        case ast.Name(id=name):
            return is_fixed(constants[name], constants) if name in constants else name.isupper()
        case ast.Attribute(attr=name):
            return name.isupper()
        case ast.JoinedStr(values=values):
            return all(isinstance(each, ast.Constant) or is_constant(each, constants) for each in values)
        case ast.Call(func=ast.Attribute(attr="read_text", value=value)):
            return ast.unparse(value).startswith("Path(__file__).with_name(")
    return False


def is_constant(node: ast.expr, constants: dict[str, ast.expr]) -> bool:
    return isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name) and is_fixed(node.value, constants)
