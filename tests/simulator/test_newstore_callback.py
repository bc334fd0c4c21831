"""A simulated warehouse that is integrated with NewStore itself works without any gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from gateway.simulator.newstore import TOKEN_PATH, NewStore
from gateway.simulator.newstore_callback import NewStoreCallback
from gateway.simulator.newstore_faults import How
from gateway.simulator.orders import order, orders
from gateway.simulator.warehouse import Warehouse
from gateway.simulator.warehouse_temperament import Temperament

SECRET = "the-secret-of-the-warehouse"


@asynccontextmanager
async def integrated(temperament: Temperament, apply_after: float = 0.03) -> AsyncIterator[tuple[NewStore, Warehouse]]:
    newstore = NewStore(client_id="berlin", client_secret=SECRET, apply_after=apply_after)
    warehouse = Warehouse(
        "berlin", temperament, api_key="the key", backoff=(0.2, 0.4)
    )  # longer than NewStore takes to show it
    async with newstore.running(), warehouse.running():
        warehouse.callback = NewStoreCallback(
            newstore.url, newstore.url + TOKEN_PATH.format(tenant="acme"), "berlin", SECRET
        )
        newstore.configure("DC01", f"{warehouse.url}/orders", "the key")
        yield newstore, warehouse


def work(newstore: NewStore, warehouse: Warehouse) -> list[tuple[object, object]]:
    return [
        (warehouse.orders[each.id].record()["counts"], each.counts())
        for each in newstore.requests.values()
        if each.status == "completed"
    ]


async def test_every_order_is_told_to_newstore_unit_by_unit() -> None:
    temperament = Temperament(parcels=2, rejects=0.2, cancels=0.1, says_twice=0.3)
    async with integrated(temperament) as (newstore, warehouse):
        await asyncio.gather(*(newstore.place(each) for each, _ in zip(orders(7), range(20), strict=False)))
        await warehouse.until(lambda: warehouse.finished)
        await newstore.until(lambda: all(each.status == "completed" for each in newstore.requests.values()))
        done = work(newstore, warehouse)
        assert len(done) == 20
        assert all(worked == shown for worked, shown in done)


async def test_what_was_answered_is_told_once_though_newstore_does_not_show_it_yet() -> None:
    async with integrated(Temperament(parcels=3, says_twice=1.0), apply_after=0.3) as (newstore, warehouse):
        await newstore.place(order(Random(1), ["TEE"] * 6))
        await warehouse.until(lambda: warehouse.finished)
        await newstore.until(lambda: all(each.status == "completed" for each in newstore.requests.values()))
        [(worked, shown)] = work(newstore, warehouse)
        assert worked == shown
        assert len(next(iter(warehouse.orders.values())).steps) > newstore.calls["shipment"] + 1


@pytest.mark.parametrize("how", ["500_after", "break_after", "500_before", "429"])
async def test_a_shipment_whose_answer_was_lost_is_not_told_twice(how: How) -> None:
    async with integrated(Temperament()) as (newstore, warehouse):
        newstore.fail_next("shipment", how)
        await newstore.place(next(orders(3)))
        await warehouse.until(lambda: warehouse.finished)
        await newstore.until(lambda: all(each.status == "completed" for each in newstore.requests.values()))
        [(worked, shown)] = work(newstore, warehouse)
        assert worked == shown
        assert newstore.calls["shipment"] == (1 if how.endswith("after") else 2)


async def test_a_token_that_has_ended_is_renewed() -> None:
    async with integrated(Temperament()) as (newstore, warehouse):
        for each, _ in zip(orders(3), range(2), strict=False):
            await newstore.place(each)
            await warehouse.until(lambda: warehouse.finished)
            newstore.tokens.expire()
        assert newstore.calls["token"] == 2
