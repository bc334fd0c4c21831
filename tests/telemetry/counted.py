"""What the registry holds, by name and labels."""

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from gateway.telemetry.metrics import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator


def value(name: str, /, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def _all(*names: str) -> dict[str, float]:
    return {
        " ".join((sample.name, *(label for _, label in sorted(sample.labels.items())))): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name in names
    }


def growth(*names: str) -> AbstractContextManager[dict[str, float]]:
    """Tells, once the block is left, by how much each series of these names has grown: "name label label"."""

    @contextmanager
    def block() -> "Iterator[dict[str, float]]":
        grown: dict[str, float] = {}
        before = _all(*names)
        yield grown
        grown.update({key: now - before.get(key, 0) for key, now in _all(*names).items() if now != before.get(key, 0)})

    return block()
