"""What is owed to NewStore and shall not be sent: a mistake, or settled elsewhere."""

from dataclasses import dataclass

from gateway.domain.deliveries import REVERSALS
from gateway.domain.events.event import Fact
from gateway.domain.events.people import Closed, UnitsReopened
from gateway.domain.requests import Request
from gateway.domain.units import Said

from .act import CLOSED, Act


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscardReports(Act):
    """Open again what was rejected or cancelled and never told to NewStore, so that the provider may ship it."""

    action = "discard"
    label = "Discard rejection"
    help = "Open again what was rejected or cancelled by mistake, while NewStore was not told of it."
    many = "discards"
    consequence = "the units are open again and their provider may ship them; NewStore never learns of it"

    def decide(self, request: Request) -> list[Fact]:
        """Take back what was rejected or cancelled, as long as NewStore can't have been told of it."""
        owed = [each for each in request.owed if each.operation in REVERSALS]
        reports = tuple(each.seq for each in owed)
        units = tuple(
            index
            for index, unit in enumerate(request.units)
            if unit.said in {Said.REJECTED, Said.CANCELLED} and unit.reported_by in {0, *reports}
        )
        if request.closed:
            return self.declined(CLOSED)
        if request.withdrawn or request.withdrawal:
            return self.declined(f"{request.provider} was told to stop: it does not ship these units any more")
        if not all(each.is_unsent for each in owed) or any(request.units[index].refusals for index in units):
            return self.declined("NewStore may have been told: release what holds it back, and see what is shown there")
        if not units:
            return self.declined("nothing that was rejected or cancelled waits to be told to NewStore")
        return [UnitsReopened(units, reports, self.who, self.reason)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(Act):
    """Owe nothing more: what was left is settled elsewhere."""

    action = "close"
    label = "Close"
    help = "End what was settled by hand elsewhere: nothing is sent or checked for it any more."
    many = "closes"
    consequence = "nothing is sent or checked for these requests any more"
    is_final = True

    def decide(self, request: Request) -> list[Fact]:
        if request.closed:
            return self.declined("the request is closed already")
        if not request.is_pending and request.failure is None:
            return self.declined("the request is settled and nothing is wrong with it")
        return [Closed(self.who, self.reason)]
