"""What the simulators' own records say of a run: nothing lost, nothing doubled, nothing that differs."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from gateway.domain import requests
from gateway.domain.deliveries import Delivery
from gateway.domain.waiting import waiting_for
from gateway.ledger.codec import decode_delivery, decode_request
from gateway.simulator.newstore_units import Request
from gateway.simulator.warehouse import Order

from .site import Site

# Of what NewStore has placed: it says for minutes that it does not know the others yet.
_OPEN = "SELECT count(*) FROM requests WHERE pending AND failure IS NULL AND id = ANY($1)"
_OWED = "SELECT count(*) FROM deliveries WHERE NOT is_read AND request_id = ANY($1)"


@dataclass
class Proof:
    """Counts of one run, and each fault in words."""

    accepted: int = 0
    settled: int = 0
    for_a_person: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        return [*self.lost, *self.doubled, *self.differs, *self.stuck]


async def is_quiet(site: Site, pool: asyncpg.Pool) -> bool:
    """Tell whether nothing is on its way: each request that was placed is taken, and settled or a person's."""
    if not all(each.delivered for each in site.newstore.requests.values()):
        return False
    placed = list(site.newstore.requests)
    return not await pool.fetchval(_OPEN, placed) and not await pool.fetchval(_OWED, placed)


async def prove(site: Site, pool: asyncpg.Pool) -> Proof:
    """Compare three records of each request: NewStore's, the warehouse's and the gateway's."""
    proof = Proof()
    kept = {row["id"]: row for row in await pool.fetch("SELECT * FROM requests")}
    owed = defaultdict[str, list[Delivery]](list)
    for each in await pool.fetch("SELECT * FROM deliveries"):
        owed[each["request_id"]].append(decode_delivery(each))
    for request in site.newstore.requests.values():
        if not request.delivered:
            continue
        proof.accepted += 1
        row = kept.get(request.id)
        if row is None:
            proof.lost.append(f"lost: {request.id} was accepted and is not there")
            continue
        order = site.everybody[request.location].order_of(request.id, row["reference"])
        if order is not None and _is_doubled(order, may_repeat=site.may_repeat(request.location)):
            proof.doubled.append(f"doubled: {request.id} reached the warehouse {order.times_seen} times")
        _judge(proof, request, order, decode_request(row, owed[request.id]))
    return proof


def _is_doubled(order: Order, *, may_repeat: bool) -> bool:
    was_told_again = order.times_seen > 1 and not may_repeat
    return order.times_worked > 1 or was_told_again or len(set(order.references)) > 1


def _judge(proof: Proof, request: Request, order: Order | None, kept: requests.Request) -> None:
    waits = waiting_for(kept)
    if refused := [entry for _, failed in request.results.values() for entry in failed if _was_not_asked_for(entry)]:
        proof.doubled.append(f"doubled: {request.id} at NewStore: {refused}")
    if kept.failure and waits and waits.who == "operations":
        proof.for_a_person += 1
        proof.reasons[kept.failure] += 1
    elif waits:
        proof.stuck.append(f"stuck: {request.id} waits for {waits.who} since {waits.since:%H:%M:%S}: {waits.next}")
    elif order is None:
        proof.lost.append(f"lost: {request.id} never reached its warehouse")
    elif worked(order) != shown(request):
        proof.differs.append(f"differs: {request.id}: warehouse {worked(order)}, NewStore {shown(request)}")
    else:
        proof.settled += 1


def _was_not_asked_for(entry: Any) -> bool:
    return bool(entry["error_code"] != "refused")


def worked(order: Order) -> Counter[tuple[str, str, str | None]]:
    return Counter((unit.status, unit.product_id, unit.parcel) for unit in order.units)


def shown(request: Request) -> Counter[tuple[str, str, str | None]]:
    return Counter((unit.status, unit.product_id, unit.tracking_code) for unit in request.units)
