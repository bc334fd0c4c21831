"""What a value may be: each kind turns what the file says into what the program uses, or raises `InvalidValue`."""

import base64
import binascii
import ipaddress
import re
import zoneinfo
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlsplit

from gateway.addresses import forbidden, is_loopback
from gateway.domain.deliveries import normal
from gateway.settings.secret import Digest, Secret

Word = TypeVar("Word", bound=str)

# "." and ".." would vanish from a URL's path
NAME: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}")
_TENANT: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SHORTEST_SECRET: Final = 16
_FEWEST_CHARACTERS: Final = 8
_DIGEST: Final = "sha256:"
_SIGNING_KEY_BYTES: Final = range(24, 65)  # as Standard Webhooks has it
_SEVERAL_HOSTS: Final = re.compile(r"([a-z]+)://([^/?#]*,[^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)


class InvalidValue(ValueError):
    """What is wrong with a value, and what to do. Never repeats a value that may be a secret."""


def closest(word: str, known: Iterable[str]) -> str:
    match = get_close_matches(word, known, n=1)
    return f"did you mean {match[0]}? " if match else ""


def text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue('must be text; write it in quotes, "like this"')
    if not value or value != value.strip() or not value.isprintable():
        raise InvalidValue("is empty, or has control characters or spaces around it; write one plain line")
    return value


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue("must be true or false, without quotes")
    return value


def whole(low: int, high: int) -> Callable[[object], int]:
    def kind(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise InvalidValue(f"must be a whole number; choose one from {low} to {high}")
        return value

    return kind


def seconds(longest: float) -> Callable[[object], float]:
    def kind(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= longest:
            raise InvalidValue(f"must be a number of seconds; choose one above 0 and up to {longest:g}")
        return float(value)

    return kind


def rate(highest: float) -> Callable[[object], float]:
    def kind(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= highest:
            raise InvalidValue(f"must be a number of calls; choose one above 0 and up to {highest:g}")
        return float(value)

    return kind


def share(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1:
        raise InvalidValue("must be a share; choose one between 0 and 1, as 0.3 for 30 %")
    return float(value)


def ratio(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InvalidValue("must be a share; choose one from 0 to 1, as 0.01 for 1 %")
    return float(value)


def words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidValue('must be a list of texts; write ["ONE", "TWO"]')
    return tuple(text(each) for each in value)


def networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses, or networks of them."""
    found = []
    for each in words(value):
        try:
            found.append(ipaddress.ip_network(each))
        except ValueError:
            raise InvalidValue(f"{each} is no address or network; write one as 10.0.0.7 or 10.0.0.0/24") from None
    return tuple(found)


def carriers(value: object) -> Mapping[str, str]:
    """A provider's names of carriers, spelled as they are compared, and NewStore's."""
    if not isinstance(value, dict):
        raise InvalidValue('must be a table; write { "ups ground" = "UPS" }, the provider\'s word first')
    found: dict[str, str] = {}
    for said, told in value.items():
        if found.setdefault(normal(said), text(told)) != told:
            raise InvalidValue(f"names {said!r} twice, if blanks and capitals are left out; keep one of the two")
    if "" in found:
        raise InvalidValue("maps a carrier without a name; write the provider's word before the =")
    return MappingProxyType(found)


def one_of(words: tuple[Word, ...]) -> Callable[[object], Word]:
    def kind(value: object) -> Word:
        for word in words:
            if word == value:
                return word
        raise InvalidValue(f"is not a word known here; choose one of {', '.join(words)}")

    return kind


def defined_provider(names: Iterable[str]) -> Callable[[object], str]:
    def kind(value: object) -> str:
        name = text(value)
        if name not in names:
            raise InvalidValue(
                f"no provider {name} is defined; {closest(name, names)}Add [providers.{name}], "
                "or leave provider out to park this location's requests",
            )
        return name

    return kind


def time_zone(value: object) -> str:
    name = text(value)
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: some Pythons, "Europe" is a folder
        hint = closest(name, zoneinfo.available_timezones())
        raise InvalidValue(f"is not a time zone; {hint}Use an IANA name such as Europe/Berlin") from None
    return name


def tenant(value: object) -> str:
    name = text(value)
    if not _TENANT.fullmatch(name):
        raise InvalidValue("is not a tenant name; write the part of the host before .p.newstore.net, in small letters")
    return name


def web_url(value: object, plain_http_hosts: Collection[str] = ()) -> str:
    url, host = _url(value)
    if urlsplit(url).scheme == "http" and not is_loopback(host) and host not in plain_http_hosts:
        raise InvalidValue(
            "would send secrets in the clear; write https:// "
            "(http:// is for loopback hosts, and those in plain_http_hosts)"
        )
    return url


def _url(value: object) -> tuple[str, str]:
    """Read a URL, and the host that it leads to."""
    url = text(value)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidValue("is not a URL; write https://host or https://host:port") from None
    if parts.scheme not in {"http", "https"} or not host or " " in url or "\\" in url:
        raise InvalidValue("is not an http(s) URL with a host; write https://host or https://host:port")
    if "@" in parts.netloc:
        raise InvalidValue("has a user or password in it; remove it, secrets have their own keys")
    if "?" in url or "#" in url:
        raise InvalidValue("has a query or fragment; remove everything from ? or # on")
    _judge_address(host)
    return url, host


def _judge_address(host: str) -> None:
    """Judge an address; what a name leads to is judged when it is called."""
    if kind := forbidden(host):
        raise InvalidValue(f"leads to {host}, {kind}; write the address of the destination itself")
    if host.replace(".", "").isdecimal() and not _is_address(host):  # 2130706433 is one to some programs
        raise InvalidValue("has a number for a host; write a name, or an address such as 192.0.2.7")


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def base_url(value: object, plain_http_hosts: Collection[str] = ()) -> str:
    return web_url(value, plain_http_hosts).rstrip("/")


def split(url: str) -> SplitResult:
    """Split a URL that may name several hosts: newer Pythons take one in brackets only where it is alone.

    Raises `ValueError` for what is no URL.
    """
    try:
        return urlsplit(url)
    except ValueError:
        found = _SEVERAL_HOSTS.fullmatch(url)
        if found is None:
            raise
        return SplitResult(*found.groups(""))


def _is_readable(url: str) -> bool:
    try:
        credentials, _, hosts = split(url).netloc.rpartition("@")
        return "@" not in credentials and all(urlsplit(f"//{host}").port != 0 for host in hosts.split(","))
    except ValueError:
        return False


class SecretKinds:
    """Secrets are written as `env:NAME` or `file:PATH`; this knows the environment and the folder."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = environ

    def key(self, value: object) -> Secret:
        """Something random, long enough that nobody guesses it."""
        secret = self._fetch(value)
        if len(secret) < _SHORTEST_SECRET:
            raise InvalidValue(f"is shorter than {_SHORTEST_SECRET} characters; make one with `openssl rand -hex 24`")
        return Secret(secret)

    def token(self, value: object) -> Secret:
        """What a person shows; its SHA-256 may stand in the file itself."""
        if isinstance(value, str) and value.startswith(_DIGEST):
            digest = value.removeprefix(_DIGEST).lower()
            if not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise InvalidValue(
                    f"is not {_DIGEST} and 64 hex digits; make a token and its digest with `gateway token new`"
                )
            return Digest(digest)
        secret = self.key(value)
        if len(set(secret.reveal())) < _FEWEST_CHARACTERS:
            raise InvalidValue(
                f"has fewer than {_FEWEST_CHARACTERS} different characters; make one with `gateway token new`"
            )
        return secret

    def signing_key(self, value: object) -> Secret:
        """A Standard Webhooks secret."""
        secret = self.key(value)
        prefix, _, encoded = secret.reveal().partition("_")
        try:
            length = len(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            length = 0
        if prefix != "whsec" or length not in _SIGNING_KEY_BYTES:
            raise InvalidValue(
                "is not whsec_ and the base64 of 24 to 64 bytes; make one with `openssl rand -base64 32`"
            )
        return secret

    def database_url(self, value: object) -> Secret:
        """Hosts may be several. A password with a / in it makes a port of its beginning, which an error would tell."""
        url = self._fetch(value)
        if not url.startswith(("postgresql://", "postgres://")) or not _is_readable(url):
            raise InvalidValue(
                "is not a Postgres URL; write postgresql://user:password@host:port/database, "
                "and / # ? @ of the password as %2F %23 %3F %40"
            )
        return Secret(url)

    def file(self, value: object) -> Path:
        """A file beside the settings."""
        return self.folder / text(value)

    def own_folder(self, value: object) -> Path:
        """A folder of the gateway's own, beside the settings where it is not named from the root."""
        found = self.folder / text(value)
        if found.exists() and not found.is_dir():
            raise InvalidValue(f"{found} is not a folder; name one where the gateway may write")
        return found

    def key_file(self, value: object) -> Path:
        """A private key, which only a file may hold: that is how the TLS library reads it."""
        scheme, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
        if scheme != "file" or not name:
            raise InvalidValue("a private key must not stand here itself; write file:PATH")
        return self.folder / name

    def _fetch(self, value: object) -> str:
        scheme, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
        if scheme == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            source, secret = f"the environment variable {name}", self._from_environment(name)
        elif scheme == "file" and name:
            source, secret = f"the file {name}", self._from_file(name)
        else:
            raise InvalidValue("a secret must not stand here itself; write env:NAME or file:PATH")
        if secret != secret.strip() or not secret.isprintable():
            raise InvalidValue(f"{source} has control characters or spaces around it; keep one plain line in it")
        return secret

    def _from_environment(self, name: str) -> str:
        if not self.environ.get(name):
            raise InvalidValue(f"the environment variable {name} is not set; set it before the start")
        return self.environ[name]

    def _from_file(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise InvalidValue(
                f"the file {name} can't be read ({error.strerror}); create it or correct the path"
            ) from None
        except ValueError:
            raise InvalidValue(f"the file {name} is not UTF-8 text; write the secret as one plain line") from None
