"""The servers that a DSN names, of which one takes writes: whoever that is now is found at each new connection."""

import ssl
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg
from asyncpg.connect_utils import SessionAttribute

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
_LOCAL = "the local server"
_NO_TLS = "rejected SSL upgrade"  # asyncpg has no type of its own for it


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
    if isinstance(error, _LASTING) or _NO_TLS in str(error):
        return isinstance(error, ssl.SSLEOFError)  # hung up in the middle, by one that ends
    return isinstance(error, _PASSING)


class Servers:
    """Connects to the server that takes writes; the one that last did is asked first.

    asyncpg can walk through the hosts of a DSN itself, but one that accepts and never answers uses up all its time.
    """

    def __init__(self, dsn: str) -> None:
        self._dsns = one_by_one(dsn)

    def __str__(self) -> str:
        """Name the servers without their password."""
        return ", ".join(map(_place, self._dsns))

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
                refusals.append(f"{_place(one)}: {type(error).__name__}: {error}")
                errors.append(error)
            else:
                self._dsns.sort(key=one.__ne__)
                return connection
        raise NoServer("; ".join(refusals), passes=may_pass, refusals=tuple(errors))

    async def _one(self, dsn: str, options: dict[str, Any]) -> asyncpg.Connection:
        seconds = _SECONDS / len(self._dsns)
        return await asyncpg.connect(dsn, timeout=seconds, target_session_attrs=SessionAttribute.read_write, **options)


def one_by_one(dsn: str) -> list[str]:
    """Give a DSN of its own for each host that a DSN names, in its authority or as `host=` and `port=`."""
    parts = urlsplit(dsn)
    credentials, at, hosts = parts.netloc.rpartition("@")
    if hosts:
        return [parts._replace(netloc=f"{credentials}{at}{host}").geturl() for host in hosts.split(",")]
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    named = query.get("host", "").split(",")
    ports = query["port"].split(",") if "port" in query else []
    if len(ports) != len(named):
        ports = ports[:1] * len(named)
    if len(named) == 1:
        return [dsn]
    chosen = [{"host": host} | ({"port": ports[n]} if ports else {}) for n, host in enumerate(named)]
    return [f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(query | one)}" for one in chosen]


def _lacks_a_file(dsn: str, error: Exception) -> bool:
    """Tell a certificate that is not there from a socket whose server has not started."""
    return isinstance(error, FileNotFoundError) and not _place(dsn).startswith(("/", _LOCAL))


def _place(dsn: str) -> str:
    """Name a server without its password."""
    parts = urlsplit(dsn)
    return parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", [_LOCAL])[-1]
