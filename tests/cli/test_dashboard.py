import subprocess
import sys

import pytest

from gateway.cli import dashboard
from tests.cli import typed as a_person
from tests.processes import LONG

HIDDEN = """
import sys
sys.modules["streamlit"] = None
from gateway.cli import cli
cli(["dashboard"])
"""


def test_without_the_extra_it_says_what_to_install() -> None:
    told = subprocess.run([sys.executable, "-c", HIDDEN], capture_output=True, text=True, check=False, timeout=LONG)
    assert told.returncode == 2
    assert "newstore-fulfillment-gateway[dashboard]" in told.stderr
    assert "Traceback" not in told.stderr


def test_it_is_served_without_usage_statistics_and_finds_its_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    words = dashboard.command("127.0.0.1", 8501)
    assert "--browser.gatherUsageStats=false" in words
    assert dashboard.environ("http://gateway:8081")["GATEWAY_URL"] == "http://gateway:8081"


@pytest.mark.parametrize("address", ["javascript:alert({trace_id})", "https://traces.example/", "traces/{trace_id}"])
async def test_traces_are_linked_at_a_web_address_with_a_place_for_the_id(address: str) -> None:
    code, told = await a_person.typed("dashboard", "--trace-url", address)
    assert (code, "{trace_id} in it" in told) == (2, True)


def test_it_is_served_under_a_path_where_one_is_named() -> None:
    assert "--server.baseUrlPath=/ops" in dashboard.command("127.0.0.1", 8501, "/ops")
    assert not any("baseUrlPath" in word for word in dashboard.command("127.0.0.1", 8501))


@pytest.mark.parametrize(
    "path", ["ops", "//evil.example", "/../ops", "/o ps", "/<script>", "https://gateway.example/ops"]
)
async def test_a_path_that_is_none_is_refused(path: str) -> None:
    code, told = await a_person.typed("dashboard", "--base-path", path)
    assert (code, "write a path such as /ops" in told) == (2, True)
