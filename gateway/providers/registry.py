"""Find an adapter by the name that settings give it: one of ours, one that is installed, or a file beside the settings.

One that is installed is an entry point of `newstore_gateway.providers`. A file is named as `./acme.py`.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from hashlib import sha256
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any, TypeVar, get_type_hints

from gateway.settings import ProviderSettings
from gateway.settings.kinds import InvalidValue, closest
from gateway.settings.tables import reader

from . import ADAPTERS
from .port import Adapter

GROUP = "newstore_gateway.providers"
_Kind = TypeVar("_Kind")


class NoAdapter(InvalidValue):
    """What is named is no adapter, and why."""


class Registry(Mapping[str, type[ProviderSettings]]):
    """Finds each adapter once. What a file says is read at a start, and not at a reload.

    As a mapping it gives the settings of each, for who reads a settings file.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is where the settings lie, from which files are named."""
        self.folder = (folder or Path()).resolve()
        self._found: dict[str, type[Adapter]] = dict(ADAPTERS)

    def find(self, name: str) -> type[Adapter]:
        """Give an adapter. Raises `NoAdapter`."""
        if name not in self._found:
            found = self._in_file(name) if is_file(name) else self._installed(name)
            _judge_settings(found)
            self._found[name] = found
        return self._found[name]

    def __getitem__(self, name: str) -> type[ProviderSettings]:
        return self.find(name).settings

    def get(self, name: object, default: Any = None) -> Any:
        return self[str(name)] if name in self else default

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and bool(self.find(name))
        except NoAdapter:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.known()))

    def __len__(self) -> int:
        return len(dict(self.known()))

    def known(self) -> Iterator[tuple[str, str]]:
        """Give the names that need no file, and where each comes from."""
        yield from ((name, "the gateway") for name in ADAPTERS)
        for each in entry_points(group=GROUP):
            yield each.name, f"{each.dist.name} {each.dist.version}" if each.dist else each.value

    def _in_file(self, name: str) -> type[Adapter]:
        path = (self.folder / name).resolve()
        if not path.is_file():
            there = [f"./{each.relative_to(self.folder)}" for each in sorted(self.folder.glob("*.py"))]
            raise NoAdapter(
                f"there is no file {path}; {closest(name, there)}A file is named from the folder of the settings, "
                "or the present one"
            )
        return one_in(module_of(path), Adapter, "ADAPTER", str(path))

    def _installed(self, name: str) -> type[Adapter]:
        found = [each for each in entry_points(group=GROUP) if each.name == name]
        if not found:
            known = [each for each, _ in self.known()]
            hint = closest(name, known) or closest(name, [f"./{each.name}" for each in self.folder.glob("*.py")])
            there = ", ".join(sorted(known))
            raise NoAdapter(
                f"no adapter is called {name}; {hint}choose one of {there}, or name a file, as ./{Path(name).stem}.py"
            )
        if len(found) > 1:
            who = " and ".join(sorted(each.dist.name if each.dist else each.value for each in found))
            raise NoAdapter(f"{len(found)} packages have an adapter called {name}: {who}; remove one of them")
        return _loaded(found[0])


def _judge_settings(adapter: type[Adapter]) -> None:
    """Look whether the settings of an adapter fit beside those of every provider. Raises `NoAdapter`."""
    kind = adapter.settings
    if not (isinstance(kind, type) and issubclass(kind, ProviderSettings)):
        raise NoAdapter(f"the settings of {adapter.__name__} are no subclass of ProviderSettings, but {kind!r}")
    where = f"{kind.__name__}, the settings of {adapter.__name__}"
    for each in (each for each in kind.__mro__ if issubclass(each, ProviderSettings)):
        if "__dataclass_fields__" not in vars(each):
            raise NoAdapter(f"{where}: {each.__name__} is no dataclass; write @dataclass(frozen=True) above it")
    try:
        common, own = (get_type_hints(each, include_extras=True) for each in (ProviderSettings, kind))
        reader(kind)  # type: ignore[arg-type]  # a class has a hash
    except Exception as error:
        raise NoAdapter(f"{where}, can't be read: {said(error)}") from error
    if clash := [each.name for each in fields(ProviderSettings) if own[each.name] != common[each.name]]:
        raise NoAdapter(f"{where}, say something else of {clash[0]}, a key of every provider; give it another name")
    keys = Counter(kind.keys().values())
    if twice := sorted(key for key, count in keys.items() if count > 1):
        raise NoAdapter(f"{where}, write {twice[0]} for two fields; give each its own")


def is_file(name: str) -> bool:
    """Tell whether this names a file, and not an adapter that is installed."""
    return name.endswith(".py") or "/" in name


def _loaded(entry: EntryPoint) -> type[Adapter]:
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:
        raise NoAdapter(f"{entry.value} can't be imported: {said(error)}") from error
    if isinstance(found, ModuleType):
        return one_in(found, Adapter, "ADAPTER", entry.value)
    return judged(found, Adapter, entry.value)


def module_of(path: Path) -> ModuleType:
    """Import a file that is in no package. Raises `NoAdapter` with the line that is wrong."""
    name = f"newstore_gateway_plugin_{path.stem}_{sha256(bytes(path)).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NoAdapter(f"{path} is no Python file; its name ends with .py")
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise NoAdapter(f"{path} can't be imported: {said(error, path)}") from error
    return module


def said(error: BaseException, path: Path | None = None) -> str:
    """Say what went wrong in a stranger's code, and in which line: of this file, where it was there."""
    if isinstance(error, SyntaxError):
        return f"{error.msg} ({error.filename}, line {error.lineno})"
    frames = extract_tb(error.__traceback__)
    ours = [each for each in frames if path and each.filename == str(path)] or frames
    return f"{type(error).__name__}: {error} ({ours[-1].filename}, line {ours[-1].lineno})"


def one_in(module: ModuleType, base: type[_Kind], chosen: str, where: str) -> type[_Kind]:
    """Give the one class of a kind that a module has, or the one that it calls so. Raises `NoAdapter`."""
    if hasattr(module, chosen):
        return judged(getattr(module, chosen), base, f"{chosen} in {where}")
    kinds = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, base)]
    found = [each for each in dict.fromkeys(kinds) if each.__module__ == module.__name__]
    if not found:
        from_here = f"from {base.__module__} import {base.__name__}"
        raise NoAdapter(f"{where} has no {base.__name__}; write a class of it in there ({from_here})")
    if len(found) > 1:
        names = ", ".join(each.__name__ for each in found)
        raise NoAdapter(f"{where} has several: {names}; say which one is meant: {chosen} = {found[0].__name__}")
    return judged(found[0], base, where)


def judged(found: object, base: type[_Kind], where: str) -> type[_Kind]:
    """Give a class of this kind. Raises `NoAdapter` for anything else."""
    if not (isinstance(found, type) and issubclass(found, base)):
        raise NoAdapter(f"{where} is no subclass of {base.__module__}.{base.__name__}, but {found!r}")
    return found


def beside(adapter: type[Adapter], base: type[_Kind], suffix: str, chosen: str) -> type[_Kind]:
    """Give what stands in the module beside an adapter's, whose name ends so. Raises `NoAdapter`."""
    module = sys.modules[adapter.__module__]
    if not adapter.__module__.startswith("newstore_gateway_plugin_"):
        name = adapter.__module__ + suffix
        try:
            return one_in(import_module(name), base, chosen, name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise NoAdapter(f"{name} can't be imported: {said(error)}") from error
            raise NoAdapter(f"there is no module {name}, with a {base.__name__} in it") from error
    path = Path(str(module.__file__))
    other = path.with_name(f"{path.stem}{suffix}.py")
    if not other.is_file():
        raise NoAdapter(f"there is no file {other}, with a {base.__name__} in it")
    return one_in(module_of(other), base, chosen, str(other))
