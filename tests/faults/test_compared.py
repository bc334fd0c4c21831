"""After a restore NewStore is asked what it shows beyond the log: what was told is not waited for, and not doubled."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator.newstore_units import Request
from gateway.simulator.warehouse_temperament import Temperament
from tests.processes import until

from .servers import back_up, server
from .site import Site, site
from .test_paused import hold, release_all

SILENT = {"DC01": Temperament(pause=(600, 600))}
ARE_SUBMITTED = "SELECT count(*) = 4 FROM requests WHERE submitted_at IS NOT NULL"
IS_OWED = "SELECT count(*) = 1 FROM deliveries WHERE operation = 'create'"
ARE_OPEN = "SELECT count(*) FROM requests WHERE pending"
ARE_ASKED = "SELECT count(*) = 0 FROM requests WHERE restored AND pending AND compared = 0"
ARE_READ = "SELECT count(*) = 0 FROM deliveries"
SHOWN = "SELECT fact ->> 'detail' FROM events WHERE kind = 'shown_beyond_log' ORDER BY 1"
WRITES = ("acknowledge", "shipment", "rejection", "cancellation")
KINDS = ("shipped", "in-part", "rejected", "in-part-rejected", "unsent")


def order(kind: str) -> dict[str, Any]:
    return {
        "id": f"r-{kind}",
        "order_id": kind,
        "shipping_options": {"carrier": "UPS", "service_level": "GROUND"},
        "items": [{"product_id": "TEE", "extended_attributes": []}] * 2,
    }


def told(kind: str, number: int, word: str = "shipped", count: int = 1) -> dict[str, Any]:
    """One message of the warehouse; each piece of a parcel is told alike, under another id."""
    message = {
        "type": word,
        "event_id": f"{kind}-{number}",
        "fulfillment_request_id": f"r-{kind}",
        "items": [{"product_id": "TEE", "quantity": count}],
    }
    if word == "shipped":
        return {**message, "shipment": {"carrier": "UPS", "tracking_number": f"1Z {kind}"}}
    return {**message, "reason": "cannot_fulfill"}


LOST = (
    told("shipped", 1), told("shipped", 2), told("in-part", 1), told("rejected", 1, "rejected", 2),
    told("in-part-rejected", 1, "rejected"), told("unsent", 1, "shipped", 2),
)  # fmt: skip
"""What the warehouse tells after the backup."""
LATER = (told("in-part", 2), told("in-part-rejected", 2))
"""What it tells after the restore."""


@asynccontextmanager
async def restored(folder: Path) -> AsyncIterator[tuple[Site, Any]]:
    """A gateway that has been released on a backup from before the warehouse told anything."""
    async with server(folder / "a") as postgres, site(folder, postgres.dsn, temperaments=SILENT) as at:
        await at.start()
        async with postgres.connected() as connection:
            for kind in KINDS[:-1]:
                await at.newstore.place(order(kind))
            await until(lambda: connection.fetchval(ARE_SUBMITTED))
            await hold(at, "everything")
            await at.newstore.place(order("unsent"))
            await until(lambda: connection.fetchval(IS_OWED))
            backup = await back_up(postgres, folder / "b")
            await release_all(at)
            await tell(at, *LOST)
            await until(lambda: connection.fetchval(ARE_READ))
        await at.end(at.gateways[0], kill=True)
        await backup.start()
        at.dsn = backup.dsn
        try:
            await at.start("--paused")
            async with backup.connected() as connection:
                yield at, connection
        finally:
            await backup.stop()


async def tell(at: Site, *messages: dict[str, Any]) -> None:
    for each in messages:
        assert (await at.call_back(each))[0] == 200


def written(at: Site) -> Counter[str]:
    return Counter({name: at.newstore.calls[name] for name in WRITES})


def units(request: Request) -> Counter[str]:
    return Counter(unit.status for unit in request.units)


async def test_what_newstore_shows_beyond_the_log_settles_without_its_warehouse(folder: Path) -> None:
    async with restored(folder) as (at, connection):
        before, taken = written(at), at.warehouses["DC01"].calls["take"]
        await release_all(at)
        await until(lambda: connection.fetchval(ARE_READ))

        assert await connection.fetchval(ARE_OPEN) == 2
        shown = [row[0] for row in await connection.fetch(SHOWN)]
        assert [each.partition(", which")[0] for each in shown] == [
            "NewStore showed 1 TEE rejected", "NewStore showed 1 TEE shipped (UPS 1Z in-part)",
            "NewStore showed 2 TEE rejected", "NewStore showed 2 TEE shipped (UPS 1Z shipped)",
            "NewStore showed 2 TEE shipped (UPS 1Z unsent)",
        ]  # fmt: skip
        assert (written(at), at.warehouses["DC01"].calls["take"]) == (before, taken)
        _, summary = await at.ask("GET", "/v1/summary")
        assert summary["comparison"] == {"compared": 5, "of": 5}


@pytest.mark.parametrize("asked_first", [True, False])
async def test_what_the_warehouse_tells_again_is_told_once(folder: Path, *, asked_first: bool) -> None:
    async with restored(folder) as (at, connection):
        taken = at.warehouses["DC01"].calls["take"]
        if asked_first:
            await release_all(at)
            await until(lambda: connection.fetchval(ARE_READ))
            await tell(at, *reversed(LATER + LOST))
        else:
            await tell(at, *LATER, *LOST)
            await release_all(at)
        await until(lambda: connection.fetchval(f"SELECT ({ARE_OPEN}) = 0"))
        await until(lambda: connection.fetchval(ARE_READ))

        assert await connection.fetchval("SELECT count(failure) FROM requests") == 0
        assert at.warehouses["DC01"].calls["take"] == taken
        found = {kind: units(at.newstore.requests[f"r-{kind}"]) for kind in KINDS}
        assert found == {
            "shipped": {"shipped": 2}, "in-part": {"shipped": 2}, "rejected": {"rejected": 2},
            "in-part-rejected": {"rejected": 1, "shipped": 1}, "unsent": {"shipped": 2},
        }  # fmt: skip
        assert not any(refused for each in at.newstore.requests.values() for _, refused in each.results.values())
