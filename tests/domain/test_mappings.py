"""What a provider calls things, out and in: what nobody has said waits, and nothing is taken for something else."""

from dataclasses import replace

import pytest

from gateway.domain.commands import ProviderSaid, Word
from gateway.domain.deliveries import Parcel
from gateway.domain.mappings import MappedKind, Mappings
from gateway.domain.orders import Order
from gateway.domain.requests import Request
from gateway.domain.waiting import waiting_for
from tests.requests import receive, said

from .steps import after, names

ALL = frozenset(MappedKind)
THEIRS = Mappings(
    shipping_methods={"EXPRESS": "UPS NEXT DAY"}, skus={"TEE": "10045"}, carriers={"upsground": "UPS"}, must=ALL
)
SOME = replace(THEIRS, must=())


def order(*products: str, service_level: str = "EXPRESS") -> Order:
    return Order(request_id="r-1", reference="NS1", service_level=service_level, products=products)


def shipped(items: dict[str, int], carrier: str = "U P S ground") -> ProviderSaid:
    return said(Word.SHIPPED, items=items, parcel=Parcel(carrier, "1Z1"))


def test_an_order_has_the_providers_words_beside_ours() -> None:
    told = THEIRS.of_order(order("TEE", "TEE"))
    assert (told.service_level, told.shipping_method) == ("EXPRESS", "UPS NEXT DAY")
    assert [(line.product, line.sku, line.count) for line in told.lines] == [("TEE", "10045", 2)]


def test_what_is_not_mapped_goes_as_it_is_unless_it_must_be() -> None:
    told = SOME.of_order(order("CAP", service_level="GROUND"))
    assert (told.shipping_method, told.lines[0].sku) == ("GROUND", "CAP")
    assert SOME.unsent(told) == ()
    assert THEIRS.unsent(order("TEE", "CAP", "CAP", service_level="GROUND")) == (
        ("service_level", "GROUND"), ("product", "CAP")
    )  # fmt: skip
    assert THEIRS.unsent(order("TEE", service_level="")) == ()


def test_a_message_is_told_in_our_words_and_keeps_the_carrier_that_was_said() -> None:
    told = THEIRS.of_message(shipped({"10045": 2}))
    assert (told.items, told.unmapped) == ({"TEE": 2}, ())
    assert told.parcel == Parcel("UPS", "1Z1", carrier_said="U P S ground")
    lines = replace(shipped({}), items=None, uncounted={"10045": 1})
    assert THEIRS.of_message(lines).uncounted == {"TEE": 1}


def test_what_a_message_names_and_nobody_has_mapped_is_named_where_it_must_be() -> None:
    told = THEIRS.of_message(shipped({"10045": 1, "10046": 1}, "DPD"))
    assert told.unmapped == (("product", "10046"), ("carrier", "DPD"))
    free = SOME.of_message(shipped({"CAP": 1}, "DPD"))
    assert (free.items, free.parcel, free.unmapped) == ({"CAP": 1}, Parcel("DPD", "1Z1"), ())


@pytest.mark.parametrize("word", ["TEE", "10045"])
def test_a_word_that_the_other_side_uses_for_another_product_is_never_taken_as_it_is(word: str) -> None:
    is_sku = word == "10045"
    assert SOME.sends("product", word) is not is_sku
    assert SOME.hears("product", word) is is_sku


def test_products_that_trade_their_words_are_told_apart() -> None:
    swapped = Mappings(skus={"A": "B", "B": "A"})
    assert [line.sku for line in swapped.of_order(order("A", "B")).lines] == ["B", "A"]
    assert swapped.of_message(shipped({"A": 1, "B": 2})).items == {"B": 1, "A": 2}


def test_a_sku_of_two_products_is_clear_for_nobody() -> None:
    assert Mappings(skus={"A": "X", "B": "X"}).of_message(shipped({"X": 1})).unmapped == (("product", "X"),)


def waits_for_a_word() -> Request:
    request = after(receive())
    unmapped = (("service_level", "EXPRESS EU"), ("product", "CAP"))
    return replace(request, owed=tuple(replace(each, unmapped=unmapped) for each in request.owed))


def test_an_order_that_waits_for_a_word_says_for_which_and_what_to_type() -> None:
    what = "service level 'EXPRESS EU' is not mapped for acme (and 1 more)"
    waiting = waiting_for(waits_for_a_word())
    assert waiting is not None
    assert (waiting.who, waiting.next) == (
        "operations",
        f"{what}: `gateway mappings add acme service_level OURS THEIRS`",
    )


def test_a_message_with_such_a_word_changes_nothing_and_waits_for_a_person() -> None:
    request, told = after(receive("r-1", "TEE")), THEIRS.of_message(shipped({"10046": 1}))
    assert names(request, told) == ["CallbackQuarantined"]
    assert names(request, replace(told, word=None, problem="no word")) == ["CallbackQuarantined"]
    assert after(told, start=request).quarantined == 1
