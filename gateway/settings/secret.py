import hmac
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

    def matches(self, candidate: str) -> bool:
        """Compare in constant time."""
        # surrogatepass: a header with stray bytes is a wrong key, not a crash
        return hmac.compare_digest(self._value.encode(), candidate.encode("utf-8", "surrogatepass"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"Secret({MASK})"
