import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.settings.kinds import Source
from gateway.settings.shapes import Providers, ProviderSettings, Settings, SettingsError
from gateway.settings.tables import At, Table, place, read, reader, table_of

_OF_THE_KEY: Final = "[key]"
"""Where pydantic says that it is not the value that is wrong."""


def load(
    path: Path, environ: Mapping[str, str] = os.environ, *, adapters: Mapping[str, type[ProviderSettings]]
) -> Settings:
    """Read the file, or raise one `SettingsError` that names every fault in it.

    What keys a `[providers.NAME]` has its adapter says, by the schema that `adapters` has for its name.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - nobody waits for it who reads no settings

    written = _parse(path)
    try:
        return read(Settings, written, _source(path, written, environ, adapters))
    except ValidationError as error:
        faults = [_sentence(each, written) for each in error.errors(include_url=False)]
    raise SettingsError(tuple(faults))  # not from the other, whose text repeats what is written


def load_provider(
    path: Path, name: str, environ: Mapping[str, str], *, adapters: Mapping[str, type[ProviderSettings]]
) -> ProviderSettings | None:
    """Read one provider of the file alone, so that nobody else's keys need be there; None where it has none so named.

    Raises `SettingsError`.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - nobody waits for it who reads no settings

    written = _parse(path)
    providers = table_of(written, "providers")
    if name not in providers:
        return None
    source = _source(path, written, environ, adapters)
    try:
        found: Mapping[str, ProviderSettings] = reader(Providers).validate_python(
            {name: providers[name]}, context=source
        )
    except ValidationError as error:
        placed = [{**each, "loc": ("providers", *each["loc"])} for each in error.errors(include_url=False)]
        raise SettingsError(tuple(_sentence(each, written) for each in placed)) from None
    return found[name]


def _source(
    path: Path, written: Table, environ: Mapping[str, str], adapters: Mapping[str, type[ProviderSettings]]
) -> Source:
    return Source(
        folder=path.resolve().parent,
        environ=environ,
        plain_http_hosts=_words(written.get("plain_http_hosts")),
        plain_hosts=_words(table_of(written, "database").get("plain_hosts")),
        providers=table_of(written, "providers"),
        adapters=adapters,
    )


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        fault = f"{path}: can't be read ({error.strerror}); write one with `gateway init`"
    except ValueError as error:
        reason = error if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        fault = f"{path}: is not TOML: {reason}; correct it there"
    raise SettingsError((fault,))


def _words(value: object) -> list[str]:
    """Give what is text in a list, before anybody has judged it."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _sentence(error: Any, written: Any) -> str:
    where = place(_as_written(error["loc"], written))
    match error["type"]:
        case "value_error":
            told = str(error["ctx"]["error"])
        case "missing":
            told = f"is missing; add {error['loc'][-1]} here"
        case "dataclass_type" | "dict_type":
            told = f"must be a table; write [{where}] and its keys below"
        case "tuple_type":
            told = "must be a list; write it in square brackets"
        case "enum" | "literal_error":
            known = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "")
            told = f"is not a word known here; choose one of {known}"
        case _:
            told = f"{error['msg']}; correct it"
    return f"{where}: {told}"


def _as_written(at: At, written: Any) -> At:
    """Leave out of a place what the file does not have there, as the number of a value without a list around it."""
    found: list[str | int] = []
    for key in at:
        if isinstance(key, int):
            if isinstance(written, list):
                found.append(key)
                written = written[key]
        elif key != _OF_THE_KEY:
            found.append(key)
            written = written.get(key) if isinstance(written, dict) else None
    return tuple(found)
