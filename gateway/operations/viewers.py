"""What a viewer reads of what others wrote: a function for each kind of text, and the fields that hold such texts."""

import re
from collections.abc import Mapping
from typing import Any

from gateway.domain.commands import Word
from gateway.providers.port import Kind

from .masking import MASK, Reading

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./#:+~!-]{0,63}")
_LINK = re.compile(
    r"(?P<scheme>https?://)(?P<person>[^/?#]*@)?(?P<host>[\w.:\[\]-]+)(?P<path>(/[^?#]*)?)(?P<rest>[?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
_STEP = re.compile(r"[\w.~:+-]*")
# Python's own quotes, which no text within them can leave; of a sentence that was cut off the last ones may be open.
_QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*(?:'|\\?\Z)|"(?:[^"\\]|\\.)*(?:"|\\?\Z))""", re.DOTALL)
_SAID_SO = re.compile(r"([^:]+ said so: )(.*)", re.DOTALL)
_WORDS = frozenset(Word)
_OURS = frozenset({"newstore", "gateway", "call", "read", "person"})  # no provider may be called so


def identifier(text: str) -> str:
    """Show what looks like an id: short, without blanks, an address of e-mail is none."""
    return text if _ID.fullmatch(text) else MASK


def link(text: str) -> str:
    """Show where a link leads, by host and path, and not what it says there of a person; hide what is no link."""
    found = _LINK.fullmatch(text)
    if found is None:
        return MASK
    parts = found.groupdict("")
    path = "/".join(step if _STEP.fullmatch(step) else MASK for step in parts["path"].split("/"))
    person, rest = parts["person"] and f"{MASK}@", parts["rest"] and parts["rest"][0] + MASK
    return f"{parts['scheme']}{person}{parts['host']}{path}{rest}"


def sentence(text: str) -> str:
    """Show a sentence of ours, and hide what it quotes: so it repeats what others wrote."""
    return _QUOTED.sub(MASK, text)


def word(text: str) -> str:
    """Show what a provider says of units where it is a word that is known."""
    return text if text in _WORDS else MASK


def cause(text: str) -> str:
    """Show whose message it was, and the name that its sender gave it if that looks like an id."""
    sender, colon, name = text.partition(":")
    if sender in _OURS:
        return text
    if sender == "discard":
        return f"{sender}:{cause(name)}"
    return f"{sender}:{identifier(name)}" if colon else identifier(text)


def proof(text: str) -> str:
    """Show how it is known that a provider stopped: by our words or a person's, or by a message."""
    found = _SAID_SO.fullmatch(text)
    return f"{found[1]}{cause(found[2])}" if found else text


KINDS: Mapping[Kind, Reading] = {"id": identifier, "link": link, "word": word, "plain": str}
"""What is shown of a text in a provider's body."""
OTHERS: Mapping[str, Reading] = {
    "provider_order": identifier,
    "request_id": identifier,  # of a message in quarantine: there may be no such request
    "tracking_url": link,
    "cause": cause,
    "event_id": cause,
    "message": cause,
    "repeated": cause,
    "replays": cause,
    "proof": proof,
    "detail": sentence,
    "next": sentence,
    "problem": sentence,
    "said": sentence,
    "unread": sentence,
    "unmapped": identifier,
    "word": sentence,
}
"""What is shown of the fields in which others may write what they like."""
_NAMED_BY_OTHERS = frozenset({"items", "uncounted"})


def for_viewers(value: Any, field: str = "") -> Any:
    """Show an answer of the operations API without what others wrote; it is JSON that was read."""
    if isinstance(value, dict):
        if field in _NAMED_BY_OTHERS:
            value = {_named(name, number): each for number, (name, each) in enumerate(value.items())}
        return {name: for_viewers(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [for_viewers(each, field) for each in value]
    return OTHERS[field](value) if isinstance(value, str) and field in OTHERS else value


def _named(product: str, number: int) -> str:
    return product if identifier(product) == product else f"{MASK} {number}"
