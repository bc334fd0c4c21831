"""The walk of the first page: whoever follows it has a shipped request in the end."""

import asyncio
import re
import shlex
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.pages import ROOT, commands
from tests.processes import GATEWAY, free_port, running, until, without_database

USUAL = {"8080": "the public listener", "8081": "the internal one", "8090": "NewStore", "8091": "the warehouse"}
"""The ports of the page, in whose place a test takes free ones."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The page, with other ports."""

    ports: Mapping[str, str]

    def lines(self, beginning: str) -> list[str]:
        return [self._moved(line) for line in commands("README.md") if line.startswith(beginning)]

    def simulators(self) -> list[list[str]]:
        """Give the two commands; at other ports, each has to be told where the gateway is."""
        newstore, warehouse = (shlex.split(line)[1:] for line in self.lines("gateway simulate"))
        public = f"http://127.0.0.1:{self.ports['8080']}"
        newstore += ["--port", self.ports["8090"], "--dc", f"DC01={public}/newstore/DC01/fulfillment_requests"]
        warehouse += ["--port", self.ports["8091"], "--callback-url", f"{public}/providers/acme-wms/callbacks"]
        return [newstore, warehouse]

    def _moved(self, text: str) -> str:
        return re.sub(r"\b80[89]\d\b", lambda port: self.ports[port[0]], text)


async def test_whoever_follows_the_first_page_has_a_request_that_is_proved_at_newstore() -> None:
    walk = Walk({port: str(free_port()) for port in USUAL})
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-test-")))
        environ = {**without_database(), "PYTHONPATH": str(ROOT)}
        (init,) = walk.lines("gateway init")
        await _run(init, folder, environ)
        with (folder / "gateway.toml").open("a") as config:
            config.write(f"[public]\nport = {walk.ports['8080']}\n[internal]\nport = {walk.ports['8081']}\n")

        async def serve(words: list[str], answers_at: str) -> None:
            log = folder / "log"
            await stack.enter_async_context(
                running(*GATEWAY, *words, log=log, environ=environ, answers_at=f"http://127.0.0.1:{answers_at}")
            )

        newstore, warehouse = walk.simulators()
        await serve(newstore, f"{walk.ports['8090']}/simulator/record")
        await serve(warehouse, f"{walk.ports['8091']}/simulator/record")
        (check,) = walk.lines("gateway check-config")
        assert "newstore: reached\nacme-wms: reached\n" in await _run(check, folder, environ)
        (command,) = walk.lines("gateway serve")
        await serve(shlex.split(command)[1:], f"{walk.ports['8081']}/readyz")

        (order,) = re.findall(r"'(http\S+)'", " ".join(walk.lines("curl ")))
        async with aiohttp.ClientSession() as session, session.post(order) as answer:
            request_id = (await answer.json())["id"]
        (show,) = walk.lines("gateway show")
        (token,) = re.findall(r"GATEWAY_TOKEN=\$\(cat (\S+)\)", " ".join(walk.lines("export ")))
        asks = {
            **environ,
            "GATEWAY_URL": f"http://127.0.0.1:{walk.ports['8081']}",
            "GATEWAY_TOKEN": (folder / token).read_text(),
        }

        async def is_proved() -> bool:
            return "units_proved" in await _run(show.replace("ID", request_id), folder, asks)

        await until(is_proved)


async def _run(command: str, folder: Path, environ: Mapping[str, str]) -> str:
    """Run a command in a folder to its end; gives what it printed."""
    words = shlex.split(command, comments=True)[1:]
    process = await asyncio.create_subprocess_exec(
        *GATEWAY, *words, cwd=folder, env=environ, stdout=PIPE, stderr=STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    return told.decode()
