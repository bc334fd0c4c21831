"""What people may have done about a request.

Each act is declared once, in the module of its theme: its word, what it takes, what it decides, and what people read of
it. The operations API, the commands and the dashboard follow from that.
"""

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Final

from . import again, ending, leaving, story
from .act import Act


def _acts_in(theme: ModuleType) -> Iterator[type[Act]]:
    for each in vars(theme).values():
        is_act = isinstance(each, type) and issubclass(each, Act) and each.__module__ == theme.__name__
        if is_act and hasattr(each, "action"):  # else what several acts have in common
            yield each


ACTS: Final[Mapping[str, type[Act]]] = {
    act.action: act for theme in (again, leaving, ending, story) for act in _acts_in(theme)
}
"""Every act by its word, in the order in which people are offered them."""
