"""The operations API of a gateway, typed. Every answer is read as one of `shapes`.

Failed
├── Unreachable   no answer, or none that is the gateway's: ask again soon
├── SignedOut     the token is nobody's: sign in
└── Refused       the gateway says no, and why
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from dashboard import shapes

T = TypeVar("T")


class Failed(Exception):
    """The API did not do what was asked; the text is for a person, and may repeat what a stranger wrote."""


class Unreachable(Failed):
    """No answer came, or the gateway can't reach its database."""


class SignedOut(Failed):
    """The token is nobody's."""


class Refused(Failed):
    """The gateway refuses it."""


@dataclass(frozen=True)
class Api:
    """What one person may ask and do."""

    http: httpx.Client
    token: str

    def me(self) -> shapes.Me:
        return self._ask("/v1/me", shapes.Me)

    def wake(self) -> None:
        """Return once the gateway and its database answer. Raises `Unreachable`."""
        if self._send("GET", "/readyz").status_code != httpx.codes.OK:
            raise Unreachable("the gateway answers, and its database does not")

    def summary(self) -> shapes.Summary:
        return self._ask("/v1/summary", shapes.Summary)

    def failures(self) -> list[shapes.FailureCause]:
        return self._ask("/v1/failures", shapes.FailureCauses).failures

    def trends(self) -> shapes.Trends:
        return self._ask("/v1/trends", shapes.Trends)

    def locations(self) -> list[shapes.LocationStory]:
        return self._ask("/v1/locations", shapes.LocationList).locations

    def destinations(self) -> list[shapes.DestinationStory]:
        return self._ask("/v1/destinations", shapes.DestinationList).destinations

    def requests(self, filters: Mapping[str, str]) -> shapes.RequestPage:
        return self._ask("/v1/requests", shapes.RequestPage, filters)

    def request(self, request_id: str) -> shapes.RequestStory:
        return self._ask(f"/v1/requests/{_part(request_id)}", shapes.RequestStory)

    def bodies(self, request_id: str) -> shapes.BodyList:
        return self._ask(f"/v1/requests/{_part(request_id)}/bodies", shapes.BodyList)

    def reveal(self, request_id: str, reason: str) -> shapes.BodyList:
        """Have the bodies shown as they came, which goes into the audit."""
        return self._tell(f"/v1/requests/{_part(request_id)}/reveal", {"reason": reason}, shapes.BodyList)

    def quarantine(self, after: str = "") -> shapes.QuarantinePage:
        return self._ask("/v1/quarantine", shapes.QuarantinePage, {"after": after} if after else {})

    def quarantined(self, quarantine_id: int) -> shapes.QuarantineStory:
        return self._ask(f"/v1/quarantine/{quarantine_id}", shapes.QuarantineStory)

    def reveal_quarantined(self, quarantine_id: int, reason: str) -> shapes.BodyList:
        """Have the body of a message shown as it came, which goes into the audit."""
        return self._tell(f"/v1/quarantine/{quarantine_id}/reveal", {"reason": reason}, shapes.BodyList)

    def audit(self, filters: Mapping[str, str]) -> shapes.AuditPage:
        return self._ask("/v1/audit", shapes.AuditPage, filters)

    def acts(self) -> shapes.ActList:
        return self._ask("/v1/acts", shapes.ActList)

    def act(self, action: str, request_id: str, order: Mapping[str, Any]) -> shapes.ActResult:
        """Do something about one request, or count what would follow; declined is an answer too."""
        return self._tell(f"/v1/requests/{_part(request_id)}/{action}", order, shapes.ActResult, (200, 409))

    def act_on_all(self, many: str, order: Mapping[str, Any]) -> shapes.BulkResult:
        """Do something about one page of what a filter finds, by the act's path for many, or count it."""
        return self._tell(f"/v1/{many}", order, shapes.BulkResult)

    def hold(self, scope: str, name: str, reason: str, minutes: float | None) -> shapes.HoldStory:
        order = {"scope": scope, "name": name, "reason": reason} | ({"minutes": minutes} if minutes else {})
        return self._tell("/v1/holds", order, shapes.HoldStory, (201,))

    def release(self, hold_id: int, reason: str) -> shapes.HoldStory:
        return self._tell(f"/v1/holds/{hold_id}/release", {"reason": reason}, shapes.HoldStory)

    def decide(self, quarantine_id: int, way: str, reason: str) -> shapes.QuarantineResult:
        """Replay or discard a quarantined message."""
        return self._tell(f"/v1/quarantine/{quarantine_id}/{way}", {"reason": reason}, shapes.QuarantineResult)

    def mappings(self) -> shapes.MappingList:
        return self._ask("/v1/mappings", shapes.MappingList)

    def add_mapping(self, order: Mapping[str, str]) -> shapes.MappingStory:
        """Say what a provider calls something."""
        return self._tell("/v1/mappings", order, shapes.MappingStory, (201,))

    def remove_mapping(self, mapping_id: int, reason: str) -> shapes.MappingStory:
        return self._tell(f"/v1/mappings/{mapping_id}/remove", {"reason": reason}, shapes.MappingStory)

    def _ask(self, path: str, kind: type[T], query: Mapping[str, str] | None = None) -> T:
        return _read(self._send("GET", path, params=query), kind, (200,))

    def _tell(self, path: str, body: Mapping[str, Any], kind: type[T], good: tuple[int, ...] = (200,)) -> T:
        return _read(self._send("POST", path, json=body), kind, good)

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return self.http.request(method, path, headers={"Authorization": f"Bearer {self.token}"}, **content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(type(error).__name__) from error


def client(url: str) -> httpx.Client:
    """Open connections to a gateway; what acts on 500 at bounded speed takes its time."""
    return httpx.Client(base_url=url, timeout=httpx.Timeout(5, read=15), trust_env=False)


def _part(text: str) -> str:
    return quote(text, safe="")


def _read(answer: httpx.Response, kind: type[T], good: tuple[int, ...]) -> T:
    try:
        if answer.status_code in good and answer.headers["content-type"] == "application/json":
            return msgspec.json.decode(answer.content, type=kind)
        problem = msgspec.json.decode(answer.content, type=shapes.ProblemDocument)
    except (msgspec.MsgspecError, KeyError) as error:
        raise Unreachable(f"{answer.status_code}, and no answer of a gateway that this dashboard knows") from error
    said = f"{problem.title}: {problem.detail}"
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise SignedOut(said)
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "narrow it" not in problem.detail:
        raise Unreachable(said)
    raise Refused(said)
