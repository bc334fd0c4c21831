"""`gateway providers`, as a person types it."""

import json
import subprocess
import sys
from pathlib import Path
from shutil import copy

import pytest

from gateway.providers.conformance import CASES
from gateway.providers.conformance.setting_up import written
from gateway.providers.example import acme
from gateway.providers.example.acme_target import AcmeTarget
from gateway.providers.rest_target import RestProvider
from tests.cli.typed import typed

EXAMPLE = Path(acme.__file__).parent
TOML = """
public_url = "https://gateway.example.com"

[newstore]
tenant = "acme"
client_id = "gateway"
client_secret = "env:CLIENT_SECRET"

[providers.east]
adapter = "./acme.py"
{acme}

[providers.west]
adapter = "http"
url = "http://127.0.0.1:9"
api_key = "env:WEST_KEY"
callback_key = "env:WEST_CALLBACK_KEY"
"""
KEYS = {
    **AcmeTarget.environ,
    "CLIENT_SECRET": "the-secret-of-the-client",
    "WEST_KEY": "the-key-of-the-gateway-at-west",
    "WEST_CALLBACK_KEY": "the-key-of-west-at-the-gateway",
    "COLUMNS": "200",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Settings, and an adapter in a file beside them."""
    for each in ("acme.py", "acme_target.py"):
        copy(EXAMPLE / each, tmp_path)
    (tmp_path / "gateway.toml").write_text(TOML.format(acme=written(AcmeTarget())))
    return tmp_path


def changed(folder: Path, before: str, after: str) -> Path:
    """Change the adapter in the file."""
    path = folder / "acme.py"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return path


def files_in(folder: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in sorted(folder.iterdir()) if each.is_file()}


async def in_folder(folder: Path, *words: str) -> tuple[int, str]:
    return await typed("providers", *words, GATEWAY_CONFIG=str(folder / "gateway.toml"), **KEYS)


async def test_adapters_are_listed_with_what_each_provider_can_do(folder: Path) -> None:
    code, told = await in_folder(folder, "list", "--json")
    listed = json.loads(told)
    known = [
        {"adapter": name, "from": "the gateway", "module": f"gateway.providers.{name}"}
        for name in ("http", "files", "rest", "newstore")
    ]
    assert (code, listed["adapters"]) == (0, known)
    assert [(each["provider"], each["adapter"]) for each in listed["providers"]] == [
        ("east", "./acme.py"),
        ("west", "http"),
    ]
    can = {"create": True, "look_up": True, "idempotent": True, "withdraw": True, "read": False, "poll": False}
    assert listed["providers"][0]["can"] == {**can, "callbacks": True}
    assert listed["providers"][1]["can"] == {**can, "callbacks": True, "withdraw": False}
    assert "create, look_up, idempotent, callbacks" in (await in_folder(folder, "list"))[1]


async def test_adapters_are_listed_where_there_are_no_settings_yet(tmp_path: Path) -> None:
    code, told = await in_folder(tmp_path, "list")
    assert (code, "gateway.providers.http" in told) == (0, True)
    assert f"There is no {tmp_path}/gateway.toml that names providers." in told


async def test_a_provider_is_reached_and_its_secrets_are_not_shown(folder: Path) -> None:
    target = AcmeTarget()
    await target.start()
    try:
        (folder / "gateway.toml").write_text(TOML.format(acme=written(target)))
        code, told = await in_folder(folder, "check", "east", "--json")
    finally:
        await target.stop()
    found = json.loads(told)
    assert (code, found["reached"], found["settings"]["url"]) == (0, True, target.url)
    assert found["settings"]["api_key"] == found["settings"]["webhook_secret"] == "****"
    assert target.orders == []


async def test_a_mapping_is_shown_by_the_name_of_its_file(tmp_path: Path) -> None:
    target = RestProvider()
    target.folder = str(tmp_path)
    around = TOML.partition("[providers.east]")[0]
    (tmp_path / "gateway.toml").write_text(f'{around}[providers.acme]\nadapter = "rest"\n{written(target)}')
    config = ("--config", str(tmp_path / "gateway.toml"))
    _, told = await typed("providers", "check", "acme", *config, **{**KEYS, **target.environ})
    rows = told.splitlines()
    assert [row.split() for row in rows if row.startswith(" mapping")] == [["mapping", "acme.toml"]]
    assert not any("None" in row or row.endswith(" ") for row in rows), told


async def test_a_provider_that_is_away_is_not_reached(folder: Path) -> None:
    code, told = await in_folder(folder, "check", "east")
    assert code == 1
    assert "It can create, look_up, idempotent, withdraw, callbacks." in told
    assert "can't be reached (ClientConnectorError): check the URL of the provider, and that it runs" in told


async def test_a_provider_that_the_settings_do_not_name_is_named_with_those_they_do(folder: Path) -> None:
    code, told = await in_folder(folder, "check", "eest")
    assert (code, told) == (2, f"{folder}/gateway.toml has no [providers.eest]; it has east, west\n")


async def test_a_new_adapter_works_conforms_and_passes_its_test_as_it_was_written(tmp_path: Path) -> None:
    into = tmp_path / "mine"
    code, told = await in_folder(tmp_path, "new", "zebra_wms", "--into", str(into))
    files = ["test_zebra_wms.py", "zebra_wms.py", "zebra_wms_sample.json", "zebra_wms_target.py"]
    assert (code, list(files_in(into))) == (0, files)
    assert "acme" not in "".join(files_in(into).values()).lower()
    assert "zebra_wms.py  194 lines" in told

    code, told = await in_folder(tmp_path, "conform", str(into / "zebra_wms.py"), "--json")
    cases = {each["case"]: each["result"] for each in json.loads(told)["cases"]}
    assert code == 0
    assert list(cases) == list(CASES)
    assert {case for case, result in cases.items() if result != "passed"} == {
        "a token that expires mid call is renewed"
    }

    code, told = await in_folder(tmp_path, "try", str(into / "zebra_wms.py"), str(into / "zebra_wms_sample.json"))
    assert code == 0
    assert '"ref": "NSHB719HQ2Z39ZSZ"' in told
    assert "  1. shipped: 1 of TEE, 1 of CAP\n     of: our reference NSHB719HQ2Z39ZSZ\n" in told


def test_the_test_of_a_new_adapter_runs_by_itself(tmp_path: Path) -> None:
    new = (sys.executable, "-m", "gateway", "providers", "new", "zebra", "--into", str(tmp_path))
    subprocess.run(new, check=True, capture_output=True)
    chosen = ("-k", "expires or doubled", str(tmp_path))
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen)
    ran = subprocess.run(pytest_, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert (ran.returncode, "3 passed" in ran.stdout) == (0, True), ran.stdout


@pytest.mark.parametrize(
    ("name", "told"), [("Acme-WMS", "'Acme-WMS' can't be a Python module"), ("acme", "acme.py is there already")]
)
async def test_a_new_adapter_that_can_not_be_written_changes_nothing(folder: Path, name: str, told: str) -> None:
    before = files_in(folder)
    code, said = await in_folder(folder, "new", name, "--into", str(folder))
    assert (code, told in said) == (2, True), said
    assert files_in(folder) == before


async def test_an_adapter_that_does_not_conform_is_told_in_which_case_and_why(folder: Path) -> None:
    path = changed(folder, "REASONS.get(said.why)", "RejectionReason.NO_INVENTORY")
    code, told = await in_folder(folder, "conform", str(path), "--case", "word")
    assert code == 1
    assert "FAIL" in told
    assert "every word that the provider has is read" in told
    assert "accepted  {'TEE': 1}  is read as accepted no_inventory {'TEE': 1}" in told
    assert ", 1 failed" in told


async def test_an_adapter_in_the_tree_is_tried_by_its_name() -> None:
    code, told = await typed("providers", "conform", "http", "--case", "word", COLUMNS="200")
    assert (code, "0 failed" in told) == (0, True), told


async def test_a_call_below_another_path_is_read_as_what_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "said.json").write_text('{"line_items": [{"product_ids": ["A"], "shipment": {"tracking_code": "1Z"}}]}')
    words = ("try", "newstore", str(tmp_path / "said.json"))
    code, told = await in_folder(tmp_path, *words, "--path", "v0/d/fulfillment_requests/r-1/shipment")
    assert (code, "1. shipped: 1 of A\n     of: NewStore's id r-1\n" in told) == (0, True)
    assert (
        "is no call about a request: post it to /v0/d/fulfillment_requests/ID/"
        in (await in_folder(tmp_path, *words))[1]
    )


async def test_what_is_no_adapter_is_told_before_anything_is_tried(tmp_path: Path) -> None:
    code, told = await in_folder(tmp_path, "conform", "htp")
    assert (code, told.startswith("no adapter is called htp; did you mean http?")) == (2, True)


async def test_a_target_whose_settings_are_none_of_its_adapters_is_told_once(folder: Path) -> None:
    target = folder / "acme_target.py"
    target.write_text(target.read_text().replace("api_key = ", "api_kay = "))
    for command in ("try", "conform"):
        code, told = await typed("providers", command, str(folder / "acme.py"), COLUMNS="200")
        assert (code, told.count("do not fit AcmeSettings:")) == (2, 1), told
        assert "api_kay: is not known here; did you mean api_key?" in told


async def test_a_file_is_tried_whatever_the_settings_say(folder: Path) -> None:
    (folder / "gateway.toml").write_text("nothing of this is right")
    code, told = await typed("providers", "try", str(folder / "acme.py"), "--config", str(folder / "gateway.toml"))
    assert (code, '"ref": "NS' in told) == (0, True), told


async def test_what_can_not_be_read_of_a_sample_is_shown_with_its_bytes(folder: Path) -> None:
    (folder / "a.json").write_text('{"events": [{"id": "1", "order": "NS1", "what": "SHIPPED", "lines": "none"}]}')
    (folder / "b.json").write_text("<events/>")
    code, told = await in_folder(folder, "try", "east", str(folder / "a.json"), str(folder / "b.json"))
    assert code == 1
    assert "  1. unreadable at $.events[0]: Expected `array`, got `str` - at `$.lines`\n" in told
    assert '     bytes: {"events":[{"id":"1","lines":"none","order":"NS1","what":"SHIPPED"}]}\n' in told
    assert "  nothing that can be read: $.events: no list of events (DecodeError), of <events/>\n" in told


async def test_an_order_of_newstore_is_shown_as_it_would_be_sent(folder: Path) -> None:
    order = {"id": "r-1", "items": [{"product_id": "A"}] * 2, "shipping_address": {"first_name": "Bo", "city": "Ulm"}}
    (folder / "order.json").write_text(json.dumps(order))
    code, told = await in_folder(folder, "try", "east", "--order", str(folder / "order.json"), "--json")
    sent = json.loads(json.loads(told)["sent"])
    assert (code, sent["lines"], sent["to"]["name"], sent["to"]["city"]) == (0, [{"sku": "A", "qty": 2}], "Bo", "Ulm")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "        to = order.ship_to\n",
            "        import socket\n        socket.socket()\n",
            "socket.__new__: composing",
        ),
        (
            "        to = order.ship_to\n",
            "        import socket\n        socket.getaddrinfo('example.com', 80)\n",
            "socket.getaddrinfo: composing and reading are pure, and open no socket",
        ),
        (
            "        to = order.ship_to\n",
            "        self.session.get('/')\n",
            "its session is used (get), and composing and reading are pure",
        ),
        ("        spelled =", "        self.session.get('/')\n        spelled =", "its session is used (get)"),
        ("        spelled =", "        1 / 0\n        spelled =", "it may raise nothing but Malformed"),
    ],
)
async def test_an_adapter_that_would_use_the_network_to_compose_or_read_is_stopped(
    folder: Path, before: str, after: str, told: str
) -> None:
    changed(folder, before, after)
    (folder / "a.json").write_text('{"events": [{"id": "1", "order": "NS1", "what": "TAKEN", "lines": []}]}')
    code, said = await in_folder(folder, "try", "east", str(folder / "a.json"))
    assert code == 1
    assert "wrong: " in said
    assert told in said


async def test_settings_are_proposed_from_a_sample(tmp_path: Path) -> None:
    sample = tmp_path / "ship.csv"
    sample.write_text("Order No;SKU;Qty;Status;Tracking;Carrier\nNS0123456789ABCD;A;1;SENT;1Z1;UPS\n")
    code, told = await typed("providers", "map", str(sample))
    assert code == 0
    assert 'reference = "Order No"\n' in told
    assert '"SENT" = "map me"  # in 1 row\n' in told
    code, told = await typed("providers", "map", str(sample), "--json")
    found = json.loads(told)
    assert (code, found["delimiter"], found["words"]) == (0, ";", {"SENT": 1})
    assert found["columns"] == {
        "reference": "Order No", "product": "SKU", "quantity": "Qty", "word": "Status", "carrier": "Carrier",
        "tracking_number": "Tracking",
    }  # fmt: skip


@pytest.mark.parametrize(("content", "code", "why"), [(None, 2, "No such file"), (b"", 1, "is empty: take one with")])
async def test_a_sample_that_tells_nothing_is_named(tmp_path: Path, content: bytes | None, code: int, why: str) -> None:
    sample = tmp_path / "ship.csv"
    if content is not None:
        sample.write_bytes(content)
    found, told = await typed("providers", "map", str(sample))
    assert found == code
    assert why in told


async def test_where_things_stand_in_a_message_is_proposed_from_a_sample(tmp_path: Path) -> None:
    sample = tmp_path / "shipped.json"
    sample.write_text('{"order_number": "1", "status": "SHORT", "lines": [{"sku": "A", "qty": 1}]}')
    code, told = await typed("providers", "map", str(sample))
    assert code == 0
    assert told.startswith('[said]\norder = "order_number"  # CHECK: ')
    assert '"SHORT" = "map me"\n# NOTE: nothing names the event' in told
    code, told = await typed("providers", "map", str(sample), "--json")
    assert (code, json.loads(told)["words"]) == (0, ["SHORT"])


@pytest.mark.parametrize(("option", "of"), [("read", "[read]"), ("poll", "[poll]"), ("", "[webhook]")])
async def test_a_saved_answer_or_page_is_read_as_one(tmp_path: Path, option: str, of: str) -> None:
    (tmp_path / "page.json").write_text("{}")
    kind = ["--as", option] if option else []
    code, told = await in_folder(tmp_path, "try", "rest", str(tmp_path / "page.json"), *kind)
    assert code == 1
    wanted = "orders: events finds nothing" if of == "[webhook]" else f"the mapping has no {of}, which reads this"
    assert wanted in told


async def test_an_adapter_is_tried_on_another_of_its_providers(tmp_path: Path) -> None:
    code, told = await typed("providers", "conform", "rest", "--provider", "RestPolled", "--case", "bad signature")
    assert (code, "it does not call us" in told) == (0, True)
