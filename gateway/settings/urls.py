"""Which URLs may be called, and how one is read that names several hosts."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from gateway.addresses import forbidden, is_loopback
from gateway.settings.kinds import InvalidValue, Kind, Source, text

_SEVERAL_HOSTS: Final = re.compile(r"([a-z]+)://([^/?#]*,[^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)


def web_url(value: object, plain_http_hosts: Iterable[str] = ()) -> str:
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


def _web_url(value: object, source: Source) -> str:
    return web_url(value, source.plain_http_hosts)


def _base_url(value: object, source: Source) -> str:
    return _web_url(value, source).rstrip("/")


_SCHEMA: Final = {"title": "URL", "type": "string", "pattern": "^https?://"}

WebUrl: TypeAlias = Annotated[str, Kind(_web_url, _SCHEMA)]
BaseUrl: TypeAlias = Annotated[str, Kind(_base_url, _SCHEMA)]
"""One that paths are added to: it ends without a slash."""
