"""Each command of the pages is run as it stands there, against a gateway that runs between simulators."""

import re
import shlex
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from gateway.cli.providers_new import write
from gateway.demo.process import gateway
from gateway.demo.world import World, simulated
from gateway.ledger.database.migrations import migrate
from gateway.simulator.newstore_faults import NO_FAULTS
from tests.cli import typed as a_person
from tests.dashboard import stand
from tests.pages import PAGES, commands
from tests.processes import GATEWAY, free_port, running, without_database

# Those of sql/README.md are run by tests/faults/test_backups.py, with a database that is restored.
COMMANDS = sorted(
    {
        shlex.join(shlex.split(line, comments=True))
        for page in PAGES.keys() - {"sql/README.md"}
        for line in commands(page)
        if line.startswith("gateway ")
    }
)

SERVERS = {"serve": ("public ", 0), "simulate": ("Ready.", 0), "dashboard": ("", -signal.SIGTERM)}
"""Commands that run until they are told to end -> how the line begins that they print once they are ready, and their
exit code: the dashboard's is that of Streamlit, which leaves SIGTERM to the system."""

SILENT = "r-silent"
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway between simulators, and what a person at a terminal has in the environment."""

    world: World
    dsn: str
    environ: Mapping[str, str]

    async def call(self, method: str, path: str, **body: Any) -> Any:
        url, headers = f"{self.world.internal_url}/v1/{path}", {"Authorization": f"Bearer {self.world.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, url, json=body or None) as answer,
        ):
            answer.raise_for_status()
            return await answer.json()


@pytest.fixture(scope="module")
async def dsn(new_database: Callable[[str], Awaitable[str]]) -> str:
    return await _migrated(await new_database("gateway_pages"))


@pytest.fixture(scope="module")
async def second_dsn(new_database: Callable[[str], Awaitable[str]]) -> str:
    """For gateways that are begun by a test: a paused one would hold back everybody's calls."""
    return await _migrated(await new_database("gateway_pages_served"))


async def _migrated(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    await migrate(connection)
    await connection.close()
    return dsn


@pytest.fixture(scope="module")
async def stage(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("pages")
    async with (
        simulated(folder, faults=NO_FAULTS) as simulators,
        gateway(simulators.config, {**simulators.keys, "DATABASE_URL": dsn}) as urls,
    ):
        world = World(simulators, *urls)
        told = {
            "GATEWAY_CONFIG": str(simulators.config),
            "GATEWAY_URL": world.internal_url,
            "GATEWAY_TOKEN": world.token,
        }
        yield Site(world, dsn, {**simulators.keys, **told, "DATABASE_URL": dsn, "COLUMNS": "200"})


@pytest.fixture
async def site(stage: Site) -> AsyncIterator[Site]:
    """The stage; what a command has held back is let go after it."""
    yield stage
    for each in (await stage.call("GET", "holds"))["holds"]:
        await stage.call("POST", f"holds/{each['id']}/release", reason="the test is over")


async def placed(site: Site) -> str:
    """A request that its warehouse takes and says nothing of."""
    request_id, quick = f"{SILENT}-{next(_NUMBERS)}", site.world.warehouses["DC01"]
    was, quick.temperament = quick.temperament, replace(quick.temperament, pause=(600, 600))
    await site.world.newstore.place(stand.order(request_id, "TEE"), "DC01")
    await stand.until(site.world, lambda rows: any(r["id"] == request_id and r["submitted_at"] for r in rows))
    quick.temperament = was
    return request_id


async def failed(site: Site) -> str:
    """A request whose shipment NewStore has refused."""
    request_id = f"r-refused-{next(_NUMBERS)}"
    await stand.refused(site.world, request_id)
    return request_id


async def rejected(site: Site) -> str:
    """A request that was rejected, while a hold keeps that from NewStore."""
    request_id = await placed(site)
    await site.call("POST", "holds", scope="rejections", name="DC01", reason="look first")
    said = {"event_id": request_id, "fulfillment_request_id": request_id, "reason": "cannot_fulfill"}
    assert await stand.say(site.world, type="rejected", **said) == 200
    return request_id


async def held(site: Site) -> str:
    """A hold."""
    hold = await site.call("POST", "holds", scope="location", name="DC02", reason="fire", minutes=1)
    return str(hold["id"])


async def mapped(site: Site) -> str:
    """A word that somebody has mapped."""
    word = f"theirs-{next(_NUMBERS)}"
    words = {"provider": "quick", "kind": "carrier", "ours": "UPS", "theirs": word, "reason": "they told us"}
    return str((await site.call("POST", "mappings", **words))["id"])


async def quarantined(site: Site) -> str:
    """A message that could not be read as it came, and can be by now."""
    body = f'{{"type": "accepted", "event_id": "{next(_NUMBERS)}", "fulfillment_request_id": "{await placed(site)}"}}'
    headers = {"Authorization": f"Bearer {site.world.simulators.keys['quick_CALLBACK_KEY']}"}
    url = f"{site.world.public_url}/providers/quick/callbacks"
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, data=f"?{body}") as answer:
        assert answer.status == 400
    connection = await asyncpg.connect(site.dsn)
    query = "UPDATE quarantine SET body = substr(body, 2) WHERE id = (SELECT max(id) FROM quarantine) RETURNING id"
    number = await connection.fetchval(query)
    await connection.close()
    return str(number)


async def role(site: Site) -> str:
    """A role of the database server that owns nothing."""
    name = f"serve_{Path(site.dsn.partition('?')[0]).name}"
    connection = await asyncpg.connect(site.dsn)
    await connection.execute(f"DROP ROLE IF EXISTS {name}; CREATE ROLE {name}")
    await connection.close()
    return name


def plugged(site: Site) -> dict[str, str]:
    """A plug-in that lies in a folder, and the name of another folder in which nothing lies."""
    folder = site.world.simulators.config.parent / "plugged"
    if not folder.exists():
        write("acme", folder)
    new = str(folder.with_name(f"new-{next(_NUMBERS)}"))
    return {"./acme.py": f"{folder}/acme.py", "acme_sample.json": f"{folder}/acme_sample.json", "FOLDER": new}


FILLED: dict[str, tuple[str, Callable[[Site], Awaitable[str]]]] = {
    "close": ("ID", placed),
    "discard": ("ID", rejected),
    "list": ("ID", failed),
    "mappings list": ("", mapped),
    "mappings remove": ("NUMBER", mapped),
    "migrate": ("ROLE", role),
    "note": ("ID", placed),
    "quarantine discard": ("NUMBER", quarantined),
    "quarantine list": ("NUMBER", quarantined),
    "quarantine replay": ("NUMBER", quarantined),
    "quarantine show": ("NUMBER", quarantined),
    "recheck": ("ID", failed),
    "redrive": ("ID", failed),
    "reject": ("ID", placed),
    "release": ("NUMBER", held),
    "reroute": ("ID", placed),
    "show": ("ID", placed),
    "take": ("ID", placed),
}
"""Command -> its placeholder, and what makes something there that the command can be about."""
PLACEHOLDERS = {"PROVIDER": "slow_partial"}
ANSWERS = {"gateway init": "acme\nDC01 DC02\n\n"}
NOTHING = ("No request is like that", "Nothing is")


async def words_of(line: str, site: Site) -> list[str]:
    """Give the words of a command with its placeholders filled; what it is about is there by then."""
    words = shlex.split(line)[1:]
    name = " ".join(words[:2]) if words[0] in {"quarantine", "providers", "mappings"} else words[0]
    filled = dict(PLACEHOLDERS)
    if words[0] == "providers":
        filled |= plugged(site)
    if name in FILLED:
        placeholder, make = FILLED[name]
        filled[placeholder] = await make(site)
    return [filled.get(word, word) for word in words]


@pytest.mark.parametrize("line", [each for each in COMMANDS if each.split()[1] not in SERVERS])
async def test_a_command_of_a_page_does_what_it_is_there_for(site: Site, tmp_path: Path, line: str) -> None:
    words = await words_of(line, site)
    if words[0] == "init":
        words += ["--config", str(tmp_path / "gateway.toml")]
    code, told = await a_person.typed(*words, answer=ANSWERS.get(line, "y\n"), **site.environ)
    assert (code, "Traceback" in told) == (0, False), told
    if words[0] != "holds":
        assert not told.startswith(NOTHING), told


@pytest.mark.parametrize("line", [each for each in COMMANDS if each.split()[1] in SERVERS])
async def test_a_server_of_a_page_runs_until_it_is_told_to_end(
    site: Site, second_dsn: str, tmp_path: Path, line: str
) -> None:
    words = shlex.split(line)[1:]
    port, answers_at = free_port(), ""
    if words[0] == "dashboard":
        if find_spec("streamlit") is None:
            pytest.skip("streamlit is not installed: pip install -e '.[dashboard]'")
        path = words[words.index("--base-path") + 1] if "--base-path" in words else ""
        answers_at = f"http://127.0.0.1:{port}{path}/_stcore/health"
    if words[0] != "serve":
        words += ["--port", str(port)]
    environ = {**without_database(), **site.environ, "DATABASE_URL": second_dsn}
    for name in re.findall(r"file:(\S+)", line):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(Path(name).name.ljust(24, "k"))
    log = tmp_path / "log"
    async with running(*GATEWAY, *words, log=log, environ=environ, answers_at=answers_at, stdout=PIPE) as server:
        beginning, code = SERVERS[words[0]]
        await _says(server, beginning, log.read_text)
        server.terminate()
        assert await server.wait() == code


async def _says(server: Process, beginning: str, last_words: Callable[[], str]) -> None:
    assert server.stdout is not None
    while beginning and not (line := (await server.stdout.readline()).decode()).startswith(beginning):
        assert line, last_words()
