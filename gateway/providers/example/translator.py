"""A translator in front of Acme: to the gateway it speaks what the adapter `http` wants, to Acme its own API."""

import hmac
import json
import os
import shelve
from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import Any

from aiohttp import ClientSession, web

WORDS = {"TAKEN": "accepted", "SHIPPED": "shipped", "SHORT": "rejected", "DROPPED": "cancelled"}
REASONS = {"no_stock": "no_inventory", "damaged": "cannot_fulfill"}


def order_of(asked: dict[str, Any], reference: str) -> dict[str, Any]:
    """NewStore's request has an entry for each piece; Acme wants lines."""
    pieces = Counter(each["product_id"] for each in asked["items"])
    lines = [{"sku": sku, "qty": count} for sku, count in pieces.items()]
    return {"ref": reference, "to": asked.get("shipping_address"), "lines": lines}


def callback_of(event: dict[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """What is not in the tables goes on as it is: the gateway leaves it to a person."""
    what, why, parcel = event["what"], event.get("why"), event.get("tracking")
    return {
        "type": WORDS.get(what, what),
        "event_id": event["id"],
        "fulfillment_request_id": ids.get(event["order"], event["order"]),
        "items": [{"product_id": each["sku"], "quantity": each["qty"]} for each in event["lines"]] or None,
        "reason": REASONS.get(why, why) if why else None,
        "shipment": {"carrier": event["carrier"], "tracking_number": parcel} if parcel else None,
    }


def app(env: Mapping[str, str], ids: MutableMapping[str, str]) -> web.Application:
    """`ids` keeps NewStore's id of each reference: a callback needs it, and Acme knows only the reference."""

    async def acme(method: str, path: str, order: dict[str, Any] | None = None) -> tuple[int, Any, dict[str, str]]:
        headers, url = {"X-Api-Key": env["ACME_KEY"]}, env["ACME_URL"] + path
        async with ClientSession(headers=headers) as session, session.request(method, url, json=order) as answer:
            wait = {name: answer.headers[name] for name in ("Retry-After",) if name in answer.headers}
            # An answer that is nothing like it ends as 500 here: then the gateway looks the order up.
            return answer.status, await answer.json() if answer.ok else None, wait

    async def create(request: web.Request) -> web.Response:
        asked, reference = await request.json(), request.headers["X-Gateway-Reference"]
        ids[reference] = asked["id"]
        status, said, wait = await acme("POST", "/orders", order_of(asked, reference))
        return web.json_response({"id": said["number"]} if status < 300 else {}, status=status, headers=wait)

    async def look_up(request: web.Request) -> web.Response:
        status, said, wait = await acme("GET", f"/orders?ref={request.match_info['reference']}")
        found = [{"id": each["number"], "reference": each["ref"]} for each in said["orders"]] if status == 200 else []
        return web.json_response(found, status=404 if status == 200 and not found else status, headers=wait)

    async def webhook(request: web.Request) -> web.Response:
        body, shown = await request.read(), request.headers.get("X-Acme-Signature", "")
        if not hmac.compare_digest(hmac.new(env["ACME_SECRET"].encode(), body, "sha256").hexdigest(), shown):
            return web.Response(status=401)
        async with ClientSession(headers={"Authorization": f"Bearer {env['CALLBACK_KEY']}"}) as session:
            for event in json.loads(body)["events"]:
                async with session.post(env["CALLBACK_URL"], json=callback_of(event, ids)) as told:
                    if told.status == 503:
                        return web.Response(status=503)  # nothing is kept here: Acme sends it again
        return web.Response()

    served = web.Application()
    served.add_routes([web.post("/orders", create), web.get("/orders/{reference}", look_up)])
    served.add_routes([web.post("/webhook", webhook)])
    return served


if __name__ == "__main__":
    with shelve.open("ids") as ids:  # noqa: S301 - a file of our own
        web.run_app(app(os.environ, ids), host="127.0.0.1", port=8092)
