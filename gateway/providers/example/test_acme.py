"""Tries Acme on the conformance suite, as `gateway providers conform ./acme.py` does."""

import asyncio
from pathlib import Path

import pytest

from gateway.providers.conformance import CASES, Result, attempt, pair

ACME, TARGET = pair("./acme.py", Path(__file__).parent)


@pytest.mark.parametrize("case", CASES)
def test_acme_conforms(case: str) -> None:
    outcome = asyncio.run(attempt(ACME, TARGET, case))
    assert outcome.result is not Result.FAILED, outcome.why
