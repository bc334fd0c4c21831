"""A DC on each adapter: whatever its provider speaks, nothing is lost, doubled or unproved."""

from pathlib import Path

import asyncpg

from gateway.demo.proof import faults_found
from gateway.demo.run import place
from gateway.providers import ADAPTERS
from tests.test_road import settled
from tests.world import running


async def test_requests_are_settled_at_a_provider_of_each_kind(
    tmp_path: Path, database: str, pool: asyncpg.Pool
) -> None:
    async with running(tmp_path, database, all_providers=True) as road:
        assert {each.adapter for each in road.settings.providers.values()} == set(ADAPTERS)
        await place(road, 2 * len(road.everybody))
        await settled(road)

        assert await faults_found(road) == []
        for location, warehouse in road.everybody.items():
            assert len(warehouse.orders) >= 2, location
            assert not [each for each in warehouse.orders.values() if each.doubled]
