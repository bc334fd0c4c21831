"""What a warehouse calls that is integrated with NewStore itself: NewStore's own API, with a token.

A shipment is not idempotent there. So one whose answer was lost is read back before it is told again, once the pause
of its warehouse has given NewStore the time to show it.
"""

from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gateway.simulator.served import JSON

_TIMEOUT = aiohttp.ClientTimeout(total=15)
_PATHS = {
    "accepted": "acknowledgement", "rejected": "reject_items", "cancelled": "canceled_items", "shipped": "shipment",
}  # fmt: skip
_READ_AT = {"rejected": "rejection", "cancelled": "canceled_items", "shipped": "shipment"}


@dataclass(slots=True)
class NewStoreCallback:
    """Where NewStore's API is, or whatever stands in its place, and by which client it is called."""

    url: str
    token_url: str
    client_id: str
    client_secret: str
    secret: str | None = None  # it signs nothing
    _token: str = ""
    _told: set[str] = field(default_factory=set)
    _unsure: set[str] = field(default_factory=set)

    async def post(self, session: aiohttp.ClientSession, event: JSON) -> int | str:
        """Tell an event once, however often it is posted: the status answered, or what kept it from arriving."""
        name = event["event_id"]
        if name in self._told:
            return 200
        try:
            if name not in self._unsure or not await self._is_there(session, event):
                self._unsure.add(name)
                status, said = await self._call(session, "POST", event, _PATHS, _body(event))
                if 400 <= status < 500 and not str(said.get("error_code")).startswith("already_"):
                    self._unsure.discard(name)
                    return status
                if status >= 500:
                    return status
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
        self._told.add(name)
        return 201

    async def _is_there(self, session: aiohttp.ClientSession, event: JSON) -> bool:
        """Look whether what was told shows; an acceptance that was told twice is harmless."""
        if event["type"] not in _READ_AT:
            return False
        status, shown = await self._call(session, "GET", event, _READ_AT)
        return status == 200 and len(_like(event, shown)) >= len(_products(event))

    async def _call(
        self, session: aiohttp.ClientSession, method: str, event: JSON, paths: dict[str, str], body: JSON | None = None
    ) -> tuple[int, JSON]:
        url = f"{self.url}/v0/d/fulfillment_requests/{event['fulfillment_request_id']}/{paths[event['type']]}"
        for is_last in (False, True):
            headers = {"Authorization": f"Bearer {self._token or await self._fetched(session)}"}
            async with session.request(method, url, json=body, headers=headers, timeout=_TIMEOUT) as answer:
                is_json = answer.content_type == "application/json"
                said = await answer.json() if is_json else {}
                if answer.status not in {401, 403} or is_last:
                    return answer.status, said
            self._token = ""
        raise AssertionError

    async def _fetched(self, session: aiohttp.ClientSession) -> str:
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}
        async with session.post(self.token_url, data=form, timeout=_TIMEOUT) as answer:
            answer.raise_for_status()
            self._token = (await answer.json())["access_token"]
        return self._token


def _products(event: JSON) -> list[str]:
    """Give one entry for each unit, as NewStore counts."""
    return [item["product_id"] for item in event["items"] for _ in range(item["quantity"])]


def _body(event: JSON) -> JSON:
    products, parcel = _products(event), event["shipment"]
    match event["type"]:
        case "rejected":
            return {"missing_items": [{"reason": event["reason"], "product_ids": products}]}
        case "cancelled":
            return {"product_ids": products}
        case "shipped":
            told = {**parcel, "tracking_code": parcel["tracking_number"]}
            del told["tracking_number"]
            return {"line_items": [{"product_ids": products, "shipment": told}]}
    return {}


def _like(event: JSON, shown: JSON) -> list[Any]:
    """Find the units that are shown of what an event tells."""
    shown_first = next((each for key, each in shown.items() if not key.startswith("failed")), None) or []
    code = event["shipment"]["tracking_number"] if event["shipment"] else None
    return [
        each for each in shown_first
        if each["product_id"] in _products(event) and each.get("tracking_code") == code
    ]  # fmt: skip
