"""Writes the dashboard's shapes from the OpenAPI document, as it imports nothing of the gateway: `make shapes`."""

from collections.abc import Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

import dashboard
from gateway.operations import openapi
from gateway.routes import ROUTES

FILE: Final = Path(dashboard.__file__).with_name("shapes.py")
_HEAD = '''"""What the operations API answers; `make shapes` writes this from its OpenAPI document."""

from datetime import datetime
from typing import Any

import msgspec
'''
_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_Schemas = Mapping[str, Mapping[str, Any]]


def rendered() -> str:
    """Give the module that reads whatever is answered below `/v1`."""
    document = openapi.document(ROUTES)
    schemas: _Schemas = document["components"]["schemas"]
    answers = [
        operation["responses"]
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if path.startswith("/v1/")
    ]
    names = dict.fromkeys(name for answer in answers for named in _named(answer) for name in _needed(named, schemas))
    return "\n\n".join([_HEAD, *(f"{_class(name, schemas)}\n" for name in names)])


def _named(schema: Any) -> Iterator[str]:
    """Name the shapes that a part of the document refers to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _last(schema)
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from _named(each)


def _needed(name: str, schemas: _Schemas) -> Iterator[str]:
    """Name what a shape is made of, and then itself."""
    for part in [*_bases(name, schemas), *_named(schemas[name])]:
        yield from _needed(part, schemas)
    yield name


def _bases(name: str, schemas: _Schemas) -> list[str]:
    """Find the shape that this one continues: it begins with all of its fields."""
    mine = list(schemas[name]["properties"].items())
    begun = {other: list(each.get("properties", {}).items()) for other, each in schemas.items() if other != name}
    return [other for other, fields in begun.items() if fields and fields == mine[: len(fields)]]


def _class(name: str, schemas: _Schemas) -> str:
    schema, bases = schemas[name], _bases(name, schemas)
    inherited = {field for base in bases for field in schemas[base]["properties"]}
    own = {field: each for field, each in schema["properties"].items() if field not in inherited}
    described = cleandoc(schema["description"])
    documented = f'"""{described}' + ('\n"""' if "\n" in described else '"""')
    lines = [*documented.split("\n"), "", *(f"{field}: {_field(each)}" for field, each in own.items())]
    head = f"class {name}({', '.join(bases or ['msgspec.Struct'])}, frozen=True, kw_only=True):"
    return "\n".join([head, *(f"    {line}".rstrip() for line in lines)])


def _field(schema: Mapping[str, Any]) -> str:
    if "default" not in schema:
        return _hint(schema)
    written = str(schema["default"]).replace('"', '\\"')
    return f'{_hint(schema)} = "{written}"'


def _hint(schema: Mapping[str, Any]) -> str:
    """Write a type; a word of a list is read as any text, so that a new one breaks nothing."""
    if "$ref" in schema:
        return _last(schema)
    if "anyOf" in schema:
        return " | ".join(map(_hint, schema["anyOf"]))
    if "enum" in schema:
        return "str"
    if schema["type"] == "array":
        return f"list[{_hint(schema['items'])}]"
    if schema["type"] == "object":
        values = schema.get("additionalProperties")
        return f"dict[str, {_hint(values) if values else 'Any'}]"
    return "datetime" if schema.get("format") == "date-time" else _TYPES[schema["type"]]


def _last(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


if __name__ == "__main__":
    FILE.write_text(rendered(), encoding="utf-8")
