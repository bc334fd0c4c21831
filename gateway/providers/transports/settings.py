"""What the settings say of a provider that is called over HTTP, whatever its adapter is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, TypeAlias

import aiohttp

from gateway.settings import Certificates, ProviderSettings
from gateway.settings.kinds import InvalidValue, Kind, Source, Text, text
from gateway.settings.references import Issued
from gateway.settings.references import Key as SecretKey
from gateway.settings.tables import Fault, Readable, Table
from gateway.settings.urls import BaseUrl, WebUrl

from .authentication import Authentication, Basic, ClientCredentials, Key, Signature

_BLANK = "put no blank around it: one is put after a word by itself, as in Token KEY"


def _prefix(value: object, _: Source) -> str:
    if isinstance(value, str) and value.strip() and value != value.strip():
        raise InvalidValue(_BLANK)
    return text(value)


Prefix: TypeAlias = Annotated[str, Kind(_prefix, {"type": "string", "minLength": 1})]
"""What stands before a key or a signature."""
_NEEDS = {
    "bearer": set[str](),
    "header": {"header"},
    "basic": {"user"},
    "oauth2": {"token_url", "client_id"},
    "hmac": {"header"},
}
_MAY = {
    "bearer": set[str](),
    "header": {"prefix"},
    "basic": set[str](),
    "oauth2": {"scope", "credentials_in"},
    "hmac": {"prefix", "algorithm", "encoding"},
}


def unfit(written: Table, needs: Mapping[str, set[str]], may: Mapping[str, set[str]]) -> Iterator[Fault]:
    """Say what a table with a `kind` lacks for that kind, and what it has that says nothing of it."""
    kind = str(written.get("kind"))
    if kind not in needs:
        return
    for missing in sorted(needs[kind] - written.keys()):
        yield Fault((missing,), f'is missing; kind = "{kind}" needs it')
    others = set().union(*needs.values(), *may.values()) - needs[kind] - may[kind]
    for unused in sorted(others & written.keys()):
        yield Fault((unused,), f'says nothing where kind = "{kind}"; remove it')


@dataclass(frozen=True)
class AuthenticationSettings(Readable):
    """How our calls to a provider show that they are ours."""

    kind: Literal["bearer", "header", "basic", "oauth2", "hmac"]
    """A bearer token, a key in a header of its own, a user and password, an OAuth 2.0 client, an HMAC of the body."""
    secret: Issued
    """The token, the key, the password, the client's secret, or the HMAC's secret: `env:` or `file:`."""
    header: Text | None = None
    """`header` and `hmac`: the name of the header, as `X-Api-Key`."""
    prefix: Prefix | None = None
    """`header` and `hmac`: what stands before it, as `Token` or `sha256=`. A blank is put after a letter or digit."""
    user: Text | None = None
    """`basic`: the user."""
    token_url: WebUrl | None = None
    """`oauth2`: where tokens are got, by client credentials."""
    client_id: Text | None = None
    """`oauth2`: the client."""
    scope: Text | None = None
    """`oauth2`: the scope to ask for, where the endpoint wants one."""
    credentials_in: Literal["header", "body"] = "header"
    """`oauth2`: where the endpoint wants the client's id and secret."""
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    """`hmac`: the hash."""
    encoding: Literal["hex", "base64"] = "hex"
    """`hmac`: how the signature is written."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        yield from unfit(written, _NEEDS, _MAY)

    def of(self, session: aiohttp.ClientSession, seconds: float) -> Authentication:
        """Make what calls are shown by."""
        header, prefix = self.header or "", self.prefix or ""
        match self.kind:
            case "bearer":
                return Key(self.secret)
            case "header":
                return Key(self.secret, header, prefix)
            case "basic":
                return Basic(self.user or "", self.secret)
            case "hmac":
                return Signature(self.secret, header, self.algorithm, self.encoding, prefix)
        return ClientCredentials(
            session,
            self.token_url or "",
            self.client_id or "",
            self.secret,
            scope=self.scope or "",
            in_body=self.credentials_in == "body",
            seconds=seconds,
        )


@dataclass(frozen=True)
class CalledOverHttp(ProviderSettings, Certificates):
    """A provider with a URL, to which our calls show a key."""

    live: ClassVar = ProviderSettings.live | {"api_key"}
    addressed: ClassVar = frozenset({"url"})

    url: BaseUrl
    """Where the provider is called."""
    api_key: SecretKey | None = None
    """What we show the provider, as a bearer token."""
    auth: AuthenticationSettings | None = field(default=None, kw_only=True)
    """In the place of `api_key`: another way to show whose a call is."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        if "api_key" in written and "auth" in written:
            yield Fault(("auth",), "stands beside api_key; keep the one by which the provider knows us")
        if "api_key" not in written and "auth" not in written:
            yield Fault(("api_key",), "is missing; add it, or an auth table")

    @property
    def address(self) -> str:
        return self.url

    def shown_by(self, session: aiohttp.ClientSession) -> Authentication:
        """Make what each call to the provider shows."""
        if self.auth is not None:
            return self.auth.of(session, self.timeout)
        assert self.api_key is not None  # noqa: S101 - one of the two is there
        return Key(self.api_key)
