"""Addresses where no destination can be: of this link, or where a cloud tells a machine its own keys."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

_LINK_LOCAL: Final = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10")))
_METADATA: Final = tuple(
    map(
        ip_network,
        (
            "169.254.169.254/32",  # nearly every cloud's
            "100.100.100.200/32",  # Alibaba
            "168.63.129.16/32",  # Azure
            "192.0.0.192/32",  # Oracle
            "fd00:ec2::/32",  # Amazon
            "fd20:ce::254/128",  # Google
        ),
    )
)
_NAT64: Final = ip_network("64:ff9b::/96")


class Forbidden(Exception):
    """Somebody's URL leads where no destination can be."""


def refuse(addresses: Iterable[str]) -> None:
    """Raise `Forbidden` if one of them is such an address."""
    for address in addresses:
        if kind := forbidden(address):
            raise Forbidden(f"leads to {address}, {kind}: correct the URL, or what its name resolves to")


def forbidden(address: str) -> str:
    """Say what makes an address one that nobody may be called at; empty for any other, and for a name."""
    try:
        found = _seen_through(ip_address(address))
    except ValueError:
        return ""
    if any(found in each for each in _METADATA):
        return "where a cloud keeps a machine's own keys"
    return "a link-local address" if any(found in each for each in _LINK_LOCAL) else ""


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seen_through(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Give the IPv4 address that an IPv6 address stands for."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or IPv6Address(int(address))  # without its zone
