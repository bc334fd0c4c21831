from dataclasses import fields

import pytest

from gateway.domain.acts import ACTS
from gateway.domain.acts.act import Act

EVERY = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)


def test_acts_are_offered_in_this_order() -> None:
    assert list(ACTS) == ["recheck", "redrive", "reroute", "reject", "discard", "close", "take", "note"]


@EVERY
def test_an_act_tells_people_what_it_does_and_asks_for_what_it_holds(act: type[Act]) -> None:
    assert act.label[0].isupper()
    assert act.help.endswith(".")
    assert act.asks.keys() <= {each.name for each in fields(act)}


@EVERY
def test_what_is_done_to_many_says_what_follows(act: type[Act]) -> None:
    choices = [choice for asked in act.asks.values() for choice in asked.choices.values()]
    assert not act.many or act.consequence or all(choice.consequence for choice in choices)


def test_no_two_acts_have_a_path_or_a_button_in_common() -> None:
    paths = [act.many for act in ACTS.values() if act.many]
    assert len(set(paths)) == len(paths)
    assert len({act.label for act in ACTS.values()}) == len(ACTS)


def test_what_several_acts_ask_for_by_one_name_is_one_thing() -> None:
    asked = {(name, id(each)) for act in ACTS.values() for name, each in act.asks.items()}
    assert len({name for name, _ in asked}) == len(asked)


@pytest.mark.parametrize(
    ("told", "follows"),
    [
        ({"rejection_reason": "no_inventory"}, "NewStore reroutes the units and sets this DC's stock of them to zero"),
        (
            {"rejection_reason": "cannot_fulfill"},
            "NewStore reroutes the units and excludes this DC for this order only",
        ),
        ({"rejection_reason": None}, ""),
    ],
)
def test_what_follows_from_a_rejection_depends_on_its_reason(told: dict[str, str | None], follows: str) -> None:
    assert ACTS["reject"].follows(told) == follows
