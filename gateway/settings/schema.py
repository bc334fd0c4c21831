"""The JSON schema of `gateway.toml`, for editors and for the page of all keys."""

from collections.abc import Mapping
from typing import Any

from gateway.settings.shapes import ProviderSettings, Settings
from gateway.settings.tables import reader


def schema(adapters: Mapping[str, type[ProviderSettings]]) -> dict[str, Any]:
    """Give the schema of the whole file, with a table of providers as each adapter has it."""
    found = of_table(Settings)
    (pattern,) = found["properties"]["providers"]["patternProperties"]
    found["properties"]["providers"]["patternProperties"][pattern] = _by_adapter(adapters)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **found, "title": "gateway.toml"}


def _by_adapter(adapters: Mapping[str, type[ProviderSettings]]) -> dict[str, Any]:
    """Judge a table by its own adapter, so that a fault is marked at its key; of one in a file nothing is known."""
    known = {"adapter": {"anyOf": [{"enum": [*adapters]}, {"type": "string", "pattern": r"/|\.py$"}]}}
    tables = [
        {"if": {"properties": {"adapter": {"const": name}}, "required": ["adapter"]}, "then": of_adapter(name, each)}
        for name, each in adapters.items()
    ]
    return {"type": "object", "required": ["adapter"], "properties": known, "allOf": tables}


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
    return default is None or default == {} or (default == [] and "anyOf" in part)
