"""What can happen to a request: the only thing the ledger ever adds to a request's story.

Each fact is declared once, in the module of its theme, with its stored kind and all that follows from it.
"""

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Final

from . import assignment, calls, messages, newstore, people, provider
from .event import Fact


def _facts_in(theme: ModuleType) -> Iterator[type[Fact]]:
    for each in vars(theme).values():
        if isinstance(each, type) and issubclass(each, Fact) and each.__module__ == theme.__name__:
            yield each


FACTS: Final[Mapping[str, type[Fact]]] = {
    fact.kind: fact for theme in (assignment, provider, messages, calls, newstore, people) for fact in _facts_in(theme)
}
"""Every fact by the kind that it is stored as."""
