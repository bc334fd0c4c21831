"""How the settings say by what a provider knows our calls."""

from pathlib import Path

import aiohttp
import pytest

from gateway.providers.http_settings import HttpSettings
from gateway.settings import SettingsError
from tests.loading import settings_in

FILE = """
public_url = "https://gateway.example.com"
newstore = { tenant = "acme", client_id = "gateway", client_secret = "env:SECRET" }

[providers.wms]
adapter = "http"
url = "https://wms.example.com"
callback_key = "env:CALLBACK"
"""
KEYS = {
    "SECRET": "newstore-secret-0001",
    "KEY": "s3cret-of-the-provider",
    "CALLBACK": "callback-00000000001",
    "SHORT": "pw",
}


def read(folder: Path, auth: str) -> HttpSettings:
    file = folder / "gateway.toml"
    file.write_text(FILE + auth)
    found = settings_in(file, KEYS).providers["wms"]
    assert isinstance(found, HttpSettings)
    return found


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('api_key = "env:KEY"', {"Authorization": "Bearer s3cret-of-the-provider"}),
        ('auth = { kind = "bearer", secret = "env:KEY" }', {"Authorization": "Bearer s3cret-of-the-provider"}),
        (
            'auth = { kind = "header", header = "X-Api-Key", secret = "env:KEY" }',
            {"X-Api-Key": "s3cret-of-the-provider"},
        ),
        (
            'auth = { kind = "header", header = "Authorization", prefix = "Token", secret = "env:KEY" }',
            {"Authorization": "Token s3cret-of-the-provider"},
        ),
        (
            'auth = { kind = "header", header = "X-Api-Key", prefix = "key=", secret = "env:KEY" }',
            {"X-Api-Key": "key=s3cret-of-the-provider"},
        ),
        (
            'auth = { kind = "hmac", header = "X-Sign", prefix = "HMAC", algorithm = "sha1", secret = "env:KEY" }',
            {"X-Sign": "HMAC d5ecb58587c649c82f477c04294ad88c093cceee"},
        ),
        (
            'auth = { kind = "basic", user = "us", secret = "env:KEY" }',
            {"Authorization": "Basic dXM6czNjcmV0LW9mLXRoZS1wcm92aWRlcg=="},
        ),
        ('auth = { kind = "basic", user = "us", secret = "env:SHORT" }', {"Authorization": "Basic dXM6cHc="}),
        (
            'auth = { kind = "hmac", header = "X-Sign", prefix = "sha1=", algorithm = "sha1", secret = "env:KEY" }',
            {"X-Sign": "sha1=d5ecb58587c649c82f477c04294ad88c093cceee"},
        ),
    ],
)
async def test_a_call_shows_what_the_settings_say(tmp_path: Path, written: str, shown: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as session:
        assert await read(tmp_path, written).shown_by(session).headers(b"{}") == shown


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("", "providers.wms.api_key: is missing; add it, or an auth table"),
        (
            'api_key = "env:KEY"\nauth = { kind = "bearer", secret = "env:KEY" }',
            "providers.wms.auth: stands beside api_key; keep the one by which the provider knows us",
        ),
        (
            'auth = { kind = "oauth2", secret = "env:KEY", client_id = "a" }',
            'providers.wms.auth.token_url: is missing; kind = "oauth2" needs it',
        ),
        (
            'auth = { kind = "basic", user = "us", secret = "env:KEY", header = "X" }',
            'providers.wms.auth.header: says nothing where kind = "basic"; remove it',
        ),
        (
            'auth = { kind = "header", header = "Authorization", prefix = "Token ", secret = "env:KEY" }',
            "providers.wms.auth.prefix: put no blank around it: one is put after a word by itself, as in Token KEY",
        ),
        (
            'auth = { kind = "digest", secret = "env:KEY" }',
            "providers.wms.auth.kind: is not a word known here; choose one of bearer, header, basic, oauth2, hmac",
        ),
        (
            'auth = { kind = "oauth2", secret = "env:KEY", client_id = "a", token_url = "http://id.example.com" }',
            "providers.wms.auth.token_url: would send secrets in the clear",
        ),
    ],
)
def test_what_is_wrong_with_it_is_told_at_its_place(tmp_path: Path, written: str, fault: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, written)
    [told] = raised.value.faults
    assert told.startswith(fault)
