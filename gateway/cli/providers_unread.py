"""Find the parts of a message that nothing reads: without them it says the same."""

from collections.abc import Callable, Iterator
from typing import Any, Final

_EMPTY: Final[tuple[object, ...]] = (None, "", [], {})


def unread(document: Any, says: Callable[[Any], object]) -> Iterator[str]:
    """Name each part without which the same is said, as `lines.sku`; of one that is read, the parts inside.

    What is empty says nothing anyway.
    """
    said = says(document)

    def among(objects: list[dict[str, Any]], around: tuple[str, ...]) -> Iterator[str]:
        for key in dict.fromkeys(key for each in objects for key, value in each.items() if value not in _EMPTY):
            at = (*around, key)
            if says(_without(document, at)) == said:
                yield ".".join(at)
            else:
                yield from among([inner for each in objects for inner in _objects(each.get(key))], at)

    return among([*_objects(document)], ())


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """Give an object, or those of a list."""
    if isinstance(document, dict):
        yield document
    elif isinstance(document, list):
        for each in document:
            yield from _objects(each)


def _without(document: Any, at: tuple[str, ...]) -> Any:
    """Copy a document, but for what stands there in it, or in each of a list."""
    if isinstance(document, list):
        return [_without(each, at) for each in document]
    key, *inside = at
    if not isinstance(document, dict) or key not in document:
        return document
    if inside:
        return {**document, key: _without(document[key], tuple(inside))}
    return {other: value for other, value in document.items() if other != key}
