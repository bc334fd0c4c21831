"""Compare the simulators' own records: whether everything is done, and was done right."""

from gateway.demo.world import World


async def is_settled(world: World) -> bool:
    """Tell whether every request is final at NewStore and nothing is open at the gateway."""
    if not all(request.status == "completed" for request in world.newstore.requests.values()):
        return False
    return not any(row["pending"] for row in (await world.summary())["locations"])


async def faults_found(world: World) -> list[str]:
    """Say in words what is lost, doubled or unproved."""
    found: list[str] = []
    references = {each["id"]: each["reference"] for each in await world.requests()}
    for request in world.newstore.requests.values():
        order = world.everybody[request.location].order_of(request.id, references.get(request.id, ""))
        if order is None:
            found.append(f"lost: {request.id} never reached the warehouse of {request.location}")
            continue
        worked = order.record()["counts"]
        shown = {said: products for said, products in request.counts().items() if said != "dispatched"}
        if worked != shown:
            found.append(f"differs: {request.id}: the warehouse did {worked}, NewStore shows {shown}")
        if order.doubled:
            found.append(f"doubled: {request.id} was worked twice")
    summary = await world.summary()
    found += [
        f"unproved: {row['pending']} pending and {row['failed']} failed at {row['location']}"
        for row in summary["locations"]
        if row["pending"] or row["failed"]
    ]
    return found
