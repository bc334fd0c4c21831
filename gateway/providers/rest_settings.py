"""What `[providers.NAME]` says of a provider with a JSON API of its own; the rest stands in its mapping."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from gateway.settings.kinds import InvalidValue, Source, Text
from gateway.settings.references import Key, OneOrTwo, key, signing_key
from gateway.settings.tables import Fault, Readable, Table, table_of
from gateway.settings.urls import BaseUrl

from .rest_mapping import Mapped, MappingFile, mapping_file
from .transports.settings import CalledOverHttp, Prefix, unfit

_NEEDS: Mapping[str, set[str]] = {
    "hmac": {"header"},
    "header": {"header"},
    "bearer": set(),
    "basic": {"user"},
    "standard": set(),
}
_MAY: Mapping[str, set[str]] = {
    "hmac": {"prefix", "algorithm", "encoding"},
    "header": {"prefix"},
    "bearer": set(),
    "basic": set(),
    "standard": set(),
}


@dataclass(frozen=True)
class WebhookSettings(Readable):
    """How a webhook shows that it is the provider's."""

    kind: Literal["hmac", "header", "bearer", "basic", "standard"]
    """An HMAC of the body, a key in a header of its own, a bearer token, a user and password, Standard Webhooks."""
    header: Text | None = None
    """`hmac` and `header`: the name of the header, as `X-Signature`."""
    prefix: Prefix | None = None
    """`header` and `hmac`: what stands before it, as `Token` or `sha256=`. A blank is put after a letter or digit."""
    user: Text | None = None
    """`basic`: the user."""
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    """`hmac`: the hash."""
    encoding: Literal["hex", "base64"] = "hex"
    """`hmac`: how the signature is written."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        yield from unfit(written, _NEEDS, _MAY)


@dataclass(frozen=True)
class RestSettings(CalledOverHttp):
    """A provider with a JSON API of its own, which a mapping file describes."""

    written_as: ClassVar = {**CalledOverHttp.written_as, "webhook_secrets": "webhook_secret"}
    live: ClassVar = CalledOverHttp.live | {"mapping", "webhooks", "webhook_secrets"}
    shown_to_us: ClassVar = ("webhook_secret",)
    beside: ClassVar = {"mapping": MappingFile}

    url: BaseUrl
    """Where its API is; the paths of the mapping file come after it."""
    mapping: Mapped = field(kw_only=True)
    """The TOML file that describes its API."""
    webhooks: WebhookSettings | None = None
    """How its webhooks show that they are its."""
    webhook_secrets: OneOrTwo[Key] = ()
    """Their key, password or secret; a list of two while it changes."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        for here, there in (("webhooks", "webhook_secret"), ("webhook_secret", "webhooks")):
            if here in written and there not in written:
                yield Fault((there,), f"is missing beside {here}; add it, or remove {here}")
        if table_of(written, "webhooks").get("kind") == "standard":
            yield from _unfit_to_sign(written.get("webhook_secret", []), source)
        yield from _heard(written, source)


def _unfit_to_sign(said: object, source: Source) -> Iterator[Fault]:
    """Say which secrets are none of Standard Webhooks; what is no secret at all is told already."""
    for each in said if isinstance(said, list) else [said]:
        with suppress(InvalidValue):
            key(each, source)
            try:
                signing_key(each, source)
            except InvalidValue as invalid:
                yield Fault(("webhook_secret",), str(invalid))


def _heard(written: Table, source: Source) -> Iterator[Fault]:
    """See that webhooks are both signed and read; what is wrong with the mapping itself is told by whoever reads it."""
    with suppress(ValueError):
        is_read = mapping_file(written.get("mapping"), source).webhook is not None
        if is_read and "webhooks" not in written:
            yield Fault(
                ("webhooks",), "is missing; the mapping has [webhook]: add how one shows that it is the provider's"
            )
        if not is_read and "webhooks" in written:
            yield Fault(("webhooks",), "is of no use; the mapping has no [webhook]: add that, or remove this")
