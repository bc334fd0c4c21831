"""What one process has found out of NewStore's read-backs, and what the others have."""

from gateway.domain.deliveries import Operation
from gateway.ledger.database.connections import Connection
from gateway.ledger.queue import read_backs
from gateway.newstore.read_backs import Taught


async def share(connection: Connection, taught: Taught) -> None:
    """Tell the ledger what is new here, and learn what is new there."""
    if news := dict(taught.news):
        await read_backs.tell(connection, {str(each): path for each, path in news.items()})
        taught.told(news)
    for operation, path, at in await read_backs.every(connection):
        taught.learn(Operation(operation), path, at)
