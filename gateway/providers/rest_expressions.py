"""The expressions of a mapping: JMESPath, of which everything that can be seen beforehand is judged when it is read."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, TypeAlias

import jmespath  # type: ignore[import-untyped]
from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]
from jmespath.functions import Functions  # type: ignore[import-untyped]
from jmespath.visitor import TreeInterpreter  # type: ignore[import-untyped]

from gateway.settings.kinds import InvalidValue, Kind, Source, closest

from .rest_document import SAMPLE

_FUNCTIONS: Final[Mapping[str, Any]] = Functions().FUNCTION_TABLE
_MAY_BE_ABSENT: Final = ("attributes", "newstore")
"""What an order need not have, so that a sample without it proves nothing."""
_POLL: Final = {"since": "2026-11-28T12:00:00Z", "page": 1, "offset": 0, "cursor": "c"}


class Odd(Exception):
    """What an expression was given is nothing that it can work on."""


class Expression:
    """A JMESPath expression; two with the same text are the same."""

    __slots__ = ("_name", "_parsed", "text")

    def __init__(self, text: str) -> None:
        """Raises `JMESPathError` for what is none."""
        self.text = text
        self._parsed = jmespath.compile(text)
        tree = self._parsed.parsed
        self._name = tree["value"] if tree["type"] == "field" else None

    def missed_in(self, document: object) -> list[tuple[Mapping[str, Any], str]]:
        """Give each name that it looks for in vain, and where it does."""
        seeking = _Seeking()
        seeking.visit(self._parsed.parsed, document)
        return seeking.missed

    def of(self, document: object) -> Any:
        """Give what it finds; None where there is nothing. Raises `Odd`."""
        if self._name is not None:  # as most are, and a message may have many thousand lines
            return document.get(self._name) if isinstance(document, dict) else None
        try:
            return self._parsed.search(document)
        except (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise Odd(f"{self.text} can't be found: {str(error)[:200]}") from error

    @property
    def functions(self) -> Iterator[tuple[str, int]]:
        """Give the functions that it calls, and with how many arguments."""
        left = [self._parsed.parsed]
        while left:
            node = left.pop()
            if node["type"] == "function_expression":
                yield node["value"], len(node["children"])
            left += node["children"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text


class _Seeking(TreeInterpreter):  # type: ignore[misc]
    """Finds what an expression does, and notes what it does not find."""

    def __init__(self) -> None:
        super().__init__()
        self.missed: list[tuple[Mapping[str, Any], str]] = []

    def visit_field(self, node: Mapping[str, Any], value: object) -> Any:
        found = super().visit_field(node, value)
        if found is None and isinstance(value, dict):
            self.missed.append((value, node["value"]))
        return found


def expression(value: object, _: Source | None = None) -> Expression:
    """Read one. Raises `InvalidValue`."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidValue('must be a JMESPath expression; write it in quotes, as "order.number"')
    try:
        found = Expression(value)
    except JMESPathError as error:
        what = str(error).partition("\n")[0].removesuffix(", for expression:").rstrip(":")
        raise InvalidValue(f"is no JMESPath expression: {what[:200]}; correct it, or try it at jmespath.org") from None
    for name, count in found.functions:
        _judge_call(name, count)
    return found


def _judge_call(name: str, count: int) -> None:
    if name not in _FUNCTIONS:
        more = "; what these can't say needs a plug-in: gateway providers new NAME"
        raise InvalidValue(f"calls {name}, which is no function of JMESPath; {closest(name, _FUNCTIONS)}choose one of "
                           f"{', '.join(sorted(_FUNCTIONS))}{more}")  # fmt: skip
    signature = _FUNCTIONS[name]["signature"]
    is_variadic = bool(signature) and signature[-1].get("variadic")
    if count < len(signature) or (count > len(signature) and not is_variadic):
        raise InvalidValue(f"gives {name} {count} arguments; it takes {len(signature)}{' or more' * bool(is_variadic)}")


def _made_of(sample: Mapping[str, Any]) -> Callable[[object, Source], Expression]:
    """Read an expression by which a body is made, and try it: what it finds nothing for is misspelled."""

    def read(value: object, _: Source) -> Expression:
        found = expression(value)
        try:
            made = found.of(sample)
        except Odd as odd:
            raise InvalidValue(f"can't be made of an order: {odd}") from None
        nothing = [] if any(each in found.text for each in _MAY_BE_ABSENT) else list(_nothing(made, ""))
        if made is None or nothing:
            missed = "; ".join(dict.fromkeys(_missed(found, sample))) or f"choose one of {', '.join(sample)}"
            raise InvalidValue(f"finds nothing for {', '.join(nothing[:5]) or 'the body'}: {missed}")
        return found

    return read


def _missed(found: Expression, sample: Mapping[str, Any]) -> Iterator[str]:
    """Say which names of an order are misspelled, each with those that stand there."""
    places = {id(sample): "", **{id(each): f"{name}." for name, each in sample.items() if isinstance(each, dict)}}
    places |= {id(each): f"{name}[]." for name, of in sample.items() if isinstance(of, list) for each in of}
    for document, name in found.missed_in(sample):
        at, known = places.get(id(document), ""), ", ".join(document)
        yield f"there is no {at}{name}; {closest(name, document)}choose one of {known}"


def _nothing(made: object, at: str) -> Iterator[str]:
    """Find where a body has nothing, or an empty list."""
    if made is None or made == []:
        yield at.removeprefix(".") or "the body"
    elif isinstance(made, dict):
        for name, each in made.items():
            yield from _nothing(each, f"{at}.{name}")
    elif isinstance(made, list):
        for number, each in enumerate(made[:1]):
            yield from _nothing(each, f"{at}[{number}]")


_SCHEMA: Final = {"title": "expression", "type": "string", "minLength": 1}
Search: TypeAlias = Annotated[Expression, Kind(expression, _SCHEMA)]
"""Of what a provider sends."""
OfAnOrder: TypeAlias = Annotated[Expression, Kind(_made_of(SAMPLE), _SCHEMA)]
"""What a body is made of, by an order."""
OfAPoll: TypeAlias = Annotated[Expression, Kind(_made_of(_POLL), _SCHEMA)]
"""Likewise by where a poll is."""
