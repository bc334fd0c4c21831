"""The JSON schema of `gateway.toml`, for editors and for the page of all keys."""

from collections.abc import Mapping
from typing import Any

from gateway.settings.shapes import ProviderSettings, Settings
from gateway.settings.tables import reader


def schema(adapters: Mapping[str, type[ProviderSettings]]) -> dict[str, Any]:
    """Give the schema of the whole file, with a table of providers as each adapter has it."""
    found = of_table(Settings)
    (pattern,) = found["properties"]["providers"]["patternProperties"]
    tables = {name: of_adapter(name, each) for name, each in adapters.items()}
    one = tables[next(iter(tables))] if len(tables) == 1 else _by_adapter(tables)
    found["properties"]["providers"]["patternProperties"][pattern] = one
    return {"$schema": "http://json-schema.org/draft-07/schema#", **found, "title": "gateway.toml"}


def _by_adapter(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Judge each table by what its adapter says, so that a fault has its own place."""
    any_of_them = of_table(ProviderSettings)["properties"]["adapter"] | {"enum": [*tables]}
    return {
        "type": "object",
        "properties": {"adapter": any_of_them},
        "required": ["adapter"],
        "allOf": [
            {"if": {"properties": {"adapter": {"const": name}}, "required": ["adapter"]}, "then": table}
            for name, table in tables.items()
        ],
    }


def of_adapter(name: str, of: type[ProviderSettings]) -> dict[str, Any]:
    found = of_table(of)
    found["properties"]["adapter"] |= {"enum": [name]}
    return found


def of_table(table: Any) -> dict[str, Any]:
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415 - nobody waits for it who reads no settings

    class Untitled(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - as pydantic has it
            return False

    whole = reader(table).json_schema(schema_generator=Untitled)
    found: dict[str, Any] = _tidy(whole, whole.pop("$defs", {}))
    return found


def _tidy(part: Any, tables: Mapping[str, Any]) -> Any:
    """Write each table where it is used, as old readers of schemas need it, and leave out what TOML has no word for."""
    if isinstance(part, list):
        return [_tidy(each, tables) for each in part if each != {"type": "null"}]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        part = tables[part["$ref"].rpartition("/")[2]] | {key: each for key, each in part.items() if key != "$ref"}
    found = {key: _tidy(each, tables) for key, each in part.items() if not (key == "default" and _is_none(each, part))}
    if "properties" in found or "enum" in found:  # whose titles are names of ours
        found = {key: each for key, each in found.items() if key != "title" and not (key == "required" and not each)}
    if "patternProperties" in found:
        found["additionalProperties"] = False
    if len(found.get("anyOf", ())) == 1:
        (only,) = found.pop("anyOf")
        return only | found
    return found


def _is_none(default: object, part: Mapping[str, Any]) -> bool:
    return default in (None, {}, "") or (default == [] and "anyOf" in part)
