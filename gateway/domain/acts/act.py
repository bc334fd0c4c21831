"""What a person commands about a request, with all that whoever offers it must know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from gateway.domain.events.event import Fact
from gateway.domain.events.people import Declined
from gateway.domain.requests import Request

CLOSED = "the request is closed: nothing is done for it any more"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the words that a parameter may be: what it means, and what follows from it."""

    means: str
    consequence: str


@dataclass(frozen=True, slots=True)
class Aside:
    """What is told of one request alone, and seldom: whether there is anything to tell, and why of one alone."""

    question: str
    hint: str
    alone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A parameter: how each of those who offer the act asks for it. It is a text, or one of the choices."""

    question: str
    help: str
    option: str = ""
    """What the command line calls it; empty where that is its name."""
    missing: str = ""
    """What somebody is told who leaves it out, of which `{option}` is a part; empty where that may be."""
    hint: str = ""
    most: int | None = None
    choices: Mapping[str, Choice] = field(default_factory=dict)
    names: Literal["provider"] | None = None
    """It is one of the names that the settings have for these."""
    aside: Aside | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person commands. `action_id` is made once where it is given, so that a repeat changes nothing.

    A field that is not in `asks` is what the gateway knows: `gateway/operations/acts.py` has a table of these.
    """

    action: ClassVar[str]
    """Its word in the API, on the command line, in the audit and in traces."""
    label: ClassVar[str]
    """What its button is called."""
    help: ClassVar[str]
    asks: ClassVar[Mapping[str, Asked]] = {}
    """Its parameters, by their fields."""
    many: ClassVar[str] = ""
    """The path by which it is done to all that a filter finds; empty where it is done to one alone."""
    among: ClassVar[str] = ""
    """The status of those that are chosen where nobody names one."""
    consequence: ClassVar[str] = ""
    """What follows, in words that every dialog and dry run shows."""
    is_final: ClassVar[bool] = False
    """Nothing takes it back."""
    content: ClassVar[str] = ""
    """What its reason is called, where that is all that it says."""
    default_reason: ClassVar[str] = ""
    needs_parcels: ClassVar[bool] = False
    """It is decided with the parcels of the request."""

    request_id: str
    at: datetime
    who: str
    action_id: str
    reason: str = ""
    fingerprint: str = ""

    @property
    def cause(self) -> str:
        return f"person:{self.action_id}"

    def decide(self, request: Request) -> list[Fact]:
        """Say what follows from it."""
        raise NotImplementedError

    def declined(self, why: str) -> list[Fact]:
        """Say why it can't be done."""
        return [Declined(self.who, self.action, why)]

    @classmethod
    def follows(cls, told: Mapping[str, str | None]) -> str:
        """Say the consequence, which may depend on a choice among what is `told`."""
        chosen = (asked.choices.get(told.get(name) or "") for name, asked in cls.asks.items())
        return next((choice.consequence for choice in chosen if choice), cls.consequence)
