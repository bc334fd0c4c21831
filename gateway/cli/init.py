"""`init`: write the gateway.toml to begin with, and the secrets that it names."""

import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import gateway
from gateway.providers.registry import NoAdapter, Registry
from gateway.settings import ProviderSettings
from gateway.settings.kinds import NAME, tenant, text
from gateway.settings.schema import of_adapter
from gateway.settings.tables import place
from gateway.settings.urls import web_url

from .api import Json
from .keys import fit
from .running import HERE, Config
from .terminal import fault, print_json, say

commands = typer.Typer()
_EXAMPLE = "gateway.example.toml"
_LOCAL = "http://127.0.0.1:8080"


@dataclass(slots=True)
class _Secrets:
    """The secrets that a file comes to name: variables of the environment, or files in a folder beside it."""

    folder: str
    theirs: dict[str, str] = field(default_factory=dict)
    """Reference -> who has the real one."""
    ours: list[str] = field(default_factory=list)

    def name(self, subject: str, owner: str = "") -> str:
        """Refer to a secret; one with an owner is not ours to choose."""
        variable = re.sub(r"\W", "_", subject, flags=re.ASCII).upper()
        variable = f"_{variable}" if variable[0].isdigit() else variable
        reference = f"file:{Path(self.folder) / variable.lower()}" if self.folder else f"env:{variable}"
        if reference in self.all:
            raise fault(f"{subject}: another name leads to {reference} too; choose one that differs by more", 2)
        if owner:
            self.theirs[reference] = owner
        else:
            self.ours.append(reference)
        return json.dumps(reference)

    @property
    def all(self) -> list[str]:
        return [*self.theirs, *self.ours]

    def make(self, beside: Path) -> list[str]:
        """Write a random one into each file that is not there, for nobody else to read; gives those."""
        made = []
        for reference in self.all if self.folder else ():
            file = beside / reference.removeprefix("file:")
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                continue
            with os.fdopen(descriptor, "w") as out:
                out.write(secrets.token_urlsafe(32))
            made.append(reference)
        return made


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What there is to connect, checked as gateway.toml would."""

    public_url: str
    newstore: dict[str, str]
    client_id: str
    locations: Sequence[str]
    provider: str
    provider_url: str
    adapter: str
    operator: str


@commands.command()
def init(
    config: Config = HERE,
    public_url: Annotated[str, typer.Option(help="What NewStore and the provider call.")] = _LOCAL,
    tenant_name: Annotated[str, typer.Option("--tenant", help="The tenant at NewStore.")] = "",
    newstore_url: Annotated[str, typer.Option(help="NewStore's APIs, where there is no tenant: a simulator.")] = "",
    token_url: Annotated[str, typer.Option(help="Where its tokens are got.")] = "",
    client_id: Annotated[str, typer.Option(help="The API client at NewStore.")] = "gateway",
    location: Annotated[list[str] | None, typer.Option(help="A DC, by NewStore's name for it; repeatable.")] = None,
    provider: Annotated[str, typer.Option(help="A name for who ships for these DCs.")] = "",
    provider_url: Annotated[str, typer.Option(help="Where its orders are posted, or its API is.")] = "",
    adapter: Annotated[str, typer.Option(help="Its adapter: a name, or a file beside the settings.")] = "http",
    operator: Annotated[str, typer.Option(help="Who may do everything: the who of the audit.")] = "admin",
    secrets_in: Annotated[
        str, typer.Option("--secrets", metavar="DIR", help="Make random secrets in files here, beside the settings.")
    ] = "",
    example: Annotated[bool, typer.Option("--example", help="Print the file with every key; write nothing.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Write a gateway.toml to begin with; asks for what no option says."""
    if example:
        typer.echo(_example(), nl=False)
        return
    if config.exists():
        raise fault(f"{config} is there already; remove it, or name another file with --config", 2)
    newstore = {"tenant": tenant_name, "url": newstore_url, "token_url": token_url}
    locations = list(location or ())
    if not (locations and any(newstore.values())):
        if as_json:
            raise fault(
                "--tenant, or --newstore-url and --token-url, and --location: give them, for --json asks nothing", 2
            )
        newstore, locations, provider, provider_url = _asked(newstore, locations, provider, provider_url)
    wanted = _checked(_Wanted(public_url, newstore, client_id, locations, provider, provider_url, adapter, operator))
    named, kind = _Secrets(secrets_in), _settings_of(wanted, config.parent)
    written = "\n".join(_lines(wanted, named, kind))
    try:
        made = named.make(config.parent)
        with config.open("x", encoding="utf-8") as out:
            out.write(written)
    except OSError as error:
        raise fault(f"{error.filename}: can't be written ({error.strerror})", 1) from error
    _tell(config, named, made, as_json=as_json)


def _example() -> str:
    package = Path(gateway.__file__).parent
    file = package / _EXAMPLE
    return (file if file.exists() else package.parent / _EXAMPLE).read_text(encoding="utf-8")


def _asked(
    newstore: dict[str, str], locations: list[str], provider: str, provider_url: str
) -> tuple[dict[str, str], list[str], str, str]:
    """Ask for what is missing; an empty answer leaves out what may be left out."""
    ask = partial(typer.prompt, default="", show_default=False)
    if not any(newstore.values()):
        newstore["tenant"] = ask("NewStore's tenant (empty: it has URLs of its own)")
        if not newstore["tenant"]:
            newstore["url"], newstore["token_url"] = ask("URL of its APIs"), ask("URL of its tokens")
    locations = locations or ask("DCs, by NewStore's names for them, with blanks between").split()
    provider = provider or ask("A name for the provider that ships for them (empty: none yet)")
    if provider and not provider_url:
        provider_url = ask("URL for its orders")
    return newstore, locations, provider, provider_url


def _checked(wanted: _Wanted) -> _Wanted:
    newstore = {key: each for key, each in wanted.newstore.items() if each}
    if newstore.keys() not in ({"tenant"}, {"url", "token_url"}):
        raise fault("give --tenant, or --newstore-url and --token-url", 2)
    if not wanted.locations:
        raise fault("give --location, for each DC", 2)
    if wanted.provider_url and not wanted.provider:
        raise fault("give --provider beside --provider-url", 2)
    fit("--public-url", web_url, wanted.public_url)
    fit("--client-id", text, wanted.client_id)
    fit("--operator", text, wanted.operator)
    for option, key in (("--newstore-url", "url"), ("--token-url", "token_url")):
        if key in newstore:
            fit(option, web_url, newstore[key])
    if "tenant" in newstore:
        fit("--tenant", tenant, newstore["tenant"])
    if wanted.provider_url:
        fit("--provider-url", web_url, wanted.provider_url)
    for option, name in [
        ("--provider", wanted.provider or "none"),
        *(("--location", each) for each in wanted.locations),
    ]:
        if not NAME.fullmatch(name):
            raise fault(f"{option}: {name!r} is not a name; use letters, digits, dots, dashes or underscores", 2)
    return wanted


def _settings_of(wanted: _Wanted, folder: Path) -> type[ProviderSettings]:
    """Find what the adapter wants to be told."""
    try:
        kind = Registry(folder).find(wanted.adapter).settings
    except NoAdapter as error:
        raise fault(f"--adapter: {error}", 2) from error
    has_url = "url" in kind.keys()  # noqa: SIM118 - a method of settings
    if wanted.provider and has_url and not wanted.provider_url:
        raise fault("give --provider and --provider-url, or none of them", 2)
    if wanted.provider_url and not has_url:
        raise fault(f"--provider-url: the adapter {wanted.adapter} has no URL; leave it out", 2)
    return kind


def _lines(wanted: _Wanted, named: _Secrets, kind: type[ProviderSettings]) -> Iterator[str]:
    yield "# Written by `gateway init`. `gateway init --example` shows every other key.\n"
    yield "# What NewStore and the providers call; your TLS proxy answers there."
    yield f"public_url = {json.dumps(wanted.public_url)}"
    yield "\n[newstore]"
    yield from (f"{key} = {json.dumps(each)}" for key, each in wanted.newstore.items() if each)
    yield f"client_id = {json.dumps(wanted.client_id)}"
    yield f"client_secret = {named.name('NEWSTORE_CLIENT_SECRET', 'NewStore')}"
    yield f'\n[[operators]]\nname = {json.dumps(wanted.operator)}\nrole = "admin"'
    yield f"token = {named.name('GATEWAY_TOKEN')}"
    if wanted.provider:
        yield f"\n[{place(('providers', wanted.provider))}]\nadapter = {json.dumps(wanted.adapter)}"
        yield from _provider_lines(wanted, named, kind)
    for each in wanted.locations:
        yield f"\n[{place(('locations', each))}]"
        if wanted.provider:
            yield f"provider = {json.dumps(wanted.provider)}"
        yield f"api_keys = [{named.name(f'{each}_API_KEY')}]  # NewStore shows it to us"
    yield ""


def _provider_lines(wanted: _Wanted, named: _Secrets, kind: type[ProviderSettings]) -> Iterator[str]:
    """Give the keys that a provider of this kind can't do without."""
    schema = of_adapter(wanted.adapter, kind)
    needed = {*schema["required"], "api_key", *(kind.either[0] if kind.either else ())} - {"adapter"}
    for key, told in schema["properties"].items():
        if key not in needed:
            continue
        if key == "url":
            yield f"url = {json.dumps(wanted.provider_url)}"
        elif '"secret"' in json.dumps(told):
            owner = "" if key in kind.shown_to_us else wanted.provider
            yield f"{key} = {named.name(f'{wanted.provider}_{key}', owner)}  # {told['description']}"
        else:
            yield f"# {key} = …  # {told['description']}"


def _tell(config: Path, named: _Secrets, made: list[str], *, as_json: bool) -> None:
    following = "gateway check-config" if config == HERE else f"gateway check-config --config {config}"
    if as_json:
        told: list[dict[str, Any]] = [
            {"reference": each, "made": each in made, "of": named.theirs.get(each)} for each in named.all
        ]
        print_json({"written": str(config), "secrets": told, "next": following})
        return
    say(f"{config} is written.")
    for each in named.all:
        what = "made" if each in made else "was there" if named.folder else "set it before the start"
        owner = named.theirs.get(each)
        say(f"  {each}: {what}" + (f"; the real one comes from {owner}" if owner else ""))
    say(f"Next: {following}")
