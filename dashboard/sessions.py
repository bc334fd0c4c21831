"""Who is signed in: a cookie names a session, and only this process knows the token behind it."""

import secrets
import time
from threading import Lock

COOKIE = "gateway_dashboard"
SECONDS = 12 * 3600
_MOST = 10_000


class Sessions:
    """The sessions of one process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tokens: dict[str, tuple[float, str]] = {}

    def begin(self, token: str) -> str:
        """Start a session; the oldest go where there are too many."""
        name = secrets.token_urlsafe(24)
        with self._lock:
            while len(self._tokens) >= _MOST:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[name] = (time.monotonic() + SECONDS, token)
        return name

    def token(self, name: str | None) -> str | None:
        """Give the token of a session that has not ended."""
        with self._lock:
            ends, token = self._tokens.get(name or "", (0.0, ""))
        return token if ends > time.monotonic() else None

    def end(self, name: str | None) -> None:
        with self._lock:
            self._tokens.pop(name or "", None)


SESSIONS = Sessions()
