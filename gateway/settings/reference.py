"""The page of all keys, `gateway/settings/README.md`, from the schema of the file."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.settings.schema import of_adapter, of_table
from gateway.settings.shapes import ProviderSettings, Settings

_HEAD: Final = """\
# Settings

All keys of `gateway.toml`. `gateway settings reference` prints this page from the program: do not edit it.

A *secret* never stands in the file. Write `env:NAME` for a variable of the environment, or `file:PATH` for a file with
one line. Paths are relative to `gateway.toml`. `gateway check-config` names every fault at once, each with its place.

An editor that knows the schema completes keys and marks faults while you type. Keep it in a file beside `gateway.toml`,
and begin that with `#:schema ./gateway.schema.json`:

    gateway settings schema         # prints it; append > gateway.schema.json
"""


def reference(adapters: Mapping[str, type[ProviderSettings]]) -> str:
    """Describe every key in Markdown: what it may be, what it is without being written, and what it is for."""
    return "\n".join([_HEAD, *_file(of_table(Settings), adapters)]) + "\n"


def _file(found: dict[str, Any], adapters: Mapping[str, type[ProviderSettings]]) -> Iterator[str]:
    plain = {key: each for key, each in found["properties"].items() if key != "providers" and not _tables_in(each)}
    yield from _section("At the top", "Before the first table.", found | {"properties": plain})
    for key, each in found["properties"].items():
        if key == "providers":
            yield from _providers(each, adapters)
        elif key not in plain:
            heading = (
                f"[[{key}]]" if "items" in each else f"[{key}.NAME]" if "patternProperties" in each else f"[{key}]"
            )
            yield from _section(f"`{heading}`", each["description"], _tables_in(each))


def _providers(table: dict[str, Any], adapters: Mapping[str, type[ProviderSettings]]) -> Iterator[str]:
    common = of_table(ProviderSettings)
    yield from _section("`[providers.NAME]`", f"{table['description']} Its adapter adds keys of its own.", common)
    for name, each in adapters.items():
        found = of_adapter(name, each)
        own = {key: each for key, each in found["properties"].items() if key not in common["properties"]}
        yield from _section(f'`adapter = "{name}"`', found["description"], found | {"properties": own}, level="###")
        for key, file in each.beside.items():
            yield from _file_beside(key, of_table(file))


def _file_beside(key: str, found: dict[str, Any]) -> Iterator[str]:
    """Describe a file that a key names: its plain keys, then its tables."""
    plain = {name: each for name, each in found["properties"].items() if "properties" not in each}
    yield from _section(
        f"The file that `{key}` names", found["description"], found | {"properties": plain}, level="####"
    )
    told: dict[str, dict[str, Any]] = {}
    for name in (name for name in found["properties"] if name not in plain):
        each = found["properties"][name]
        shared = next((known for known in told if told[known].items() <= each["properties"].items()), None)
        own = {key: part for key, part in each["properties"].items() if shared is None or key not in told[shared]}
        also = f" It has all keys of `[{shared}]`, too." if shared else ""
        yield from _section(
            f"`[{name}]` of that file", each["description"] + also, each | {"properties": own}, level="####"
        )
        told[name] = each["properties"]


def _tables_in(part: dict[str, Any]) -> dict[str, Any]:
    """Give the table that a key holds, once or many times; empty where it holds none."""
    inner = [part, part.get("items", {}), *part.get("patternProperties", {}).values()]
    return next((each for each in inner if "properties" in each), {})


def _section(heading: str, told: str, table: dict[str, Any], level: str = "##") -> Iterator[str]:
    yield f"{level} {heading}\n\n{told}\n\n| key | what it may be | without it | what it is for |\n|---|---|---|---|"
    for key, each in _keys(table["properties"]):
        yield f"| `{key}` | {_kind(each)} | {_default(key, each, table)} | {each['description']} |"
    yield ""


def _keys(properties: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, each in properties.items():
        if "properties" in each:
            yield from ((f"{key}.{inner}", found) for inner, found in _keys(each["properties"]))
        else:
            yield key, each


def _kind(part: dict[str, Any]) -> str:
    if "anyOf" in part:
        return f"{_kind(part['anyOf'][0])}, or a list of two"
    if "const" in part:
        return f"`{json.dumps(part['const'])}`"
    if "enum" in part:
        return ", ".join(f"`{json.dumps(word)}`" for word in part["enum"])
    if part["type"] == "array":
        return f"list: {_kind(part['items'])}" + (", at most two" if part.get("maxItems") == 2 else "")
    if part["type"] == "object":
        return _kind_of_table(part.get("additionalProperties", {}))
    named = {"string": "text", "boolean": "`true` or `false`", "integer": "whole number"}
    return (part.get("title") or named[part["type"]]) + _range(part)


def _kind_of_table(inner: Any) -> str:
    if "properties" in inner:
        return "table of tables"
    return f"table of {_kind(inner)}" if "enum" in inner else "table of texts"


def _range(part: dict[str, Any]) -> str:
    most = part.get("maximum", part.get("exclusiveMaximum"))
    if most is None:
        return ""
    return f", {part['minimum']:,} to {most:,}" if "minimum" in part else f", above 0, at most {most:,.0f}"


def _default(key: str, part: dict[str, Any], table: dict[str, Any]) -> str:
    groups = [each["required"] for each in table.get("oneOf", ())]
    if any(key in group for group in groups):
        others = " and ".join(f"`{each}`" for group in groups if key not in group for each in group)
        return f"{others} is needed" if len(groups) == 2 and "and" not in others else f"{others} are needed"
    if key in table.get("required", ()):
        return "needed"
    return f"`{json.dumps(part['default'])}`" if "default" in part else ""
