"""The suite on every adapter that is listed, and adapters that it must turn down."""

import pytest

from gateway.providers import ADAPTERS
from gateway.providers.conformance import CASES, Result, Target, attempt
from gateway.providers.example.acme import Acme
from gateway.providers.example.acme_target import AcmeTarget
from gateway.providers.files_target import FilesProvider
from gateway.providers.http_target import HttpProvider
from gateway.providers.newstore_target import NewstoreProvider
from gateway.providers.port import Adapter
from gateway.providers.registry import beside
from gateway.providers.rest import Rest
from gateway.providers.rest_target import RestHinting, RestPolled, RestProvider
from tests.providers.plugins.zenith import Zenith
from tests.providers.plugins.zenith_target import ZenithTarget
from tests.providers.wrong import WRONG

TARGETS: dict[type[Target], type[Adapter]] = {
    beside(each, Target, "_target", "TARGET"): each for each in (*ADAPTERS.values(), Acme, Zenith)
} | {RestPolled: Rest, RestHinting: Rest}
"""Each simulated provider, and the adapter that is tried on it."""
ONE_EACH = {"one bad line keeps the rest", "the parts of a message say the same alone"}
NO_TOKEN = {"a token that expires mid call is renewed"}
NO_WEBHOOK = {"a message with a bad signature is nobodys", "a message that is replayed changes nothing"}
NO_ANSWERS = NO_WEBHOOK | {
    "a lost answer is unknown and then found",
    "a lost call is unknown and then not found",
    "a look up that finds another order finds nothing",
    "an order that is refused is refused",
    "a provider that is asked too often is left alone until its date",
    "an empty answer proves nothing",
    "an answer that breaks off proves nothing",
    "an answer of another shape proves nothing",
    "an answer without end is cut off",
    "a web page is not the providers word",
}
"""A folder takes files, and says nothing."""
NOT_APPLICABLE = {
    HttpProvider: ONE_EACH | NO_TOKEN,
    FilesProvider: NO_ANSWERS | NO_TOKEN,
    RestProvider: NO_TOKEN | {"a doubled create makes one order"},
    RestHinting: NO_TOKEN | ONE_EACH | {"a doubled create makes one order"},
    RestPolled: NO_TOKEN | NO_WEBHOOK,
    NewstoreProvider: ONE_EACH
    | NO_TOKEN
    | {
        "a look up that finds another order finds nothing",
        "an unknown order is not found",
        "an order that is withdrawn stops",
        "an order that was picked is not withdrawn",
    },
    AcmeTarget: NO_TOKEN,
    ZenithTarget: ONE_EACH
    | {
        "a doubled create makes one order",
        "an order that is withdrawn stops",
        "an order that was picked is not withdrawn",
    },
}
"""What each does not do; all else is tried, and no case is left out by an oversight."""


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("target", TARGETS, ids=lambda each: each.__name__)
async def test_an_adapter_conforms(target: type[Target], case: str) -> None:
    outcome = await attempt(TARGETS[target], target, case)
    wanted = Result.NOT_APPLICABLE if case in NOT_APPLICABLE[target] else Result.PASSED
    assert outcome.result is wanted, outcome.why


@pytest.mark.parametrize("case", CASES)
async def test_a_case_turns_down_an_adapter_that_is_wrong_in_it(case: str) -> None:
    wrong = WRONG[case]
    outcome = await attempt(wrong, ZenithTarget if issubclass(wrong, Zenith) else AcmeTarget, case)
    assert outcome.result is Result.FAILED
    assert outcome.why


def test_there_is_a_wrong_adapter_for_each_case() -> None:
    assert WRONG.keys() == CASES.keys()
