"""What needs a person now, for each DC."""

from grafana import pages
from grafana.drawing import Page, Panel, Query, Row

_OF = 'location=~"$location",provider=~"$provider"'
_AT = 'location=~"$location"'


def _number(title: str, about: str, expr: str, leads_to: str, page: str, *, bad_from: float | None = 1) -> Panel:
    return Panel(title, about, "short", (Query(expr),), leads_to, "number", 3, bad_from, page)


NOW = Row(
    "Now",
    (
        _number(
            "Failed",
            "Requests that wait for a person.",
            f"sum(max by (location, provider, reason) (failed_shipments{{{_OF}}}))",
            "ShipmentsFailed",
            pages.FAILED,
        ),
        _number(
            "Pending",
            "Requests with a unit not said final, or said and not yet proved.",
            f"sum(max by (location, provider) (pending_shipments{{{_OF}}}))",
            "PendingTooOld",
            pages.PENDING,
            bad_from=None,
        ),
        _number(
            "Rejected",
            "Requests with rejected units not yet proved, or waiting for siblings.",
            f"sum(max by (location, provider) (rejected_shipments{{{_OF}}}))",
            "SiblingSilent",
            pages.REJECTED,
            bad_from=None,
        ),
        _number(
            "Without provider",
            "Open requests of locations that no provider serves.",
            f"sum(max by (location) (gateway_unroutable_requests{{{_AT}}}))",
            "Unroutable",
            pages.UNROUTABLE,
        ),
        _number(
            "Dead calls",
            "Owed calls that ended without being taken.",
            "sum(max by (destination, operation) (gateway_dead_deliveries))",
            "DeadDeliveries",
            pages.FAILED,
        ),
        _number(
            "Unverified units",
            "Units that NewStore took and never showed.",
            "sum(max by (operation) (gateway_unverified))",
            "Unverified",
            pages.UNVERIFIED,
        ),
        _number(
            "Quarantine",
            "Messages that could not be applied.",
            "sum(max by (source) (gateway_quarantined))",
            "QuarantineOld",
            pages.QUARANTINE,
        ),
        _number(
            "Holds",
            "Holds in force.",
            "sum(max by (scope, name) (gateway_holds_active))",
            "HoldForgotten",
            pages.PLACES,
        ),
    ),
)
PER_DC = Row(
    "For each DC",
    (
        Panel(
            "Failed, by reason",
            "Each reason has an exit of its own: the request's waiting_for names it.",
            "short",
            (
                Query(
                    f"sum by (location, reason) (max by (location, provider, reason) (failed_shipments{{{_OF}}})) > 0",
                    "{{location}} {{reason}}",
                ),
            ),
            "ShipmentsFailed",
            "stacked",
            page=pages.FAILED,
        ),
        Panel(
            "Longest wait for a person",
            "Since the last change of the failed request that waits longest.",
            "s",
            (Query(f"max by (location) (gateway_oldest_failed_seconds{{{_AT}}})", "{{location}}"),),
            "ShipmentsFailedOld",
            bad_from=1800,
            page=pages.FAILED,
        ),
        Panel(
            "Brakes",
            "Red while the gateway itself holds a location's rejections back.",
            "bool_on_off",
            (Query(f"max by (location) (gateway_brake_tripped{{{_AT}}})", "{{location}}"),),
            "BrakeTripped",
            "states",
            bad_from=1,
            page=pages.PLACES,
        ),
        Panel(
            "Pending, by provider",
            "Open requests of each DC and the provider that has them.",
            "short",
            (
                Query(
                    f"max by (location, provider) (pending_shipments{{{_OF}}})",
                    "{{location}} {{provider}}",
                ),
            ),
            "/d/gateway-road",
            "stacked",
            page=pages.PENDING,
        ),
        Panel(
            "Rejected, by provider",
            "Requests with rejected units not yet proved, or waiting for siblings.",
            "short",
            (
                Query(
                    f"max by (location, provider) (rejected_shipments{{{_OF}}})",
                    "{{location}} {{provider}}",
                ),
            ),
            "SiblingSilent",
            "stacked",
            page=pages.REJECTED,
        ),
        Panel(
            "Silent siblings",
            "Since the last word on the request whose rejected units wait longest for their siblings.",
            "s",
            (Query(f"max by (location) (gateway_sibling_wait_seconds{{{_AT}}})", "{{location}}"),),
            "SiblingSilent",
            bad_from=14_400,
            page=pages.REJECTED,
        ),
    ),
)
MESSAGES = Row(
    "Calls and messages",
    (
        Panel(
            "Dead calls, by operation",
            "Calls that ended without being taken, by destination and operation.",
            "short",
            (
                Query(
                    "max by (destination, operation) (gateway_dead_deliveries) > 0",
                    "{{destination}} {{operation}}",
                ),
            ),
            "DeadDeliveries",
            "stacked",
            page=pages.FAILED,
        ),
        Panel(
            "Unverified units, by operation",
            "NewStore answered 201 and no read-back showed them.",
            "short",
            (Query("max by (operation) (gateway_unverified)", "{{operation}}"),),
            "Unverified",
            "stacked",
            page=pages.UNVERIFIED,
        ),
        Panel(
            "Quarantine, by source",
            "Messages that wait to be replayed or discarded.",
            "short",
            (Query("max by (source) (gateway_quarantined) > 0", "{{source}}"),),
            "QuarantineGrowing",
            "stacked",
            page=pages.QUARANTINE,
        ),
        Panel(
            "Waiting for a mapping",
            "Orders and messages that wait until somebody says what a provider calls something.",
            "short",
            (Query("max by (provider, what) (gateway_unmapped_waiting) > 0", "{{provider}}: {{what}}"),),
            "UnmappedWaiting",
            "stacked",
            page=pages.MAPPINGS,
        ),
        Panel(
            "Oldest in quarantine",
            "Since the oldest message in quarantine came.",
            "s",
            (Query("max by (source) (gateway_oldest_quarantined_seconds)", "{{source}}"),),
            "QuarantineOld",
            bad_from=3600,
            page=pages.QUARANTINE,
        ),
        Panel(
            "Contradictions",
            "Messages per second that contradict what was stored, or that can't be followed.",
            "ops",
            (
                Query(
                    f"sum by (location, kind) (rate(gateway_conflicts_total{{{_AT}}}[$__rate_interval]))",
                    "{{location}} {{kind}}",
                ),
                Query(
                    "sum by (provider) "
                    '(rate(gateway_callbacks_refused_total{provider=~"$provider"}[$__rate_interval]))',
                    "{{provider}} refused",
                ),
            ),
            "ConflictingMessages",
            page=pages.CONFLICTS,
        ),
        Panel(
            "Alerts firing",
            "What Prometheus holds to be wrong now.",
            "short",
            (
                Query(
                    'sum by (alertname) (ALERTS{alertstate="firing",severity=~"page|warning"})',
                    "{{alertname}}",
                ),
            ),
            "/d/gateway-runbooks",
            "stacked",
            page=pages.NOW,
        ),
    ),
)
PAGE = Page(
    "gateway-operations",
    "Operations",
    "What needs a person now, for each DC.",
    'pending_shipments{location=~"$location"}, provider',
    (NOW, PER_DC, MESSAGES),
)
