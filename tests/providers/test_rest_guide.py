"""The walk of the guide, as somebody does it who has nothing but the guide."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from gateway.providers.rest_document import SAMPLE
from gateway.providers.rest_expressions import expression
from gateway.simulator.rest_warehouse import RestWarehouse
from tests.cli import typed as a_person
from tests.providers.rest import PUSH

PAGE = (Path(__file__).parents[2] / "gateway" / "providers" / "README.md").read_text()
SECTION = PAGE.partition("\n## Rest\n")[2].partition("\n## ")[0]
SETTINGS, FIRST_HALF, WEBHOOK, WITHDRAW = re.findall(r"^```toml\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
[CREATED] = re.findall(r"Save `(.*?)` as created.json", SECTION)
RECEIVED, SHIPPED, SHORT = re.findall(r"^```json\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
AROUND = """
public_url = "https://gateway.example.com"
newstore = { tenant = "acme", client_id = "gateway", client_secret = "env:SECRET" }
"""
KEYS = {name: "the-key-of-" + name.lower() for name in ("SECRET", "ACME_API_KEY", "ACME_WEBHOOK_SECRET")}


def typed_in_the_walk() -> Iterator[tuple[str, list[str]]]:
    """Give each command of the walk, and what is shown of its answer."""
    for block in re.findall(r"^    \$ (.*?)(?=\n\n)", SECTION, re.MULTILINE | re.DOTALL):
        command, *shown = block.splitlines()
        yield command, [line.strip() for line in shown]


async def answered(folder: Path, command: str) -> str:
    words = [str(folder / word) if word.endswith(".json") else word for word in command.split()[1:]]
    code, told = await a_person.typed(*words, "--config", str(folder / "gateway.toml"), **KEYS)
    assert code == 0, told
    return told.replace(f"{folder}/", "")


def shows(told: str, lines: list[str]) -> bool:
    """Tell whether these lines stand in it, in this order."""
    at = 0
    for line in lines:
        at = told.find(line, at) + len(line)
        if at < len(line):
            return False
    return True


async def test_each_step_of_the_walk_shows_what_the_guide_shows(tmp_path: Path) -> None:
    first, answer, all_words, check = typed_in_the_walk()
    warehouse = RestWarehouse("acme", api_key=KEYS["ACME_API_KEY"], webhook_secret=KEYS["ACME_WEBHOOK_SECRET"])
    async with warehouse.running():
        settings = SETTINGS.replace("http://127.0.0.1:8094", warehouse.url)
        (tmp_path / "gateway.toml").write_text(AROUND + settings)
        for name, sample in (("received", RECEIVED), ("shipped", SHIPPED), ("short", SHORT)):
            (tmp_path / f"{name}.json").write_text(sample)
        mapping = tmp_path / "acme.toml"

        mapping.write_text(FIRST_HALF)
        told = (await answered(tmp_path, first[0])).replace(warehouse.url, "http://127.0.0.1:8094")
        assert shows(told, first[1]), told
        (tmp_path / "created.json").write_text(CREATED)
        assert shows(told := await answered(tmp_path, answer[0]), answer[1]), told
        mapping.write_text(FIRST_HALF.partition("[webhook]")[0] + WEBHOOK)
        assert shows(told := await answered(tmp_path, all_words[0]), all_words[1]), told
        mapping.write_text(mapping.read_text() + WITHDRAW)
        assert shows(told := await answered(tmp_path, check[0]), check[1]), told

    assert tomllib.loads(mapping.read_text()) == PUSH


def test_each_way_to_read_other_messages_reads_one() -> None:
    ways = re.findall(r'`(statements|word|lines) = "(.*?)"`', SECTION.partition("Messages are not all as Acme's")[2])
    assert [key for key, _ in ways] == ["statements", "statements", "word", "statements", "lines", "lines"]
    both, all_three, word, final, alone, others = (expression(text).of for _, text in ways)
    parcel, missing = {"awb": "1Z1", "contents": [{"code": "A"}]}, {"code": "B", "cause": "LOST"}
    order = {"state": "CLOSED", "parcels": [parcel], "missing": [missing]}
    assert both(order) == final(order) == [parcel, missing]
    assert all_three(order) == [order, parcel, missing]
    assert final(order | {"state": "OPEN"}) == [parcel]
    assert [word(each) for each in all_three(order)] == ["CLOSED", "parcel", "missing"]
    assert (alone(missing), others(missing), others(parcel)) == ([missing], [missing], parcel["contents"])


def test_the_guide_names_all_that_an_order_is_made_of() -> None:
    listed = SECTION.partition("is an expression over this: ")[2].partition(".\n")[0]
    assert re.findall(r"`(\w+)`", listed) == list(SAMPLE)
    bullets = SECTION.partition("### What an order is made of")[2].partition("###")[0]
    named = set(re.findall(r"`(\w+)`", bullets)) | {"line_2"}
    assert set(SAMPLE["ship_to"]) <= named
    assert f"{{{', '.join(SAMPLE['lines'][0])}}}" in bullets
