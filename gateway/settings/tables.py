"""How pydantic reads a table of the file into a frozen value, and finds every fault in it."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeVar

from gateway.settings.kinds import Around, InvalidValue, Source, closest

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Table = dict[str, Any]
At = tuple[str | int, ...]
Value = TypeVar("Value")
HEADING: Final = "[heading]"
"""The key under which a table [providers.NAME] finds its own NAME."""


def place(at: At) -> str:
    """Say where something stands, as TOML would: `locations."DC.01".api_keys[0]`."""
    keys = (f"[{key}]" if isinstance(key, int) else f".{_quoted(key)}" for key in at)
    return "".join(keys).removeprefix(".")


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def table_of(written: Table, key: str) -> Table:
    """Give a table as it is written; empty where there is none."""
    found = written.get(key)
    return found if isinstance(found, dict) else {}


def rows_of(written: Table, key: str) -> Iterator[tuple[At, Table]]:
    """Give the tables [key.NAME] or [[key]] as they are written, each with its place."""
    found = written.get(key)
    rows = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for name, row in rows:
        if isinstance(row, dict):
            yield (key, name), row


@cache
def reader(of: Any) -> "TypeAdapter[Any]":
    """Give what pydantic makes of a table."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - nobody waits for it who reads no settings

    return TypeAdapter(of)


def read(of: Callable[..., Value], written: object, source: Source) -> Value:
    """Read a table. Raises pydantic's `ValidationError` with all of its faults."""
    found: Value = reader(of).validate_python(written, context=source)
    return found


class Fault(NamedTuple):
    """What is wrong and what to do, at this key of a table or below it."""

    at: At
    what: str


class Readable:
    """A table of the file: a dataclass whose fields are its keys, with a sentence below each."""

    written_as: ClassVar[Mapping[str, str]] = {}
    """Fields whose key has another name."""
    either: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Keys of which one group is needed, and not two."""
    live: ClassVar[frozenset[str]] = frozenset()
    """Fields that a reload changes; all others need a restart."""
    addressed: ClassVar[frozenset[str]] = frozenset()
    """Fields that say to whom a secret is shown: where one differs, a reload leaves the secret."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid"}

    def __init_subclass__(cls) -> None:
        cls.__pydantic_config__ = {"extra": "forbid", "alias_generator": lambda name: cls.written_as.get(name, name)}

    @classmethod
    def keys(cls) -> dict[str, str]:
        """Give the fields, and their keys as they are written."""
        names = {name: cls.written_as.get(name, name) for name in inspect.signature(cls).parameters}
        return {name: key for name, key in names.items() if key != HEADING}

    @classmethod
    def judge(cls, written: Table, _: Source) -> Iterator[Fault]:
        """What keys are wrong beside each other, whatever each is by itself."""
        given = [group for group in cls.either if any(key in written for key in group)]
        if cls.either and not given:
            wanted = ", or ".join(" and ".join(group) for group in cls.either)
            yield Fault((cls.either[0][0],), f"is missing; add {wanted}")
        for group in given[:1]:
            for key in group:
                if key not in written:
                    yield Fault((key,), "is missing; add it beside " + ", ".join(each for each in group if each != key))
        for group in given[1:]:
            for key in group:
                if key in written:
                    yield Fault((key,), f"stands beside {given[0][0]}, which says the same; remove one of the two")

    @classmethod
    def complete(cls, written: Table, _: Source) -> Table:
        """Write what follows from other keys."""
        return written

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415 - nobody waits for it who reads no settings

        return core_schema.with_info_wrap_validator_function(partial(_read, cls), handler(source))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Table:
        found: Table = handler.resolve_ref_schema(handler(core))
        found["properties"].pop(HEADING, None)
        found["required"] = [key for key in found.get("required", ()) if key != HEADING]
        for name, told in _sentences(cls).items():
            if property_ := found["properties"].get(cls.written_as.get(name, name)):
                property_["description"] = told
        if cls.either:
            for key in {key for group in cls.either for key in group} & set(found["required"]):
                found["required"].remove(key)
            found["oneOf"] = [{"required": list(group)} for group in cls.either]
        return found


def _read(cls: type[Readable], written: Any, handler: Callable[[Any], Any], info: Any) -> Any:
    """Read a table, or raise all that is wrong in it: what pydantic finds, and what the table's own rules do."""
    from pydantic_core import InitErrorDetails, ValidationError  # noqa: PLC0415

    if not isinstance(written, dict):
        return handler(written)
    found: Any = None
    faults: list[InitErrorDetails] = []
    try:
        found = handler(cls.complete(written, info.context))
    except ValidationError as error:
        faults = [_with_hint(each, cls) for each in error.errors(include_url=False)]
    faults += [
        {"type": "value_error", "loc": each.at, "input": None, "ctx": {"error": InvalidValue(each.what)}}
        for each in cls.judge(written, info.context)
    ]
    if faults:
        raise ValidationError.from_exception_data(cls.__name__, faults)
    return found


def _with_hint(error: Any, cls: type[Readable]) -> Any:
    """Give an error to be raised again, at a key that nobody knows with the nearest one that is known."""
    told = {key: error[key] for key in ("type", "loc", "input", "ctx") if key in error}
    if error["type"] == "unexpected_keyword_argument":
        hint = closest(error["loc"][0], sorted(cls.keys().values())).rstrip() or "remove it"
        told |= {"type": "value_error", "ctx": {"error": InvalidValue(f"is not known here; {hint}")}}
    return told


def _sentences(cls: type) -> dict[str, str]:
    """Give the sentence below each field, also of the tables that this one is made of."""
    told = {}
    for each in reversed([each for each in cls.__mro__ if issubclass(each, Readable)]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(tree, ast.ClassDef)  # noqa: S101 - of a class
        for field, below in pairwise(tree.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(sentence))):
                    told[name] = " ".join(sentence.split())
    return told


def _headed(tables: Any) -> Any:
    """Tell each of the tables [key.NAME] its name."""
    if not isinstance(tables, dict):
        return tables
    return {name: {**each, HEADING: name} if isinstance(each, dict) else each for name, each in tables.items()}


NAMED: Final = Around(_headed, MappingProxyType)
