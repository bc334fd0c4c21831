import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.canonical import ambiguous_keys, decode, spell

KEYS = st.sampled_from(["a", "b", "é", ":", 'q":'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
SPELLINGS: list[Callable[[Any], str]] = [
    json.dumps,
    lambda each: json.dumps(each, ensure_ascii=False),
    lambda each: json.dumps(each, indent=1),
    lambda each: json.dumps(_turned(each)),
]


def _turned(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _turned(document[key]) for key in reversed(document)}
    return [_turned(each) for each in document] if isinstance(document, list) else document


@given(VALUES, st.sampled_from(SPELLINGS))
def test_a_document_is_spelled_in_one_way_however_it_came(document: Any, write: Callable[[Any], str]) -> None:
    came = write(document).encode()
    assert spell(decode(came)) == spell(decode(json.dumps(document).encode()))
    assert ambiguous_keys(came, spell(decode(came))) == set()


@given(VALUES, VALUES)
def test_documents_that_differ_are_spelled_differently(one: Any, other: Any) -> None:
    read = [decode(json.dumps(each).encode()) for each in (one, other)]
    assert spell(read[0]) != spell(read[1]) or read[0] == read[1]


def test_a_number_is_one_however_it_is_written() -> None:
    assert spell(decode(b'{"a": [1.0, 1e2, -0.0, 1.50], "b": 123456789012345678901234567890}')) == (
        b'{"a":[1,100,0,1.5],"b":123456789012345678901234567890}'
    )


@given(st.lists(st.tuples(KEYS, st.integers(0, 2) | KEYS), max_size=4), st.booleans())
def test_a_key_that_says_two_things_is_found_however_it_is_spelled(pairs: list[tuple[str, Any]], ascii: bool) -> None:  # noqa: A002, FBT001
    inner = "{" + ", ".join(f"{json.dumps(k, ensure_ascii=ascii)}:{json.dumps(v)}" for k, v in pairs) + "}"
    body = f'{{"list": [{inner}, {{"a": ":"}}]}}'.encode()
    twice = {key for key, value in pairs if any(key == k and value != v for k, v in pairs)}
    assert ambiguous_keys(body, spell(decode(body))) == twice


def test_an_escaped_colon_hides_no_key() -> None:
    body = rb'{"a": 1, "a": "\u003a"}'
    assert ambiguous_keys(body, spell(decode(body))) == {"a"}
