import json
import re
import tomllib
from base64 import b64encode
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gateway.providers.http_settings import HttpSettings
from gateway.settings import (
    Database,
    Location,
    NewStore,
    Secret,
    Settings,
    SettingsError,
    describe,
    remarks,
)
from gateway.settings.shapes import Brake
from tests.certificates import Authority
from tests.loading import http_provider, settings_in

EXAMPLE = Path(__file__).parent.parent / "gateway.example.toml"

ENVIRON = {
    "NEWSTORE_SECRET": "newstore-secret-0001",
    "ADA": "ada-token-0000000001",
    "BOB": "bob-token-0000000001",
    "WMS": "wms-api-key-00000001",
    "WMS_CALLBACK": "wms-callback-0000001",
    "SIGNING": "whsec_" + b64encode(b"k" * 24).decode(),
    "DC01": "dc01-key-00000000001",
    "DC01_NEXT": "dc01-key-00000000002",
    "DC02": "dc02-key-00000000001",
    "SHORT": "fifteen-letters",
}

SMALLEST = """
public_url = "https://gateway.example.com"

[newstore]
tenant = "acme"
client_id = "gateway"
client_secret = "env:NEWSTORE_SECRET"
"""

KEPT = f'state_dir = "state"\n{SMALLEST}'

OPERATOR = """
[[operators]]
name = "ada"
role = "admin"
token = "env:ADA"
"""

PROVIDER = """
[providers.wms]
adapter = "http"
url = "https://wms.example.com"
api_key = "env:WMS"
callback_key = "env:WMS_CALLBACK"
"""

LOCATION = """
[locations.DC01]
provider = "wms"
api_keys = ["env:DC01"]
"""

WHOLE = SMALLEST + OPERATOR + PROVIDER + LOCATION


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def read(folder: Path, text: str, **environ: str) -> Settings:
    file = folder / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return settings_in(file, ENVIRON | environ)


def faults(folder: Path, text: str, **environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read(folder, text, **environ)
    return caught.value.faults


def only_fault(folder: Path, text: str, **environ: str) -> str:
    (fault,) = faults(folder, text, **environ)
    return fault


def changed(old: str, new: str) -> str:
    assert WHOLE.count(old) == 1
    return WHOLE.replace(old, new)


def test_the_smallest_file_leaves_everything_else_at_its_default(folder: Path) -> None:
    settings = read(folder, SMALLEST)
    assert (settings.public.host, settings.public.port) == ("127.0.0.1", 8080)
    assert (settings.internal.host, settings.internal.port) == ("127.0.0.1", 8081)
    assert settings.database.url is None
    assert settings.database.data_dir == folder.resolve() / ".gateway/postgres"
    assert settings.body_limit == 1_048_576
    assert (settings.operators, dict(settings.providers), dict(settings.locations)) == ((), {}, {})
    newstore = settings.newstore
    assert (newstore.timeout, newstore.concurrency, newstore.verify_within, newstore.unknown_grace) == (15, 32, 900, 10)
    assert newstore.read_back == {"shipment": "endpoint", "rejection": "endpoint", "cancellation": "endpoint"}


def test_a_provider_and_a_location_leave_everything_else_at_their_default(folder: Path) -> None:
    settings = read(folder, WHOLE)
    wms = http_provider(settings, "wms")
    assert (wms.timeout, wms.concurrency, wms.look_up, wms.withdraw) == (15.0, 16, True, False)
    assert (wms.same_parcel, wms.carriers) == ("another_piece", {})
    assert (len(wms.callback_keys), wms.callback_secrets) == (1, ())
    dc01 = settings.locations["DC01"]
    assert (dc01.id, dc01.provider, dc01.time_zone, dc01.on_provider_cancel) == ("DC01", "wms", "UTC", "quarantine")


def test_what_the_file_says_is_what_the_settings_hold(folder: Path) -> None:
    settings = read(
        folder,
        f"""
        public_url = "https://gateway.example.com/edge/"
        body_limit = 2048
        public = {{ host = "0.0.0.0", port = 80 }}
        internal = {{ port = 81 }}
        database = {{ data_dir = "pg" }}
        [newstore]
        url = "https://api.example.com/"
        token_url = "https://id.example.com/token"
        client_id = "gateway"
        client_secret = "env:NEWSTORE_SECRET"
        timeout = 1
        concurrency = 2
        verify_within = 3.5
        unknown_grace = 4
        read_back = {{ rejection = "off" }}
        {OPERATOR}
        {PROVIDER}
        timeout = 5
        concurrency = 6
        look_up = false
        withdraw = true
        same_parcel = "total"
        carriers = {{ "Ups  ground" = "UPS", dhl = "DHL Express" }}
        {LOCATION}
        time_zone = "Europe/Berlin"
        on_provider_cancel = "reject"
        """,
    )
    assert settings.public_url == "https://gateway.example.com/edge"
    assert settings.body_limit == 2048
    assert (settings.public.host, settings.public.port) == ("0.0.0.0", 80)
    assert (settings.internal.host, settings.internal.port) == ("127.0.0.1", 81)
    assert settings.database.data_dir == folder.resolve() / "pg"
    newstore = settings.newstore
    assert (newstore.url, newstore.token_url) == ("https://api.example.com", "https://id.example.com/token")
    assert (newstore.client_id, newstore.client_secret.reveal()) == ("gateway", "newstore-secret-0001")
    assert (newstore.timeout, newstore.concurrency, newstore.verify_within, newstore.unknown_grace) == (1, 2, 3.5, 4)
    assert newstore.read_back == {"shipment": "endpoint", "rejection": "off", "cancellation": "endpoint"}
    (ada,) = settings.operators
    assert (ada.name, ada.role, ada.tokens[0].reveal()) == ("ada", "admin", "ada-token-0000000001")
    wms = http_provider(settings, "wms")
    assert (wms.name, wms.adapter, wms.url) == ("wms", "http", "https://wms.example.com")
    assert (wms.timeout, wms.concurrency, wms.look_up, wms.withdraw) == (5.0, 6, False, True)
    assert (wms.same_parcel, wms.carriers) == ("total", {"upsground": "UPS", "dhl": "DHL Express"})
    dc01 = settings.locations["DC01"]
    assert (dc01.time_zone, dc01.on_provider_cancel) == ("Europe/Berlin", "reject")


def test_a_tenant_stands_for_both_of_its_urls(folder: Path) -> None:
    newstore = read(folder, SMALLEST).newstore
    assert newstore.url == "https://acme.p.newstore.net"
    assert newstore.token_url == "https://id.p.newstore.net/auth/realms/acme/protocol/openid-connect/token"


def test_every_fault_of_the_file_is_named_at_once(folder: Path) -> None:
    found = faults(
        folder,
        """
        public_url = "http://gateway.example.com"
        body_limit = "big"
        colour = "blue"
        [public]
        port = 70000
        [newstore]
        client_secret = "env:ABSENT"
        [[operators]]
        name = "ada"
        role = "boss"
        [providers.wms]
        adapter = "htttp"
        url = "ftp://wms"
        api_key = "literal-key-00000001"
        [locations.DC01]
        provder = "wms"
        api_keys = []
        time_zone = "Mars/Olympus"
        """,
    )
    assert {fault.split(":", 1)[0] for fault in found} == {
        "public_url",
        "body_limit",
        "colour",
        "public.port",
        "newstore.tenant",
        "newstore.client_id",
        "newstore.client_secret",
        "operators[0].role",
        "operators[0].token",
        "providers.wms.adapter",
        "providers.wms.url",
        "providers.wms.api_key",
        "providers.wms.callback_key",
        "locations.DC01.provder",
        "locations.DC01.api_keys",
        "locations.DC01.time_zone",
    }
    assert len(found) == 16


def test_each_fault_is_a_place_what_is_wrong_and_a_remedy_and_the_text_lists_them_all(folder: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(folder, WHOLE + "time_zone = 'Mars'\non_provider_cancel = 'ship'\n[public]\nport = -1\n")
    assert str(caught.value).splitlines() == list(caught.value.faults)
    assert len(caught.value.faults) == 3
    for fault in caught.value.faults:
        assert re.fullmatch(r"[\w.]+: [^;]+; [^;]+", fault)


@pytest.mark.parametrize(
    ("old", "new", "place", "what"),
    [
        ('tenant = "acme"', 'tenant = "Acme Corp"', "newstore.tenant", "not a tenant name"),
        ('tenant = "acme"', "", "newstore.tenant", "add tenant, or url and token_url"),
        ('tenant = "acme"', 'url = "https://n.example"', "newstore.token_url", "is missing"),
        ('tenant = "acme"', 'token_url = "https://n.example"', "newstore.url", "is missing"),
        ('tenant = "acme"', 'tenant = "acme"\nurl = "https://n.example"', "newstore.url", "beside tenant"),
        ('client_id = "gateway"', "client_id = 7", "newstore.client_id", "must be text"),
        ('client_id = "gateway"', 'client_id = " gateway"', "newstore.client_id", "spaces around it"),
        ('client_id = "gateway"', 'client_id = "g"\nread_back = 1', "newstore.read_back", "must be a table"),
        ('client_id = "gateway"', 'client_id = "g"\nread_back.shipment = "on"', "newstore.read_back.shipment", "off"),
        ('role = "admin"', 'role = "boss"', "operators[0].role", "viewer, operator, admin"),
        ('adapter = "http"', 'adapter = "soap"', "providers.wms.adapter", "choose one of files, http, newstore, rest"),
        ('adapter = "http"', 'adapter = "http"\nlook_up = "no"', "providers.wms.look_up", "true or false"),
        ('adapter = "http"', 'adapter = "http"\nwithdraw = 1', "providers.wms.withdraw", "true or false"),
        ('adapter = "http"', 'adapter = "http"\nsame_parcel = "x"', "providers.wms.same_parcel", "another_piece"),
        ('adapter = "http"', 'adapter = "http"\ncarriers = ["UPS"]', "providers.wms.carriers", "must be a table"),
        ('adapter = "http"', 'adapter = "http"\ncarriers = { ups = 7 }', "providers.wms.carriers", "must be text"),
        ('adapter = "http"', 'adapter = "http"\ncarriers = { "N/A" = "UPS" }', "providers.wms.carriers", "without a"),
        (
            'adapter = "http"',
            'adapter = "http"\ncarriers = { ups = "UPS", "U PS" = "DHL" }',
            "providers.wms.carriers",
            "names 'U PS' twice",
        ),
        (
            'provider = "wms"',
            'provider = "wsm"',
            "locations.DC01.provider",
            "no provider wsm is defined; did you mean wms?",
        ),
        ('provider = "wms"', 'time_zone = "Europe"', "locations.DC01.time_zone", "not a time zone"),
        ('provider = "wms"', 'time_zone = "/etc/passwd"', "locations.DC01.time_zone", "not a time zone"),
        ('provider = "wms"', 'time_zone = "Europe/Berln"', "locations.DC01.time_zone", "did you mean Europe/Berlin?"),
        ('provider = "wms"', 'on_provider_cancel = "ship"', "locations.DC01.on_provider_cancel", "quarantine, reject"),
        ('["env:DC01"]', '"env:DC01"', "locations.DC01.api_keys", "must be a list"),
        ('["env:DC01"]', "[]", "locations.DC01.api_keys", "has 0 entries"),
        ('["env:DC01"]', '["env:DC01", "env:DC01_NEXT", "env:DC02"]', "locations.DC01.api_keys", "has 3 entries"),
        ('["env:DC01"]', '["env:DC01", "env:SHORT"]', "locations.DC01.api_keys[1]", "shorter than 16"),
        ("[locations.DC01]", '[locations."DC 01"]', 'locations."DC 01"', "not a name"),
        ("[locations.DC01]", '[locations.".."]', 'locations.".."', "not a name"),
        ("[locations.DC01]", f"[locations.{'x' * 65}]", f"locations.{'x' * 65}", "not a name"),
        ("[locations.DC01]", '[providers."a/b"]', 'providers."a/b"', "not a name"),
    ],
)
def test_a_fault_says_where_it_is_and_what_is_wrong(folder: Path, old: str, new: str, place: str, what: str) -> None:
    found = [fault for fault in faults(folder, changed(old, new)) if fault.startswith(f"{place}: ")]
    assert len(found) == 1
    assert what in found[0]


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("timeout", "0"),
        ("timeout", "-1"),
        ("timeout", "nan"),
        ("timeout", "inf"),
        ("timeout", "true"),
        ("timeout", '"15"'),
        ("concurrency", "0"),
        ("concurrency", "1001"),
        ("concurrency", "1.5"),
        ("concurrency", "true"),
    ],
)
def test_numbers_are_positive_and_bounded(folder: Path, key: str, wrong: str) -> None:
    text = changed('client_id = "gateway"', f'client_id = "gateway"\n{key} = {wrong}')
    assert only_fault(folder, text).startswith(f"newstore.{key}: must be a")
    text = changed('adapter = "http"', f'adapter = "http"\n{key} = {wrong}')
    assert only_fault(folder, text).startswith(f"providers.wms.{key}: must be a")


def test_a_provider_may_take_minutes_and_newstore_may_not(folder: Path) -> None:
    text = changed('adapter = "http"', 'adapter = "http"\ntimeout = 300')
    assert read(folder, text).providers["wms"].timeout == 300
    text = changed('adapter = "http"', 'adapter = "http"\ntimeout = 300.5')
    assert only_fault(folder, text).startswith("providers.wms.timeout: must be a")
    text = changed('client_id = "gateway"', 'client_id = "gateway"\ntimeout = 20.5')
    assert only_fault(folder, text).startswith("newstore.timeout: must be a")


@pytest.mark.parametrize("wrong", ["-0.1", "1.1", "nan", "true", '"1"'])
def test_a_sample_ratio_is_a_share(folder: Path, wrong: str) -> None:
    assert only_fault(folder, f"{WHOLE}[telemetry]\nsample_ratio = {wrong}").startswith(
        "telemetry.sample_ratio: must be"
    )


@pytest.mark.parametrize("ratio", [0, 1])
def test_all_or_nothing_may_be_traced_by_a_collector_that_is_named_for_plain_http(folder: Path, ratio: int) -> None:
    text = f'plain_http_hosts = ["collector"]\n{WHOLE}'
    text += f'[telemetry]\notlp_endpoint = "http://collector:4318/"\nsample_ratio = {ratio}'
    told = read(folder, text).telemetry
    assert (told.otlp_endpoint, told.sample_ratio) == ("http://collector:4318/", ratio)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://collector:4318", "would send secrets in the clear; write https://"),
        ("http://10.0.0.1:4318", "would send secrets in the clear; write https://"),
        ("https://169.254.169.254", "where a cloud keeps a machine's own keys; write the address of"),
    ],
)
def test_spans_go_to_nobody_in_the_clear_and_to_no_clouds_metadata(folder: Path, url: str, what: str) -> None:
    fault = only_fault(folder, f'{WHOLE}[telemetry]\notlp_endpoint = "{url}"')
    assert fault.startswith("telemetry.otlp_endpoint: ")
    assert what in fault


def test_without_the_extra_a_collector_is_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'{WHOLE}[telemetry]\notlp_endpoint = "http://127.0.0.1:4318"'
    assert read(folder, text).telemetry.otlp_endpoint
    monkeypatch.setattr("sys.path", [])  # as if nothing were installed
    assert "[otel]" in only_fault(folder, text)


@pytest.mark.parametrize("port", [0, 65_535])
def test_a_port_may_be_zero_and_the_highest(folder: Path, port: int) -> None:
    assert read(folder, f"{SMALLEST}[public]\nport = {port}").public.port == port


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_beyond_is_a_fault(folder: Path, port: int) -> None:
    assert only_fault(folder, f"{SMALLEST}[internal]\nport = {port}").startswith("internal.port: ")


def test_two_listeners_on_one_port_are_a_fault_unless_the_system_chooses(folder: Path) -> None:
    assert only_fault(folder, f"{SMALLEST}[internal]\nport = 8080").startswith("internal.port: ")
    assert read(folder, f"{SMALLEST}[public]\nport = 0\n[internal]\nport = 0").internal.port == 0


def test_an_unknown_key_is_a_fault_and_the_nearest_known_one_is_offered(folder: Path) -> None:
    assert only_fault(folder, f"{WHOLE}time_zon = 'UTC'") == (
        "locations.DC01.time_zon: is not known here; did you mean time_zone?"
    )
    assert only_fault(folder, f"colour = 'blue'\n{WHOLE}") == "colour: is not known here; remove it"
    assert only_fault(folder, f"{WHOLE}[provider.wms]\nadapter = 'http'") == (
        "provider: is not known here; did you mean providers?"
    )


def test_an_unquoted_dot_in_a_name_is_told_and_a_quoted_one_is_taken(folder: Path) -> None:
    assert any(
        fault.startswith("locations.DC.01: ") for fault in faults(folder, changed("locations.DC01", "locations.DC.01"))
    )
    assert "DC.01" in read(folder, changed("locations.DC01", 'locations."DC.01"')).locations
    text = changed("locations.DC01", 'locations."DC.01"') + "time_zone = 'Mars'"
    assert only_fault(folder, text).startswith('locations."DC.01".time_zone: ')


def test_a_table_of_the_wrong_kind_is_one_fault_and_not_one_for_each_key_in_it(folder: Path) -> None:
    text = "newstore = 3\noperators = [1]\nproviders = 'x'\nlocations.DC01 = true\npublic_url = 'https://g.example'"
    assert {fault.split(":")[0] for fault in faults(folder, text)} == {
        "newstore",
        "operators[0]",
        "providers",
        "locations.DC01",
    }


def test_a_file_that_is_missing_or_no_toml_is_one_fault_with_its_path(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml: can't be read \(No such file or directory\); "):
        settings_in(folder / "absent.toml", ENVIRON)
    assert "(at line 2, column 8)" in only_fault(folder, "[public]\nport = x")
    (folder / "latin.toml").write_bytes(b'public_url = "\xe9"')
    with pytest.raises(SettingsError, match=r"latin\.toml: is not TOML: it is not UTF-8"):
        settings_in(folder / "latin.toml", ENVIRON)


def test_a_secret_shows_its_value_only_when_asked_to(folder: Path) -> None:
    settings = read(folder, WHOLE)
    secret = settings.newstore.client_secret
    assert (repr(secret), str(secret), f"{secret}") == ("Secret(****)",) * 3
    assert secret.reveal() == "newstore-secret-0001"
    shown = repr(settings)
    assert not [value for value in ENVIRON.values() if value in shown]


def test_a_secret_matches_itself_and_nothing_else() -> None:
    secret = Secret("clé-0000000000000001")
    assert secret.matches("clé-0000000000000001")
    assert not secret.matches("cle-0000000000000001")
    assert not secret.matches("clé-000000000000000")
    assert not secret.matches("")
    assert not secret.matches("cl\udce9-0000000000000001")


def test_a_secret_comes_from_a_file_beside_the_settings_without_its_last_line_break(folder: Path) -> None:
    (folder / "secrets").mkdir()
    (folder / "secrets" / "dc01").write_bytes(b"from-the-file-000001\r\n")
    settings = read(folder, changed("env:DC01", "file:secrets/dc01"))
    assert settings.locations["DC01"].api_keys[0].reveal() == "from-the-file-000001"


@pytest.mark.parametrize("written", ["literal-key-00000001", "env:", "file:", "env:not a name", "ENV:DC01"])
def test_a_secret_in_the_file_itself_is_a_fault_that_does_not_repeat_it(folder: Path, written: str) -> None:
    fault = only_fault(folder, changed("env:DC01", written))
    assert fault == ("locations.DC01.api_keys[0]: a secret must not stand here itself; write env:NAME or file:PATH")


def test_a_secret_that_is_not_there_is_a_fault(folder: Path) -> None:
    place = "locations.DC01.api_keys[0]: "
    assert only_fault(folder, changed("env:DC01", "env:ABSENT")).startswith(
        f"{place}the environment variable ABSENT is"
    )
    assert only_fault(folder, WHOLE, DC01="").startswith(f"{place}the environment variable DC01 is not set")
    assert only_fault(folder, changed("env:DC01", "file:absent")).startswith(f"{place}the file absent can't be read")
    assert only_fault(folder, changed("env:DC01", "file:.")).startswith(f"{place}the file . can't be read")


def test_a_secret_that_is_short_or_not_one_line_is_a_fault_that_does_not_repeat_it(folder: Path) -> None:
    assert "shorter than 16 characters" in only_fault(folder, changed("env:DC01", "env:SHORT"))
    for bad in ("two\nlines-000000000001", " space-before-000001", "stray-byte-\udce9-00000"):
        fault = only_fault(folder, WHOLE, DC01=bad)
        assert "the environment variable DC01 has control characters or spaces around it" in fault
        assert bad not in fault
    (folder / "bytes").write_bytes(b"\xff" * 20)
    assert "the file bytes is not UTF-8 text" in only_fault(folder, changed("env:DC01", "file:bytes"))


def test_a_location_takes_two_keys_while_one_is_rotated(folder: Path) -> None:
    keys = read(folder, changed('["env:DC01"]', '["env:DC01_NEXT", "env:DC01"]')).locations["DC01"].api_keys
    assert [key.reveal() for key in keys] == ["dc01-key-00000000002", "dc01-key-00000000001"]


def test_a_provider_and_an_operator_take_two_as_well(folder: Path) -> None:
    text = changed('"env:WMS_CALLBACK"', '["env:WMS_CALLBACK", "env:DC02"]')
    wms = read(folder, text.replace('"env:ADA"', '["env:BOB", "env:ADA"]')).providers["wms"]
    assert [key.reveal() for key in wms.callback_keys] == [ENVIRON["WMS_CALLBACK"], ENVIRON["DC02"]]
    (ada,) = read(folder, changed('"env:ADA"', '["env:BOB", "env:ADA"]')).operators
    assert [token.reveal() for token in ada.tokens] == [ENVIRON["BOB"], ENVIRON["ADA"]]
    written = 'callback_key = "env:WMS_CALLBACK"'
    signing = read(
        folder, changed(written, 'callback_secret = ["env:SIGNING", "env:NEXT"]'), NEXT="whsec_" + "YWFh" * 8
    )
    assert len(signing.providers["wms"].callback_secrets) == 2


def test_an_operators_token_may_be_told_by_its_digest_alone(folder: Path) -> None:
    digest = sha256(b"ada-token-0000000001").hexdigest()
    (ada,) = read(folder, changed('"env:ADA"', f'["env:BOB", "sha256:{digest.upper()}"]')).operators
    assert [token.matches("ada-token-0000000001") for token in ada.tokens] == [False, True]
    assert not ada.tokens[1].matches(digest)
    same = changed('"env:ADA"', f'["env:ADA", "sha256:{digest}"]')
    assert only_fault(folder, same).startswith("operators[0].token[1]: has the same value as operators[0].token[0]")


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("sha256:" + "0" * 63, "is not sha256: and 64 hex digits; make a token"),
        ("sha256:" + "g" * 64, "is not sha256: and 64 hex digits; make a token"),
        ("env:SHORT", "is shorter than 16 characters"),
        ("env:DULL", "has fewer than 8 different characters; make one with `gateway token new`"),
    ],
)
def test_a_weak_token_is_a_fault_that_does_not_repeat_it(folder: Path, written: str, what: str) -> None:
    fault = only_fault(folder, changed("env:ADA", written), DULL="abcdefg" * 5)
    assert fault.startswith(f"operators[0].token: {what}")
    assert "abcdefg" not in fault


def test_only_what_is_only_compared_may_be_a_digest(folder: Path) -> None:
    assert "must not stand here itself" in only_fault(folder, changed("env:WMS_CALLBACK", "sha256:" + "0" * 64))


def test_trusted_proxies_are_addresses_or_networks(folder: Path) -> None:
    settings = read(folder, f'trusted_proxies = ["10.0.0.7", "2001:db8::/32"]\n{WHOLE}')
    assert [str(each) for each in settings.trusted_proxies] == ["10.0.0.7/32", "2001:db8::/32"]
    fault = only_fault(folder, f'trusted_proxies = ["10.0.0.7/8"]\n{WHOLE}')
    assert fault == "trusted_proxies[0]: 10.0.0.7/8 is no address or network; write one as 10.0.0.7 or 10.0.0.0/24"


@pytest.mark.parametrize(
    ("old", "new", "place", "what"),
    [
        ('"env:ADA"', "[]", "operators[0].token", "has 0 entries"),
        ('"env:ADA"', '["env:ADA", "env:BOB", "env:DC02"]', "operators[0].token", "has 3 entries"),
        ('"env:ADA"', '["env:BOB", "env:SHORT"]', "operators[0].token[1]", "shorter than 16"),
        ('"env:ADA"', '["env:BOB", "env:BOB"]', "operators[0].token[1]", "same value as operators[0].token[0]"),
        ('"env:WMS_CALLBACK"', "[]", "providers.wms.callback_key", "has 0 entries"),
        ('"env:WMS_CALLBACK"', '["env:ADA"]', "providers.wms.callback_key[0]", "same value as operators[0].token"),
    ],
)
def test_a_list_of_keys_names_the_one_that_is_wrong(folder: Path, old: str, new: str, place: str, what: str) -> None:
    fault = only_fault(folder, changed(old, new))
    assert (fault.partition(": ")[0], what in fault) == (place, True)


def test_two_locations_with_one_key_are_a_fault_wherever_it_comes_from(folder: Path) -> None:
    (folder / "same").write_text(ENVIRON["DC01"])
    text = f'{WHOLE}[locations.DC02]\napi_keys = ["env:DC02", "file:same"]'
    fault = only_fault(folder, text)
    assert fault.startswith("locations.DC02.api_keys[1]: has the same value as locations.DC01.api_keys[0]; ")
    assert ENVIRON["DC01"] not in fault


def test_the_same_key_twice_in_one_location_is_a_fault(folder: Path) -> None:
    text = changed('["env:DC01"]', '["env:DC01", "env:DC01"]')
    assert only_fault(folder, text).startswith("locations.DC01.api_keys[1]: has the same value as locations.DC01.api")


def test_two_operators_with_one_name_or_one_token_are_a_fault(folder: Path) -> None:
    second = '[[operators]]\nname = "{}"\nrole = "viewer"\ntoken = "env:{}"\n'
    assert only_fault(folder, WHOLE + second.format("ada", "BOB")).startswith("operators[1].name: is the name at oper")
    assert only_fault(folder, WHOLE + second.format("bob", "ADA")).startswith("operators[1].token: has the same value")
    assert len(read(folder, WHOLE + second.format("bob", "BOB")).operators) == 2


def test_two_providers_with_one_callback_key_are_a_fault_because_either_could_speak_for_the_other(folder: Path) -> None:
    fault = only_fault(folder, WHOLE + PROVIDER.replace("providers.wms", "providers.erp"))
    assert fault.startswith("providers.erp.callback_key: has the same value as providers.wms.callback_key; ")


def test_a_provider_has_a_callback_key_or_a_callback_secret_and_never_both(folder: Path) -> None:
    written = 'callback_key = "env:WMS_CALLBACK"'
    signing = 'callback_secret = "env:SIGNING"'
    wms = read(folder, changed(written, signing)).providers["wms"]
    assert wms.callback_keys == ()
    assert [secret.reveal() for secret in wms.callback_secrets] == [ENVIRON["SIGNING"]]
    assert only_fault(folder, changed(written, "")).startswith("providers.wms.callback_key: is missing; ")
    fault = only_fault(folder, changed(written, f"{written}\n{signing}"))
    assert fault.startswith("providers.wms.callback_secret: stands beside callback_key, ")


@pytest.mark.parametrize(
    "value",
    [
        "whsec-" + b64encode(b"k" * 24).decode(),
        "whsec_not base64 at all",
        "other_" + b64encode(b"k" * 24).decode(),
        "whsec_*" + b64encode(b"k" * 24).decode(),
        "whsec_" + b64encode(b"k" * 23).decode(),
        "whsec_" + b64encode(b"k" * 65).decode(),
        "whsec_clé0000000000000000000000000",
        "0123456789abcdef0123456789abcdef",
    ],
)
def test_a_callback_secret_is_whsec_and_base64(folder: Path, value: str) -> None:
    text = changed('callback_key = "env:WMS_CALLBACK"', 'callback_secret = "env:SIGNING"')
    assert only_fault(folder, text, SIGNING=value).startswith("providers.wms.callback_secret: is not whsec_ and ")


@pytest.mark.parametrize("name", ["newstore", "gateway", "call", "read", "person", "discard"])
def test_a_provider_must_not_pass_for_somebody_else_in_the_log(folder: Path, name: str) -> None:
    fault = only_fault(folder, (SMALLEST + PROVIDER).replace("providers.wms", f"providers.{name}"))
    assert fault.startswith(f"providers.{name}: ")


def test_a_brake_and_the_budgets_are_read_and_checked(folder: Path) -> None:
    loaded = read(folder, WHOLE + "[brake]\nunits = 5\nshare = 0.5\nseconds = 60\n")
    assert loaded.brake == Brake(5, 0.5, 60.0)
    wrong = faults(folder, WHOLE.replace("client_id", "calls_per_second = 0\nclient_id") + "[brake]\nshare = 30\n")
    assert [fault.split(":")[0] for fault in wrong] == ["newstore.calls_per_second", "brake.share"]


def test_a_location_without_a_provider_is_parked(folder: Path) -> None:
    assert read(folder, changed('provider = "wms"', "")).locations["DC01"].provider is None


def test_a_location_may_name_a_provider_that_has_faults_of_its_own(folder: Path) -> None:
    assert only_fault(folder, changed('adapter = "http"', "")).startswith("providers.wms.adapter: is missing; ")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9000", "127.8.8.8", "[::1]:9000"])
def test_http_is_for_loopback_hosts(folder: Path, host: str) -> None:
    settings = read(folder, WHOLE.replace("https://wms.example.com", f"http://{host}"))
    assert http_provider(settings, "wms").url == f"http://{host}"
    settings = read(folder, WHOLE.replace("https://gateway.example.com", f"http://{host}"))
    assert settings.public_url == f"http://{host}"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://example.com", "would send secrets in the clear"),
        ("http://localhost.example.com", "would send secrets in the clear"),
        ("http://10.0.0.1", "would send secrets in the clear"),
        ("http://0.0.0.0", "would send secrets in the clear"),
        ("ftp://example.com", "not an http(s) URL with a host"),
        ("example.com", "not an http(s) URL with a host"),
        ("https://", "not an http(s) URL with a host"),
        ("https:///path", "not an http(s) URL with a host"),
        ("https://exa mple.com", "not an http(s) URL with a host"),
        ("https://localhost\\\\.example.com", "not an http(s) URL with a host"),
        ("https://example.com:port", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://user:hunter2hunter2@example.com", "has a user or password"),
        ("https://169.254.169.254/latest", "leads to 169.254.169.254, where a cloud keeps a machine's own keys"),
        ("https://[fe80::1]", "leads to fe80::1, a link-local address"),
        ("https://[::ffff:169.254.1.1]", "leads to ::ffff:169.254.1.1, a link-local address"),
        ("https://2852039166", "has a number for a host"),
        ("https://169.254.43518", "has a number for a host"),
        ("https://example.com?key=hunter2hunter2", "has a query or fragment"),
        ("https://example.com/#hunter2hunter2", "has a query or fragment"),
    ],
)
def test_a_url_is_https_with_a_host_and_nothing_secret_in_it(folder: Path, url: str, what: str) -> None:
    newstore = f'url = "{url}"\ntoken_url = "{url}"'
    text = WHOLE.replace('tenant = "acme"', newstore)
    text = text.replace("https://wms.example.com", url).replace("https://gateway.example.com", url)
    found = faults(folder, text)
    assert {fault.split(":")[0] for fault in found} == {
        "public_url",
        "newstore.url",
        "newstore.token_url",
        "providers.wms.url",
    }
    assert all(what in fault and "hunter2" not in fault for fault in found)


def test_a_database_url_comes_from_the_file_and_else_from_the_environment(folder: Path) -> None:
    several = "postgresql://gateway:pässword@one:5432,two:5432/gateway?target_session_attrs=read-write"
    found = read(folder, SMALLEST, DATABASE_URL=several).database.url
    assert found
    assert found.reveal() == several
    assert read(folder, SMALLEST, DATABASE_URL="").database.url is None
    written = f'{SMALLEST}[database]\nurl = "env:OTHER"'
    found = read(folder, written, DATABASE_URL=several, OTHER="postgres://h/db").database.url
    assert found
    assert found.reveal() == "postgres://h/db"
    assert only_fault(folder, written).startswith("database.url: the environment variable OTHER is not set")


def test_a_database_url_that_is_not_postgres_is_a_fault_that_does_not_repeat_it(folder: Path) -> None:
    fault = only_fault(folder, SMALLEST, DATABASE_URL="mysql://gateway:hunter2hunter2@one/gateway")
    assert fault.startswith("database.url: is not a Postgres URL; ")
    assert "hunter2" not in fault


@pytest.mark.parametrize(
    "rest", ["hunter2/hunter@one/db", "hunter2@hunter@one/db", "hunter2@one:port/db", "hunter2@[::1/db"]
)
def test_a_database_url_that_nobody_could_read_is_a_fault_and_no_traceback(folder: Path, rest: str) -> None:
    fault = only_fault(folder, SMALLEST, DATABASE_URL=f"postgresql://gateway:{rest}")
    assert fault.startswith("database.url: is not a Postgres URL; ")
    assert "hunter2" not in fault


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
@pytest.mark.parametrize("host", ["db.example", "10.0.0.1:5432", "[2001:db8::1]", "localhost,db.example"])
def test_a_database_url_that_sends_a_password_in_clear_to_a_network_is_a_fault(
    folder: Path, mode: str, host: str
) -> None:
    url = f"postgresql://gateway:hunter2@{host}/gateway?sslmode={mode}"
    fault = only_fault(folder, SMALLEST, DATABASE_URL=url)
    assert re.fullmatch(
        rf"database\.url: sends the password in clear where \S+ has no TLS \(sslmode={mode}\); "
        r"write sslmode=verify-full, or name the host in database\.plain_hosts",
        fault,
    )


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("postgresql://u:p@localhost/db?sslmode=disable", []),
        ("postgresql://u:p@127.0.0.1,[::1]:5433/db?sslmode=prefer", []),
        ("postgresql://u:p@/db?host=/run/a,/run/b&sslmode=allow", []),
        ("postgresql://u:p@%2Frun%2Fa/db?sslmode=disable", []),
        ("postgresql://u:p@db,other:6432/db?sslmode=disable", ["db", "other"]),
        ("postgresql://u:p@/db?host=db&sslmode=disable", ["db"]),
    ],
)
def test_a_password_may_go_in_clear_on_this_machine_and_to_hosts_that_are_named(
    folder: Path, url: str, plain: list[str]
) -> None:
    loaded = read(folder, f"{KEPT}[database]\nplain_hosts = {json.dumps(plain)}", DATABASE_URL=url)
    assert (loaded.database.plain_hosts, remarks(loaded)) == (tuple(plain), [])


def test_a_missing_state_dir_is_remarked_and_one_that_is_named_lies_beside_the_file(folder: Path) -> None:
    (remark,) = remarks(read(folder, SMALLEST))
    assert remark.startswith("state_dir: is not set, so a restore")
    assert "name a folder outside the database" in remark
    loaded = read(folder, KEPT)
    assert (loaded.state_dir, remarks(loaded)) == (folder.resolve() / "state", [])
    assert describe(loaded)["state_dir"] == str(folder.resolve() / "state")


def test_a_state_dir_that_is_a_file_is_a_fault(folder: Path) -> None:
    (folder / "state").touch()
    assert only_fault(folder, KEPT).endswith("is not a folder; name one where the gateway may write")
    assert only_fault(folder, f"state_dir = 3\n{SMALLEST}").startswith("state_dir: ")


def test_a_host_that_only_the_environment_names_is_judged_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql:///gateway?sslmode=disable"
    assert read(folder, SMALLEST, DATABASE_URL=url).database.url
    monkeypatch.setenv("PGHOST", "db.example")
    assert "where db.example has no TLS" in only_fault(folder, SMALLEST, DATABASE_URL=url)


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("sslmode=on", "has an sslmode that nobody knows; write verify-full"),
        ("connect_timeout=soon", "has a connect_timeout that is no number; write whole seconds"),
        ("sslmode=require&sslrootcert=system", "trusts all that the system trusts, whatever its name; write sslmode="),
    ],
)
def test_a_parameter_of_a_database_url_that_makes_no_sense_is_a_fault(folder: Path, query: str, what: str) -> None:
    fault = only_fault(folder, SMALLEST, DATABASE_URL=f"postgresql://u:hunter2@db.example/db?{query}")
    assert fault.startswith(f"database.url: {what}")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslmode=require", "sslmode=require does not check who answers: write sslmode=verify-full for db.example"),
        (
            "sslmode=verify-ca",
            "sslmode=verify-ca does not check the name of who answers: write sslmode=verify-full for",
        ),
        ("channel_binding=require", "channel_binding is left out: the driver can't; sslmode=verify-full checks who"),
        ("gssencmode=prefer", "gssencmode is left out: "),
        ("keepalives_idle=3", "keepalives_idle is left out: "),
        ("connect_timeout=10", "connect_timeout only shortens the four seconds"),
        ("target_session_attrs=any", "target_session_attrs is left out: "),
    ],
)
def test_what_a_database_url_asks_in_vain_or_not_enough_is_remarked_with_its_place(
    folder: Path, query: str, said: str
) -> None:
    loaded = read(folder, KEPT, DATABASE_URL=f"postgresql://u:hunter2@db.example/db?{query}")
    (remark,) = remarks(loaded)
    assert remark.startswith(f"database.url: {said}")
    assert describe(loaded)["remarks"] == [remark]


def test_nothing_is_remarked_of_what_is_heeded_and_enough(folder: Path) -> None:
    query = (
        "sslmode=verify-full&sslrootcert=/ca.pem&application_name=gw&options=-c%20a.b%3Dc&target_session_attrs=primary"
    )
    assert remarks(read(folder, KEPT, DATABASE_URL=f"postgresql://u:p@db.example/db?{query}")) == []


SHOWN = 'ca = "ca.crt"\nclient_certificate = "ours.crt"\nclient_key = "file:ours.key"'


@pytest.fixture
def certified(folder: Path) -> Path:
    Authority(folder, "ca").issue("ours", "gateway.example")
    return folder


def test_a_destination_is_known_by_its_ca_and_we_by_our_certificate(certified: Path) -> None:
    text = changed('adapter = "http"', f'adapter = "http"\n{SHOWN}')
    text = text.replace('tenant = "acme"', f'tenant = "acme"\n{SHOWN}') + '[database]\nca = "ca.crt"'
    loaded = read(certified, text)
    for to in (loaded.newstore, http_provider(loaded, "wms")):
        files = [certified.resolve() / name for name in ("ca.crt", "ours.crt", "ours.key")]
        assert [to.ca, to.client_certificate, to.client_key] == files
    assert loaded.database.ca == certified.resolve() / "ca.crt"
    assert "ours.key" not in json.dumps(describe(loaded))


@pytest.mark.parametrize(
    ("old", "new", "place", "what"),
    [
        (
            '"ca.crt"',
            '"absent"',
            "ca",
            r"the file \S+/absent can't be read \(No such file or directory\); create it or",
        ),
        ('"ca.crt"', '"."', "ca", r"the file \S+ can't be read \(Is a directory\); create it or correct the path"),
        (
            '"ca.crt"',
            '"ours.key"',
            "ca",
            r"the file \S+/ours.key has no -----BEGIN … CERTIFICATE----- in it; write it as",
        ),
        ('"ca.crt"', '"broken"', "ca", r"the file \S+/broken holds a broken certificate; write it anew as PEM"),
        ('"ours.crt"', '"absent"', "client_certificate", r"the file \S+/absent can't be read"),
        (
            '"ours.crt"',
            '"broken"',
            "client_certificate",
            r"the file \S+/broken or the key in \S+/ours.key is broken; write",
        ),
        ("file:ours.key", "file:absent", "client_key", r"the file \S+/absent can't be read"),
        (
            "file:ours.key",
            "file:ours.crt",
            "client_key",
            r"the file \S+ has no -----BEGIN … PRIVATE KEY----- in it; write",
        ),
        (
            "file:ours.key",
            "file:another.key",
            "client_key",
            r"the file \S+/another.key is not the key of client_certific",
        ),
        (
            "file:ours.key",
            "file:locked.key",
            "client_key",
            r"the file \S+/locked.key is locked by a passphrase; write it",
        ),
        ("file:ours.key", "ours.key", "client_key", r"a private key must not stand here itself; write file:PATH"),
        ("file:ours.key", "env:DC01", "client_key", r"a private key must not stand here itself; write file:PATH"),
        ('client_key = "file:ours.key"', "", "client_key", r"is missing beside client_certificate; add it, or remove"),
        (
            'client_certificate = "ours.crt"',
            "",
            "client_certificate",
            r"is missing beside client_key; add it, or remove",
        ),
    ],
)
def test_a_certificate_that_can_not_be_used_is_a_fault_with_its_file(
    certified: Path, old: str, new: str, place: str, what: str
) -> None:
    (certified / "broken").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    Authority(certified).issue("another", "gateway.example")
    (certified / "locked.key").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n")
    shown = SHOWN.replace(old, new)
    fault = only_fault(certified, changed('adapter = "http"', f'adapter = "http"\n{shown}'))
    assert re.match(f"providers.wms.{place}: {what}", fault)
    fault = only_fault(certified, changed('tenant = "acme"', f'tenant = "acme"\n{shown}'))
    assert re.match(f"newstore.{place}: {what}", fault)


def test_a_ca_of_the_database_that_can_not_be_used_is_a_fault_with_its_file(folder: Path) -> None:
    fault = only_fault(folder, f'{SMALLEST}[database]\nca = "absent"')
    assert re.fullmatch(r"database\.ca: the file \S+/absent can't be read \(.*\); create it or correct the path", fault)


def test_the_description_says_which_urls_to_hand_out_and_where_requests_go(folder: Path) -> None:
    text = changed("https://gateway.example.com", "https://gateway.example.com/edge/")
    described = json.loads(json.dumps(describe(read(folder, f'{text}[locations.DC02]\napi_keys = ["env:DC02"]'))))
    assert described["locations"] == {
        "DC01": {
            "url": "https://gateway.example.com/edge/newstore/DC01/fulfillment_requests",
            "provider": {"name": "wms", "adapter": "http", "url": "https://wms.example.com"},
            "api_keys": 1,
            "time_zone": "UTC",
            "confirm_first": 0,
            "on_provider_cancel": "quarantine",
        },
        "DC02": {
            "url": "https://gateway.example.com/edge/newstore/DC02/fulfillment_requests",
            "provider": None,
            "api_keys": 1,
            "time_zone": "UTC",
            "confirm_first": 0,
            "on_provider_cancel": "quarantine",
        },
    }
    assert described["providers"]["wms"]["callback_url"] == "https://gateway.example.com/edge/providers/wms/callbacks"
    assert described["operators"] == [{"name": "ada", "role": "admin", "tokens": 1}]


def test_the_description_leaves_out_no_setting(folder: Path) -> None:
    described: Any = describe(read(folder, WHOLE))
    shown = {
        Settings: described, NewStore: described["newstore"], HttpSettings: described["providers"]["wms"],
        Location: described["locations"]["DC01"], Database: described["database"],
    }  # fmt: skip
    for kind, names in shown.items():
        assert {field.name for field in fields(kind)} - {"name", "id"} <= names.keys()


def test_the_description_masks_every_secret(folder: Path) -> None:
    url = "postgresql://gateway:password@one/gateway"
    signed = PROVIDER.replace("providers.wms", "providers.erp").replace(
        'callback_key = "env:WMS_CALLBACK"', 'callback_secret = "env:SIGNING"'
    )
    described = describe(read(folder, WHOLE + signed, DATABASE_URL=url))
    shown = json.dumps(described)
    assert not [value for value in (*ENVIRON.values(), url) if value in shown]
    assert shown.count("****") == 4


def test_settings_cannot_be_changed(folder: Path) -> None:
    settings = read(folder, WHOLE)
    with pytest.raises(TypeError):
        del settings.providers["wms"]  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        settings.locations["DC09"] = Location("DC09", ())  # type: ignore[index]
    with pytest.raises(TypeError):
        settings.newstore.read_back["shipment"] = "off"  # type: ignore[index]
    with pytest.raises(AttributeError):
        settings.body_limit = 1  # type: ignore[misc]


def example_environ(text: str) -> dict[str, str]:
    names = re.findall(r'^[^#\n]*?"env:(\w+)"|, "env:(\w+)"', text, flags=re.MULTILINE)
    environ = {first or second: f"made-up-{n:016}" for n, (first, second) in enumerate(names)}
    return environ | {"NORTHERN_3PL_CALLBACK_SECRET": ENVIRON["SIGNING"]}


def test_the_example_loads_as_it_is_once_its_environment_is_set() -> None:
    settings = settings_in(EXAMPLE, example_environ(EXAMPLE.read_text()))
    assert [(one.id, one.provider, len(one.api_keys)) for one in settings.locations.values()] == [
        ("DC01", "acme-wms", 1),
        ("DC02", "northern-3pl", 2),
        ("DC03", None, 1),
    ]


def test_the_defaults_that_the_example_shows_in_comments_are_the_real_ones(folder: Path) -> None:
    text = EXAMPLE.read_text()
    environ = example_environ(text)
    spelled = re.sub(r"^# (\w+ = )(?!\"env:)", r"\1", text, flags=re.MULTILINE)
    assert len(tomllib.loads(spelled)["newstore"]) == 10
    assert describe(read(folder, spelled, **environ)) == describe(read(folder, text, **environ))


def test_a_host_that_the_file_names_is_called_by_plain_http(folder: Path) -> None:
    text = changed('url = "https://wms.example.com"', 'url = "http://wms:8091/orders"')
    assert "plain_http_hosts" in only_fault(folder, text)
    named = f'plain_http_hosts = ["wms"]\n{text}'
    assert http_provider(read(folder, named), "wms").url == "http://wms:8091/orders"
    other = f'plain_http_hosts = ["wms.example.com", "w"]\n{text}'
    assert only_fault(folder, other).startswith("providers.wms.url")
