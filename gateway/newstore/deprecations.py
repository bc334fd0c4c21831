"""What NewStore's headers say of its own future: which operation it will drop, and when."""

from collections.abc import Mapping

from gateway.call_errors import moment_of
from gateway.telemetry import metrics
from gateway.telemetry.logs import log


class Deprecations:
    """Tells each once."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def notice(self, operation: str, headers: Mapping[str, str]) -> None:
        """Look at the headers of an answer."""
        if "Sunset" not in headers and "Deprecation" not in headers:
            return
        sunset = moment_of(headers.get("Sunset", ""))
        date = sunset.date().isoformat() if sunset else ""
        metrics.of(metrics.SUNSET, operation).set(sunset.timestamp() if sunset else 0)
        if (operation, date) not in self._told:
            self._told.add((operation, date))
            log("newstore.deprecated", operation=operation, sunset=date)
