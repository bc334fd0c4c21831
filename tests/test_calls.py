import pytest

from gateway.calls import as_code


@pytest.mark.parametrize("code", ["already_shipped", "dc-17.full", "OUT_OF_STOCK", "E_1", "a" * 60])
def test_a_code_is_repeated_as_it_is(code: str) -> None:
    assert as_code(code) == code


@pytest.mark.parametrize(
    "said", ["ADA", "Ada", "ADA LOVELACE", "MARY-JANE", "O_", "_A", "Ada_Lovelace", "A_B\n", "a" * 61, "", None, 7]
)
def test_what_may_be_a_persons_name_is_not(said: object) -> None:
    assert as_code(said) == ""
