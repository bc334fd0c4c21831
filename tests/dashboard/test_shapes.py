"""The dashboard imports nothing of the gateway: what it reads of the API is compared with what the API promises."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from dashboard import shapes
from gateway.operations import openapi

READS = {
    ("get", "/v1/me"): shapes.Me,
    ("get", "/v1/summary"): shapes.Summary,
    ("get", "/v1/failures"): shapes.FailureCauses,
    ("get", "/v1/trends"): shapes.Trends,
    ("get", "/v1/locations"): shapes.LocationList,
    ("get", "/v1/destinations"): shapes.DestinationList,
    ("get", "/v1/requests"): shapes.RequestPage,
    ("get", "/v1/requests/{id}"): shapes.RequestStory,
    ("get", "/v1/requests/{id}/bodies"): shapes.BodyList,
    ("post", "/v1/requests/{id}/reveal"): shapes.BodyList,
    ("post", "/v1/requests/{id}/{action}"): shapes.ActResult,
    ("post", "/v1/redrives"): shapes.BulkResult,
    ("post", "/v1/holds"): shapes.Hold,
    ("post", "/v1/holds/{id}/release"): shapes.Hold,
    ("get", "/v1/quarantine"): shapes.QuarantinePage,
    ("get", "/v1/quarantine/{id}"): shapes.QuarantineStory,
    ("post", "/v1/quarantine/{id}/replay"): shapes.QuarantineResult,
    ("get", "/v1/audit"): shapes.AuditPage,
}


@pytest.mark.parametrize(("method", "path"), READS)
def test_the_api_promises_what_the_dashboard_reads(method: str, path: str) -> None:
    (route,) = [each for each in openapi.ROUTES if (each.method, each.path) == (method, path)]
    for promised in route.good.values():
        assert list(differences(READS[method, path], promised)) == []


def test_every_shape_is_compared() -> None:
    _, compared = msgspec.json.schema_components(READS.values())
    kinds = {name for name, kind in vars(shapes).items() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)}
    assert kinds - {"Problem"} == compared.keys()


@pytest.mark.parametrize(
    ("read", "promised"), [(int, str), (str, str | None), (list[int], list[str]), (dict[str, int], dict[str, str])]
)
def test_another_type_is_a_difference(read: Any, promised: Any) -> None:
    assert list(differences(read, promised)) != []


def differences(read: Any, promised: Any, place: str = "$") -> Iterator[str]:
    """Name the places where the API may answer something else than what is read."""
    mine, theirs = choices(read), choices(promised)
    if theirs.keys() - mine.keys():
        yield f"{place}: {promised}, and {read} is read"
    for kind in mine.keys() & theirs.keys():
        if kind is msgspec.Struct:
            fields = get_type_hints(theirs[kind])
            for name, hint in get_type_hints(mine[kind]).items():
                yield from differences(hint, fields.get(name, object), f"{place}.{name}")
        else:
            for ours, its in zip(get_args(mine[kind]), get_args(theirs[kind]), strict=True):
                yield from differences(ours, its, f"{place}[]")


def choices(hint: Any) -> dict[Any, Any]:
    """Tell what a value may be, by its kind."""
    if get_origin(hint) in {Union, UnionType}:
        return {kind: each for choice in get_args(hint) for kind, each in choices(choice).items()}
    if get_origin(hint) is Literal:
        return {str: str}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return {msgspec.Struct: hint}
    return {get_origin(hint) or hint: hint}
