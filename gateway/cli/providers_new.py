"""Write an adapter: the example of this package, under another name."""

import keyword
import re
from pathlib import Path

from gateway.domain.commands import Word
from gateway.domain.deliveries import Parcel
from gateway.providers import example
from gateway.providers.conformance import Happening, pair
from gateway.providers.conformance.orders import sample

_NAME = re.compile("[a-z][a-z0-9_]{0,40}")
_FILES = ("acme.py", "acme_target.py", "test_acme.py")
EXAMPLE = Path(example.__file__).parent


def write(name: str, into: Path) -> dict[Path, int]:
    """Write the files of an adapter and say how many lines each has. Raises `ValueError` for a name that is none."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ValueError(f"{name!r} can't be a Python module; use small letters, digits and underscores, as acme_wms")
    texts = {into / file.replace("acme", name): _renamed((EXAMPLE / file).read_text(), name) for file in _FILES}
    said = into / f"{name}_sample.json"
    if there := [path for path in (*texts, said) if path.exists()]:
        raise FileExistsError(f"{there[0]} is there already; nothing was written")
    into.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text)
    said.write_bytes(_sample(name, into))
    return {path: len(path.read_text().splitlines()) for path in (*texts, said)}


def _renamed(text: str, name: str) -> str:
    title = "".join(word.capitalize() for word in name.split("_"))
    return text.replace("acme", name).replace("ACME", name.upper()).replace("Acme", title)


def _sample(name: str, into: Path) -> bytes:
    """Let the new provider say that the sample order has left."""
    _, target = pair(f"./{name}.py", into)
    order = sample("b7a0c1de-52f4-4d0e-9a51-0c3f6c1e7d42")
    ships = Happening(order=order, word=Word.SHIPPED, items={"TEE": 1, "CAP": 1}, parcel=Parcel("UPS", "1Z999"))
    return target().happen(ships)[0].body + b"\n"
