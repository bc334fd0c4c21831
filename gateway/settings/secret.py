import hmac
from hashlib import sha256
from typing import Final

MASK: Final = "****"


class Secret:
    """A key or password that no log line, traceback or JSON document shows by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends or checks it."""
        return self._value

    @property
    def digest(self) -> str:
        """What tells it from others without showing it."""
        return sha256(self._value.encode()).hexdigest()

    def matches(self, candidate: str) -> bool:
        """Compare in constant time."""
        # surrogatepass: a header with stray bytes is a wrong key, not a crash
        return hmac.compare_digest(self._value.encode(), candidate.encode("utf-8", "surrogatepass"))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"Secret({MASK})"


class Digest(Secret):
    """The SHA-256 of a secret that somebody else keeps, in hex: enough to know it by."""

    __slots__ = ()

    @property
    def digest(self) -> str:
        return self._value

    def matches(self, candidate: str) -> bool:
        return hmac.compare_digest(self._value, sha256(candidate.encode("utf-8", "surrogatepass")).hexdigest())
