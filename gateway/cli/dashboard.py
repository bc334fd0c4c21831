"""`dashboard`: the operations dashboard, against any gateway."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from .api import LOCAL, Url
from .terminal import fault

commands = typer.Typer()

MISSING = "the dashboard is an extra: pip install 'newstore-fulfillment-gateway[dashboard]'"
TRACE_URL = "GATEWAY_TRACE_URL"
_BASE_PATH = re.compile(r"(/(?!\.+(/|$))[A-Za-z0-9._~-]+)+/?")
_FLAGS = {
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "client.toolbarMode": "viewer",
    "server.fileWatcherType": "none",
    "server.headless": "true",
    "theme.dark.primaryColor": "#ff7b81",
    "theme.light.primaryColor": "#c62f3c",
}


@commands.command("dashboard")
def run_dashboard(
    url: Url = LOCAL,
    host: Annotated[str, typer.Option(help="The address to listen on; put a TLS proxy before any but loopback.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8501,
    base_path: Annotated[
        str, typer.Option(help="The path of a proxy under which the pages are, such as /ops; it must pass the path on.")
    ] = "",
    trace_url: Annotated[
        str, typer.Option(envvar=TRACE_URL, help="Where traces are shown: http://127.0.0.1:16686/trace/{trace_id}")
    ] = "",
) -> None:
    """Show what is pending, failed or rejected, and what to do about it: http://127.0.0.1:8501."""
    if not is_installed():
        raise fault(MISSING, 2)
    if trace_url and not (trace_url.startswith(("https://", "http://")) and "{trace_id}" in trace_url):
        raise fault("--trace-url: write an http or https address with {trace_id} in it", 2)
    if base_path and not _BASE_PATH.fullmatch(base_path):
        raise fault("--base-path: write a path such as /ops", 2)
    words = command(host, port, base_path)
    os.execve(words[0], words, environ(url, **{TRACE_URL: trace_url}))  # noqa: S606 - our own interpreter, and no shell


def is_installed() -> bool:
    """Tell whether the extra is here."""
    return all(_is_found(name) for name in ("streamlit", "httpx", "dashboard"))


def _is_found(name: str) -> bool:
    return (sys.modules[name] if name in sys.modules else find_spec(name)) is not None


def command(host: str, port: int, base_path: str = "") -> list[str]:
    """Give the words that serve the dashboard."""
    found = find_spec("dashboard")
    if found is None or found.origin is None:
        raise fault(MISSING, 2)
    flags = {**_FLAGS, "server.address": host, "server.port": str(port)}
    if base_path:
        flags["server.baseUrlPath"] = base_path
    script = Path(found.origin).with_name("serve.py")
    return [sys.executable, "-m", "streamlit", "run", str(script), *(f"--{key}={each}" for key, each in flags.items())]


def environ(url: str, **more: str) -> dict[str, str]:
    """Give the environment in which it finds the gateway, and the code that runs here."""
    path = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "GATEWAY_URL": url, "PYTHONPATH": path, **more}
