"""What a Postgres URL asks for: which hosts, how they are known, and what of libpq's parameters becomes of it."""

import os
import ssl
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit

from gateway.addresses import is_loopback
from gateway.settings.kinds import InvalidValue
from gateway.settings.urls import split

Mode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
Encrypted: TypeAlias = Mode | ssl.SSLContext | None

_CLEAR: Final = ("disable", "allow", "prefer")  # each sends the password in clear to whoever answers "no TLS"
_HALF: Final = {"require": "does not check who answers", "verify-ca": "does not check the name of who answers"}
_WHOLE: Final = "verify-full"
_SYSTEM: Final = "system"

_SILENT: Final = "a server that falls silent is given up after seconds in any case"
_GSS: Final = "the driver encrypts by TLS alone"
_LEFT_OUT: Final = MappingProxyType(
    {
        "channel_binding": "the driver can't; sslmode=verify-full checks who answers",
        "client_encoding": "it is always UTF8",
        "fallback_application_name": "application_name is taken",
        "gssdelegation": _GSS,
        "gssencmode": _GSS,
        "hostaddr": "the host is asked for its address",
        "keepalives": _SILENT,
        "keepalives_count": _SILENT,
        "keepalives_idle": _SILENT,
        "keepalives_interval": _SILENT,
        "load_balance_hosts": "the host that took writes last is asked first",
        "replication": "the gateway does not replicate",
        "require_auth": "the driver answers what the server asks; sslmode=verify-full checks who that is",
        "requirepeer": "the driver can't",
        "scram_client_key": "the driver can't; write the password",
        "scram_server_key": "the driver can't",
        "service": "write the host, the user and the database into the URL",
        "servicefile": "write the host, the user and the database into the URL",
        "sslcertmode": "sslcert is shown where it is named",
        "sslcompression": "nothing is compressed",
        "sslcrldir": "the driver can't; sslcrl is taken",
        "sslkeylogfile": "the driver can't",
        "sslsni": "the name is always sent",
        "tcp_user_timeout": _SILENT,
    }
)
"""libpq's own parameters, which the driver would hand to the server, and it would refuse."""
_TAKE_WRITES: Final = {"read-write", "primary"}
LOCAL: Final = "the local server"


def one_by_one(url: str) -> list[str]:
    """Give a URL of its own for each host that a URL names, in its authority or as `host=` and `port=`."""
    parts = split(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    if hosts:
        return [parts._replace(netloc=f"{credentials}{at}{host}").geturl() for host in hosts.split(",")]
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    named = query.get("host", "").split(",")
    ports = query["port"].split(",") if "port" in query else []
    if len(ports) != len(named):
        ports = ports[:1] * len(named)
    if len(named) == 1:
        return [url]
    chosen = [{"host": host} | ({"port": ports[n]} if ports else {}) for n, host in enumerate(named)]
    return [f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(query | one)}" for one in chosen]


def judge(url: str, plain_hosts: Iterable[str]) -> None:
    """Refuse what would send the password in clear, and what nobody could read. Raises `InvalidValue`."""
    asked = _parameters(url)
    mode = asked.get("sslmode")
    if mode is not None and mode not in {*_CLEAR, *_HALF, _WHOLE}:
        raise InvalidValue(f"has an sslmode that nobody knows; write {_WHOLE}")
    if not (asked.get("connect_timeout") or "0").isdecimal():
        raise InvalidValue("has a connect_timeout that is no number; write whole seconds")
    if asked.get("sslrootcert") == _SYSTEM and mode not in {None, _WHOLE}:
        raise InvalidValue(f"trusts all that the system trusts, whatever its name; write sslmode={_WHOLE}")
    if mode in _CLEAR and (strangers := _network_hosts(url) - set(plain_hosts)):
        raise InvalidValue(
            f"sends the password in clear where {', '.join(sorted(strangers))} has no TLS (sslmode={mode}); "
            f"write sslmode={_WHOLE}, or name the host in database.plain_hosts"
        )


def remarks(url: str) -> Iterator[str]:
    """Say what of a URL is weaker than it could be, and what of it nobody heeds."""
    asked = _parameters(url)
    mode = asked.get("sslmode", "")
    if mode in _HALF and (hosts := _network_hosts(url)):
        yield f"sslmode={mode} {_HALF[mode]}: write sslmode={_WHOLE} for {', '.join(sorted(hosts))}"
    if "connect_timeout" in asked:
        yield "connect_timeout only shortens the four seconds that all hosts have together"
    if asked.get("target_session_attrs", "primary") not in _TAKE_WRITES:
        yield "target_session_attrs is left out: the gateway needs the server that takes writes"
    for name in sorted(asked.keys() & _LEFT_OUT.keys()):
        yield f"{name} is left out: {_LEFT_OUT[name]}"


def server_of(one: str) -> str:
    """Name a server without its password."""
    return _named(one) or LOCAL


def for_driver(one: str, plain_hosts: Collection[str], ca: Path | None) -> tuple[str, Encrypted]:
    """Give the driver the URL of one host, and how to encrypt; None where it may choose, on this machine.

    By itself it falls back to a connection in clear, so that it is left no choice about a host of a network.
    """
    asked = {name: value for name, value in _parameters(one).items() if name not in {*_LEFT_OUT, "connect_timeout"}}
    mode = asked.pop("sslmode", None)
    if mode is None and (hosts := _network_hosts(one)):
        mode = "prefer" if hosts <= set(plain_hosts) else _WHOLE
    if ca is not None:
        asked.setdefault("sslrootcert", str(ca))
    encrypted = _of_the_system(asked) if mode == _WHOLE and _names_no_ca(asked) else cast("Mode | None", mode)
    return split(one)._replace(query=urlencode(asked, quote_via=quote)).geturl(), encrypted


def seconds(one: str, most: float) -> float:
    """Tell how long a connection may take to come about."""
    return min(most, float(_parameters(one).get("connect_timeout") or most) or most)


def _network_hosts(url: str) -> set[str]:
    hosts = {_name(each) for each in _named(url).split(",") if each}
    return {host for host in hosts if not host.startswith("/") and not is_loopback(host)}


def _named(url: str) -> str:
    """Give the hosts that a URL names, or the environment where the URL does not."""
    in_authority = split(url).netloc.rpartition("@")[2]
    return in_authority or _parameters(url).get("host") or os.environ.get("PGHOST", "")


def _name(host: str) -> str:
    return host if host.startswith("/") else unquote(urlsplit(f"//{host}").hostname or "")


def _parameters(url: str) -> dict[str, str]:
    return dict(parse_qsl(split(url).query, keep_blank_values=True))


def _names_no_ca(asked: Mapping[str, str]) -> bool:
    """Look where libpq would, of which the driver knows all but the system's."""
    named = asked.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    return named == _SYSTEM or not (named or (Path.home() / ".postgresql" / "root.crt").exists())


def _of_the_system(asked: dict[str, str]) -> ssl.SSLContext:
    """Trust what the system trusts."""
    asked.pop("sslrootcert", None)
    if "sslcert" not in asked:
        return _shared()
    context = _system()
    context.load_cert_chain(asked["sslcert"], asked.get("sslkey"), asked.get("sslpassword", ""))
    return context


def _system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    return context


_shared = cache(_system)
