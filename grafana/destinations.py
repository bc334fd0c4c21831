"""How the owed calls go: attempts by class, breaker, budget, latency, holds."""

from grafana import pages
from grafana.drawing import Page, Panel, Query, Row

_TO = 'destination=~"$provider"'
_FINE = "done|found|pending|not_there|not_made"


def _took(share: float) -> str:
    buckets = f"sum by (le, destination) (rate(gateway_attempt_seconds_bucket{{{_TO}}}[$__rate_interval]))"
    return f"histogram_quantile({share}, {buckets})"


ATTEMPTS = Row(
    "Attempts",
    (
        Panel(
            "Attempts, by class",
            "Tries per second, by how they ended: done, found and pending are well.",
            "ops",
            (
                Query(
                    f"sum by (destination, class) (rate(gateway_attempts_total{{{_TO}}}[$__rate_interval]))",
                    "{{destination}} {{class}}",
                ),
            ),
            "BreakerOpen",
            "stacked",
            page=pages.PLACES,
        ),
        Panel(
            "Share that went wrong",
            "Of all tries: retry, unknown, refused, wait and the like.",
            "percentunit",
            (
                Query(
                    f'sum by (destination) (rate(gateway_attempts_total{{{_TO},class!~"{_FINE}"}}[$__rate_interval]))'
                    f" / sum by (destination) (rate(gateway_attempts_total{{{_TO}}}[$__rate_interval]))",
                    "{{destination}}",
                ),
            ),
            "DeadDeliveries",
            bad_from=0.1,
            page=pages.PLACES,
        ),
        Panel(
            "Told to wait, locked out",
            "Per second: throttled by the destination, blocked by NewStore, or a token that it does not take.",
            "ops",
            (
                Query(
                    "sum by (destination, class) (rate(gateway_attempts_total"
                    f'{{{_TO},class=~"wait|blocked|auth"}}[$__rate_interval]))',
                    "{{destination}} {{class}}",
                ),
            ),
            "Throttled",
            page=pages.PLACES,
        ),
        Panel(
            "One try, half of them",
            "How long one try took.",
            "s",
            (Query(_took(0.5), "{{destination}}", exemplar=True),),
            "BreakerOpen",
            page=pages.PLACES,
        ),
        Panel(
            "One try, 99 of 100",
            "How long one try took; a time-out is 15 s unless set otherwise.",
            "s",
            (Query(_took(0.99), "{{destination}}", exemplar=True),),
            "BreakerOpen",
            page=pages.PLACES,
        ),
        Panel(
            "Slowest operation",
            "How long 99 of 100 tries of each operation took.",
            "s",
            (
                Query(
                    "histogram_quantile(0.99, sum by (le, operation) "
                    f"(rate(gateway_attempt_seconds_bucket{{{_TO}}}[$__rate_interval])))",
                    "{{operation}}",
                    exemplar=True,
                ),
            ),
            "DeliveriesStuck",
            page=pages.PLACES,
        ),
    ),
)
HEALTH = Row(
    "Breaker, budget, holds",
    (
        Panel(
            "Breaker",
            "Red while the circuit breaker is open.",
            "bool_on_off",
            (Query(f"max by (destination) (gateway_breaker_open{{{_TO}}})", "{{destination}}"),),
            "BreakerOpen",
            "states",
            bad_from=1,
            page=pages.PLACES,
        ),
        Panel(
            "Budget left, one second",
            "Calls that may start now.",
            "short",
            (Query(f'max by (destination) (gateway_budget_left{{{_TO},budget="second"}})', "{{destination}}"),),
            "DeliveriesStuck",
            page=pages.PLACES,
        ),
        Panel(
            "Budget left, five minutes",
            "Calls left of NewStore's limit for one address.",
            "short",
            (
                Query(
                    f'max by (destination) (gateway_budget_left{{{_TO},budget="five_minutes"}})',
                    "{{destination}}",
                ),
            ),
            "NewStoreBlocked",
            page=pages.PLACES,
        ),
        Panel(
            "Holds",
            "What people and brakes keep back.",
            "short",
            (Query("max by (scope, name) (gateway_holds_active) > 0", "{{scope}} {{name}}"),),
            "HoldInForce",
            "stacked",
            page=pages.PLACES,
        ),
        Panel(
            "Restored requests",
            "After a restore: what of the open requests is compared with NewStore, and what is not yet.",
            "short",
            (Query("max by (state) (gateway_restored_requests)", "{{state}}"),),
            "DatabaseAway",
            "stacked",
            page=pages.NOW,
        ),
        Panel(
            "Held by the gateway itself",
            "1: an answer was one for a person (410, or a wait of more than a day), or the database was restored.",
            "short",
            (Query("max by (scope, name) (gateway_own_holds)", "{{scope}} {{name}}"),),
            "GatewayHolds",
            bad_from=1,
            page=pages.PLACES,
        ),
        Panel(
            "Oldest hold without an end",
            "Since the oldest hold was placed that only a person ends.",
            "s",
            (Query("max by (scope, name) (gateway_oldest_hold_seconds)", "{{scope}} {{name}}"),),
            "HoldForgotten",
            bad_from=14_400,
            page=pages.PLACES,
        ),
        Panel(
            "Requests behind each provider",
            "What waits, in requests, for whatever is wrong there.",
            "short",
            (
                Query(
                    'max by (provider, location) (pending_shipments{location=~"$location",provider=~"$provider"})',
                    "{{provider}} {{location}}",
                ),
            ),
            "/d/gateway-operations",
            "stacked",
            page=pages.PENDING,
        ),
    ),
)
WAITING = Row(
    "Waiting",
    (
        Panel(
            "Due and not claimed",
            "Owed calls that nobody has begun, counted up to 5000 for each DC and urgency.",
            "short",
            (Query(f"max by (destination) (gateway_waiting_deliveries{{{_TO}}})", "{{destination}}"),),
            "DeliveriesStuck",
            "stacked",
            page=pages.PLACES,
        ),
        Panel(
            "Longest due",
            "Since the call was due that waits longest.",
            "s",
            (Query(f"max by (destination) (gateway_oldest_waiting_seconds{{{_TO}}})", "{{destination}}"),),
            "DeliveriesStuck",
            bad_from=900,
            page=pages.PLACES,
        ),
        Panel(
            "In flight",
            "Owed calls that a process is making.",
            "short",
            (Query(f"max by (destination) (gateway_claimed_deliveries{{{_TO}}})", "{{destination}}"),),
            "DeliveriesStuck",
            "stacked",
            page=pages.PLACES,
        ),
        Panel(
            "Dead",
            "Owed calls that ended without being taken.",
            "short",
            (
                Query(
                    f"max by (destination, operation) (gateway_dead_deliveries{{{_TO}}}) > 0",
                    "{{destination}} {{operation}}",
                ),
            ),
            "DeadDeliveries",
            "stacked",
            page=pages.FAILED,
        ),
        Panel(
            "Since the last news",
            "Of providers that are polled: since one was last asked for news, and gave them.",
            "s",
            (
                Query('max by (provider) (gateway_poll_age_seconds{provider=~"$provider"})', "{{provider}}"),
                Query(
                    'max by (provider) (gateway_poll_interval_seconds{provider=~"$provider"})', "{{provider}}, every"
                ),
            ),
            "PollStale",
            page=pages.PLACES,
        ),
    ),
)
NEWSTORE = Row(
    "NewStore",
    (
        Panel(
            "Calls, by operation",
            "HTTP requests per second made to NewStore, tokens included.",
            "reqps",
            (
                Query(
                    "sum by (operation) (rate(gateway_newstore_calls_total[$__rate_interval]))",
                    "{{operation}}",
                ),
            ),
            "Throttled",
            "stacked",
        ),
        Panel(
            "Calls for each settled request",
            "About three is normal; NewStore's limit of calls is the ceiling of the whole road.",
            "short",
            (Query("sum(rate(gateway_newstore_calls_total[15m])) / sum(rate(gateway_settled_requests_total[15m]))"),),
            "NewStoreBlocked",
        ),
        Panel(
            "Token ends in",
            "Below zero: it has ended, and is renewed with the next call.",
            "s",
            (
                Query(
                    "max by (instance) (gateway_newstore_token_expiry_timestamp_seconds > 0) - time()", "{{instance}}"
                ),
            ),
            "TokenFailing",
        ),
        Panel(
            "Read-backs that are missing",
            "1: NewStore seems to show nowhere what becomes of such reports.",
            "short",
            (Query("max by (operation) (gateway_read_back_missing)", "{{operation}}"),),
            "ReadBackMissing",
            bad_from=1,
        ),
        Panel(
            "Operations that end in",
            "NewStore's answers say that it will drop them; far below zero where they name no day.",
            "s",
            (Query("max by (operation) (gateway_newstore_sunset_timestamp_seconds) - time()", "{{operation}}"),),
            "NewStoreDeprecates",
        ),
    ),
)
PAGE = Page(
    "gateway-destinations",
    "Destinations",
    "How the owed calls go, to NewStore and to each provider.",
    "gateway_breaker_open, destination",
    (ATTEMPTS, HEALTH, WAITING, NEWSTORE),
)
