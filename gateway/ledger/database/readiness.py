"""Whether this process can commit: by how its last commit and its last heartbeat went."""

from enum import StrEnum
from typing import Final

import asyncpg

from gateway.telemetry import metrics

from .servers import NoServer


class Why(StrEnum):
    """What keeps a process from committing, in one word each."""

    FULL_DISK = "full_disk"
    ONLY_READS = "only_reads"
    NO_CONNECTION_LEFT = "no_connection_left"
    TURNED_AWAY = "turned_away"
    MISSING_GRANT = "missing_grant"
    SCHEMA = "schema"
    AWAY = "away"
    OTHER = "other"


_SENTENCES: Final = {
    Why.FULL_DISK: "the database's disk is full; make room, or give it more",
    Why.ONLY_READS: "the database only reads; promote a standby, or end its default_transaction_read_only",
    Why.NO_CONNECTION_LEFT: "the database has no connection left; raise its max_connections, or end who holds them",
    Why.TURNED_AWAY: "the database turns us away; correct the name or password in its URL",
    Why.MISSING_GRANT: "a grant is missing",
    Why.SCHEMA: "the database's schema is not this program's; run `gateway migrate`",
    Why.AWAY: "the database can't be reached or does not answer",
    Why.OTHER: "the database refuses to commit; its own log says why",
}
# The first that fits: some of the later ones are wider.
_KINDS: Final[tuple[tuple[type[Exception], Why], ...]] = (
    (asyncpg.DiskFullError, Why.FULL_DISK),
    (asyncpg.ReadOnlySQLTransactionError, Why.ONLY_READS),
    (asyncpg.TargetServerAttributeNotMatched, Why.ONLY_READS),
    (asyncpg.TooManyConnectionsError, Why.NO_CONNECTION_LEFT),
    (asyncpg.InvalidAuthorizationSpecificationError, Why.TURNED_AWAY),
    (asyncpg.InsufficientPrivilegeError, Why.MISSING_GRANT),
    (asyncpg.SyntaxOrAccessError, Why.SCHEMA),
    (OSError, Why.AWAY),
    (TimeoutError, Why.AWAY),
    (asyncpg.InterfaceError, Why.AWAY),
    (asyncpg.InternalClientError, Why.AWAY),
    (asyncpg.PostgresConnectionError, Why.AWAY),
    (asyncpg.OperatorInterventionError, Why.AWAY),
)


class Readiness:
    """What keeps this process from committing now, by who met it."""

    def __init__(self) -> None:
        self._failing: dict[str, tuple[Why, str]] = {}  # not the errors: each holds on to a whole batch
        self._show()

    def note(self, who: str, error: BaseException | None) -> None:
        """Take down how `who` last fared."""
        if error is not None:
            self._failing[who] = why(error), sentence(error)
        elif self._failing.pop(who, None) is None:
            return
        self._show()

    @property
    def reason(self) -> str | None:
        """Say in a sentence what is wrong; None while commits succeed."""
        return next((told for _, told in self._failing.values()), None)

    def _show(self) -> None:
        found = {kind for kind, _ in self._failing.values()}
        for each in Why:
            metrics.of(metrics.COMMITS_FAILING, each).set(each in found)


def why(error: BaseException) -> Why:
    """Tell what kind of trouble an error of the database is."""
    if isinstance(error, NoServer):
        kinds = [why(each) for each in error.refusals]
        return next((kind for kind in kinds if kind is not Why.AWAY), Why.AWAY)
    return next((kind for of, kind in _KINDS if isinstance(error, of)), Why.OTHER)


def sentence(error: BaseException) -> str:
    """Say what an error of the database means, and what to do."""
    kind = why(error)
    if kind is Why.MISSING_GRANT:  # Postgres names a table of ours, and no data
        return f"{_SENTENCES[kind]} ({error}); as the owner of the tables, run `gateway migrate --grant-to` our role"
    return _SENTENCES[kind]
