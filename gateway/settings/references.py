"""What the file names and does not hold: secrets as `env:NAME` or `file:PATH`, files and folders beside it."""

import base64
import binascii
import re
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from gateway.settings import database_url
from gateway.settings.kinds import Around, InvalidValue, Kind, Source, text
from gateway.settings.secret import Digest, Secret
from gateway.settings.urls import split

T = TypeVar("T")

_SHORTEST_SECRET: Final = 16
_FEWEST_CHARACTERS: Final = 8
_DIGEST: Final = "sha256:"
_SIGNING_KEY_BYTES: Final = range(24, 65)  # as Standard Webhooks has it


def key(value: object, source: Source) -> Secret:
    """Something random, long enough that nobody guesses it."""
    secret = _fetch(value, source)
    if len(secret) < _SHORTEST_SECRET:
        raise InvalidValue(f"is shorter than {_SHORTEST_SECRET} characters; make one with `openssl rand -hex 24`")
    return Secret(secret)


def issued(value: object, source: Source) -> Secret:
    """A secret that somebody else chose, and by which we are known there: it may be short."""
    return Secret(_fetch(value, source))


def token(value: object, source: Source) -> Secret:
    """What a person shows; its SHA-256 may stand in the file itself."""
    if isinstance(value, str) and value.startswith(_DIGEST):
        digest = value.removeprefix(_DIGEST).lower()
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise InvalidValue(
                f"is not {_DIGEST} and 64 hex digits; make a token and its digest with `gateway token new`"
            )
        return Digest(digest)
    secret = key(value, source)
    if len(set(secret.reveal())) < _FEWEST_CHARACTERS:
        raise InvalidValue(
            f"has fewer than {_FEWEST_CHARACTERS} different characters; make one with `gateway token new`"
        )
    return secret


def signing_key(value: object, source: Source) -> Secret:
    """A Standard Webhooks secret."""
    secret = key(value, source)
    prefix, _, encoded = secret.reveal().partition("_")
    try:
        length = len(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if prefix != "whsec" or length not in _SIGNING_KEY_BYTES:
        raise InvalidValue("is not whsec_ and the base64 of 24 to 64 bytes; make one with `openssl rand -base64 32`")
    return secret


def _database_url(value: object, source: Source) -> Secret:
    """Hosts may be several. A password with a / in it makes a port of its beginning, which an error would tell."""
    url = _fetch(value, source)
    if not url.startswith(("postgresql://", "postgres://")) or not _is_readable(url):
        raise InvalidValue(
            "is not a Postgres URL; write postgresql://user:password@host:port/database, "
            "and / # ? @ of the password as %2F %23 %3F %40"
        )
    database_url.judge(url, source.plain_hosts)
    return Secret(url)


def _is_readable(url: str) -> bool:
    try:
        credentials, _, hosts = split(url).netloc.rpartition("@")
        return "@" not in credentials and all(split(f"//{host}").port != 0 for host in hosts.split(","))
    except ValueError:
        return False


def file(value: object, source: Source) -> Path:
    """A file beside the settings."""
    return source.folder / text(value)


def _folder(value: object, source: Source) -> Path:
    """A folder of the gateway's own."""
    found = file(value, source)
    if found.exists() and not found.is_dir():
        raise InvalidValue(f"{found} is not a folder; name one where the gateway may write")
    return found


def key_file(value: object, source: Source) -> Path:
    """A private key, which only a file may hold: that is how the TLS library reads it."""
    scheme, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if scheme != "file" or not name:
        raise InvalidValue("a private key must not stand here itself; write file:PATH")
    return source.folder / name


def _fetch(value: object, source: Source) -> str:
    scheme, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if scheme == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        place, secret = f"the environment variable {name}", source.environ.get(name)
        if not secret:
            raise InvalidValue(f"{place} is not set; set it before the start")
    elif scheme == "file" and name:
        place, secret = f"the file {name}", _inside(source.folder / name, name)
    else:
        raise InvalidValue("a secret must not stand here itself; write env:NAME or file:PATH")
    if secret != secret.strip() or not secret.isprintable():
        raise InvalidValue(f"{place} has control characters or spaces around it; keep one plain line in it")
    return secret


def _inside(file: Path, name: str) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise InvalidValue(f"the file {name} can't be read ({error.strerror}); create it or correct the path") from None
    except ValueError:
        raise InvalidValue(f"the file {name} is not UTF-8 text; write the secret as one plain line") from None


def _one_or_two(value: Any) -> Any:
    if isinstance(value, list) and not 1 <= len(value) <= 2:
        raise InvalidValue(f"has {len(value)} entries; write 1 to 2")
    return value


def _listed(value: Any) -> Any:
    return _one_or_two(value if isinstance(value, list) else [value])


def _list_schema(found: dict[str, Any]) -> dict[str, Any]:
    return found | {"minItems": 1, "maxItems": 2}


def _alone_or_list_schema(found: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [found["items"], _list_schema(found)]}


_PATH: Final = {"type": "string", "minLength": 1}
_SECRET: Final = {"title": "secret", "type": "string", "pattern": "^(env|file):"}

Key: TypeAlias = Annotated[Secret, Kind(key, _SECRET)]
Issued: TypeAlias = Annotated[Secret, Kind(issued, _SECRET)]
SigningKey: TypeAlias = Annotated[Secret, Kind(signing_key, _SECRET)]
Token: TypeAlias = Annotated[
    Secret, Kind(token, {"title": "secret or its digest", "type": "string", "pattern": "^(env|file|sha256):"})
]
DatabaseUrl: TypeAlias = Annotated[Secret, Kind(_database_url, _SECRET)]
File: TypeAlias = Annotated[Path, Kind(file, {"title": "file", **_PATH})]
Folder: TypeAlias = Annotated[Path, Kind(_folder, {"title": "folder", **_PATH})]
KeyFile: TypeAlias = Annotated[Path, Kind(key_file, {"title": "private key", "type": "string", "pattern": "^file:"})]
OneOrTwo: TypeAlias = Annotated[tuple[T, ...], Around(_listed, schema=_alone_or_list_schema)]
OneOrTwoListed: TypeAlias = Annotated[tuple[T, ...], Around(_one_or_two, schema=_list_schema)]
