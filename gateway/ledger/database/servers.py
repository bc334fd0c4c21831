"""The servers that a DSN names, of which one takes writes: whoever that is now is found at each new connection."""

import ssl
from collections.abc import Collection
from pathlib import Path
from typing import Any

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from gateway.settings.database_url import LOCAL, for_driver, one_by_one, seconds, server_of

_SECONDS = 4.0  # for all servers together: whoever waits for a commit is answered before long

REFUSALS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.TargetServerAttributeNotMatched,  # a standby, before it is promoted
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # among them: it is starting up
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidTransactionStateError,  # among them: this server only reads
    asyncpg.TransactionRollbackError,
)
_LASTING = (asyncpg.ClientConfigurationError, PermissionError, ssl.SSLError)
_NO_TLS = "rejected SSL upgrade"  # asyncpg has no type of its own for it
_NOT_PASSED_ON = "unsupported startup parameter"  # PgBouncer has one type for nearly everything


class NoServer(ConnectionError):
    """None of the servers takes writes now; the text says for each what it did.

    `passes`: one of them may do so later, by itself. `refusals`: what each did, as it was raised.
    """

    def __init__(self, text: str, *, passes: bool = True, refusals: tuple[Exception, ...] = ()) -> None:
        super().__init__(text)
        self.passes = passes
        self.refusals = refusals


def passes(error: BaseException) -> bool:
    """Tell whether waiting may mend what a database answered: it is away, and nobody has to correct anything."""
    if isinstance(error, NoServer):
        return error.passes
    if isinstance(error, _LASTING) or _NO_TLS in str(error) or _NOT_PASSED_ON in str(error):
        return isinstance(error, ssl.SSLEOFError)  # hung up in the middle, by one that ends
    return isinstance(error, _PASSING)


class Servers:
    """Connects to the server that takes writes; the one that last did is asked first.

    asyncpg can walk through the hosts of a DSN itself, but one that accepts and never answers uses up all its time.
    """

    def __init__(self, dsn: str, plain_hosts: Collection[str] = (), ca: Path | None = None) -> None:
        self._dsns = one_by_one(dsn)
        self._plain_hosts = plain_hosts
        self._ca = ca

    def __str__(self) -> str:
        """Name the servers without their password."""
        return ", ".join(map(server_of, self._dsns))

    async def connect(self, *_: Any, **options: Any) -> asyncpg.Connection:
        """Open a connection that may write, with the keywords of `asyncpg.connect`; raises only `NoServer`."""
        refusals: list[str] = []
        errors: list[Exception] = []
        may_pass = False
        for one in list(self._dsns):
            try:
                connection = await self._one(one, options)
            except REFUSALS as error:
                may_pass |= passes(error) and not _lacks_a_file(one, error)
                refusals.append(f"{server_of(one)}: {type(error).__name__}: {error}{_remedy(error)}")
                errors.append(error)
            else:
                self._dsns.sort(key=one.__ne__)
                return connection
        raise NoServer("; ".join(refusals), passes=may_pass, refusals=tuple(errors))

    async def _one(self, one: str, options: dict[str, Any]) -> asyncpg.Connection:
        dsn, encrypted = for_driver(one, self._plain_hosts, self._ca)
        return await asyncpg.connect(
            dsn,
            ssl=encrypted,
            timeout=seconds(one, _SECONDS / len(self._dsns)),
            target_session_attrs=SessionAttribute.read_write,
            **options,
        )


def _remedy(error: Exception) -> str:
    if _NO_TLS in str(error):
        return " (it has no TLS: give it a certificate, or name it in database.plain_hosts)"
    if _NOT_PASSED_ON in str(error):
        return " (name it in the pooler's ignore_startup_parameters)"
    if isinstance(error, ssl.SSLCertVerificationError):
        return " (its certificate must name it, and come from database.ca, or from who is trusted by the system)"
    return ""


def _lacks_a_file(dsn: str, error: Exception) -> bool:
    """Tell a certificate that is not there from a socket whose server has not started."""
    return isinstance(error, FileNotFoundError) and not server_of(dsn).startswith(("/", LOCAL))
