"""What providers call things, as this process knows it: the words of the file, and over them what people added."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.domain.deliveries import normal
from gateway.domain.mappings import Mapped, MappedKind, Mappings
from gateway.settings import ProviderSettings


@dataclass(slots=True)
class KnownMappings:
    """Those of all providers. Each process has one, and brings it up to date within seconds."""

    version: int = 0
    stored: dict[tuple[str, str], dict[str, Mapped]] = field(default_factory=dict)
    _made: dict[str, tuple[ProviderSettings, Mappings]] = field(default_factory=dict)

    def take(self, version: int, stored: Iterable[Mapped]) -> None:
        """Take what people have said by now."""
        self.version, self.stored = version, {}
        for each in stored:
            self.stored.setdefault((each.provider, each.kind), {})[each.word] = each
        self._made.clear()

    def of(self, provider: ProviderSettings) -> Mappings:
        """Give those of one provider, made once."""
        settings, made = self._made.get(provider.name, (None, Mappings()))
        if settings is not provider:
            made = self._make(provider)
            self._made[provider.name] = provider, made
        return made

    def _make(self, provider: ProviderSettings) -> Mappings:
        said = {kind: self.stored.get((provider.name, kind), {}) for kind in MappedKind}
        ours = {word: each.ours for word, each in said[MappedKind.CARRIER].items()}
        return Mappings(
            version=self.version,
            shipping_methods=_over(provider.shipping_methods, said[MappedKind.SERVICE_LEVEL]),
            skus=_over(provider.skus, said[MappedKind.PRODUCT]),
            carriers=MappingProxyType({**provider.carriers, **ours}),
            must=provider.must_map,
        )


def _over(file: Mapping[str, str], said: Mapping[str, Mapped]) -> Mapping[str, str]:
    return MappingProxyType({**file, **{word: each.theirs for word, each in said.items()}})


def found_by(kind: MappedKind, ours: str, theirs: str) -> str:
    """Give the word by which a mapping is found: what comes is looked up, as it is compared."""
    return normal(theirs) if kind is MappedKind.CARRIER else ours
