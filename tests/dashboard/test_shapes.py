"""The dashboard imports nothing of the gateway: what it reads of the API is made from what the API promises."""

import inspect
from typing import Any, get_args

import msgspec
import pytest

from dashboard import shapes
from gateway import api_shapes
from tests.dashboard.shapes import FILE, rendered

READ: dict[str, object] = {"next_page": None, "requests": [], "more": "of a newer gateway"}


def test_the_shapes_are_those_of_the_document() -> None:
    assert FILE.read_text(encoding="utf-8") == rendered(), "run `make shapes`"


@pytest.mark.parametrize("name", ["RequestStory", "Summary", "DestinationStory", "QuarantineStory", "ActResult"])
def test_a_shape_has_the_fields_of_the_servers_own(name: str) -> None:
    ours, its = (msgspec.structs.fields(getattr(module, name)) for module in (shapes, api_shapes))
    assert [each.name for each in ours] == [each.name for each in its]
    assert [accepts_none(each.type) for each in ours] == [accepts_none(each.type) for each in its]
    assert [each.required for each in ours] == [each.required for each in its]


def accepts_none(hint: Any) -> bool:
    return type(None) in get_args(hint)


def test_a_request_with_its_story_is_a_request() -> None:
    assert issubclass(shapes.RequestStory, shapes.RequestSummary)
    assert issubclass(shapes.QuarantineStory, shapes.QuarantineEntry)
    alone = set(inspect.getmembers(shapes, inspect.isclass))
    assert sum(kind.__base__ is not msgspec.Struct for _, kind in alone if issubclass(kind, msgspec.Struct)) == 2


def test_what_a_newer_gateway_says_beyond_is_read_over() -> None:
    assert msgspec.convert(READ, shapes.RequestPage) == shapes.RequestPage(requests=[], next_page=None)
