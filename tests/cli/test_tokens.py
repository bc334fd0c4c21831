import re
import tomllib
from pathlib import Path

from typer.testing import CliRunner

from gateway.cli import cli
from tests.loading import settings_in

from .test_running import CONFIG, KEYS


def made(*words: str) -> str:
    done = CliRunner().invoke(cli, ["token", "new", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_new_token_is_shown_once_with_what_the_settings_need_of_it(tmp_path: Path) -> None:
    said = made("ada", "--role", "admin")
    token = said.split("\n", 1)[0]
    assert (len(token) >= 40, f"export GATEWAY_TOKEN={token}\n" in said, said.count(token)) == (True, True, 2)
    lines = re.search(r"\[\[operators\]\]\n.*?\n\n", said, re.DOTALL)
    assert lines
    assert tomllib.loads(lines[0])
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG + lines[0])
    (ada,) = settings_in(path, KEYS).operators
    assert (ada.name, ada.role, ada.tokens[0].matches(token)) == ("ada", "admin", True)


def test_no_two_tokens_are_the_same_and_a_role_is_one_that_there_is() -> None:
    assert made().split("\n")[0] != made().split("\n")[0]
    done = CliRunner().invoke(cli, ["token", "new", "ada", "--role", "boss"])
    assert (done.exit_code, "choose one of viewer, operator, admin" in done.stderr) == (2, True)
