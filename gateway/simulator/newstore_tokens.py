"""NewStore's identity server: one realm, one API client, bearer tokens that end."""

import random
import time
from dataclasses import dataclass, field

from aiohttp import web

from gateway.simulator.newstore_faults import REFUSE


@dataclass(slots=True)
class Tokens:
    """Who may ask for a token and which tokens still stand."""

    tenant: str
    client_id: str
    client_secret: str
    expires_in: float
    source: random.Random
    _ends: dict[str, float] = field(default_factory=dict)

    async def issue(self, http: web.Request) -> web.Response:
        """Answer the client_credentials grant."""
        form = await http.post()
        if http.match_info["tenant"] != self.tenant:
            return web.json_response({"error": "Realm does not exist"}, status=404)
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        given = form.get("client_id"), form.get("client_secret")
        if http[REFUSE] or given != (self.client_id, self.client_secret):
            text = "Invalid client or Invalid client credentials"
            return web.json_response({"error": "unauthorized_client", "error_description": text}, status=401)
        self._ends = {each: end for each, end in self._ends.items() if end > time.monotonic()}
        token = f"{self.source.getrandbits(256):064x}"
        self._ends[token] = time.monotonic() + self.expires_in
        answer = {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer", "scope": ""}
        return web.json_response(answer)

    def stands(self, token: str) -> bool:
        """Whether it was issued here and has not ended."""
        return self._ends.get(token, 0.0) > time.monotonic()

    def expire(self) -> None:
        """End every token issued so far."""
        self._ends.clear()
