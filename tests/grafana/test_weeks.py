"""What a pager would hear: of a week in which nothing is wrong, and of a provider that is away for hours."""

import math
from pathlib import Path

import pytest

from tests.grafana.alerting import alertmanager, heard
from tests.grafana.promtool import check, named, passes, passes_alone, scene
from tests.grafana.shipped import needs

DAY = 288  # steps of five minutes
LANES = {"DC01": "acme", "DC02": "northern", "DC03": "acme"}


def counted(each_step: "list[int]") -> str:
    """A counter that grows so much with each step, as promtool writes series."""
    total, values = 0, []
    for grown in each_step:
        total += grown
        values.append(str(total))
    return " ".join(values)


def orders(step: int, busy: int) -> int:
    """So many come within five minutes: by day, few on Sundays, none at night."""
    hour, weekday = step % DAY / 12, step // DAY % 7
    by_day = max(0.0, math.sin((hour - 6) / 16 * math.pi)) if 6 <= hour <= 22 else 0.0
    return round(busy * by_day * (0.1 if weekday == 6 else 1))


def quiet_weeks() -> dict[str, str]:
    """Two weeks of traffic: the second one is compared with the first, and carries what is normal in a week."""
    steps = range(14 * DAY)
    always = f"1+0x{14 * DAY}"
    series = {'up{job="gateway",instance="a"}': always, 'gateway_database_up{instance="a"}': always}
    all_orders = [0] * len(steps)
    for n, (location, provider) in enumerate(LANES.items(), 1):
        came = [orders(step, 12 * n) for step in steps]
        all_orders = [one + two for one, two in zip(all_orders, came, strict=True)]
        at, lane = f'location="{location}"', f'location="{location}",provider="{provider}"'
        series[f"gateway_received_requests_total{{{at}}}"] = counted(came)
        series[f"pending_shipments{{{lane}}}"] = " ".join(str(each * 20) for each in came)
        series[f"gateway_oldest_pending_seconds{{{at}}}"] = " ".join(str(step % (DAY * 2) * 300) for step in steps)
        series[f"gateway_oldest_unaccepted_seconds{{{at}}}"] = " ".join(str(step % 12 * 300) for step in steps)
        series[f'failed_shipments{{{lane},reason="refused"}}'] = " ".join(
            str(int(step % DAY in {150, 151, 152})) for step in steps
        )
        series[f"gateway_oldest_failed_seconds{{{at}}}"] = " ".join(
            str(max(0, step % DAY - 150) * 300 * (step % DAY < 153)) for step in steps
        )
        series[f"gateway_brake_tripped{{{at}}}"] = f"0+0x{14 * DAY}"
        series[f'gateway_breaker_open{{destination="{provider}"}}'] = " ".join(
            str(int(step % DAY == 200)) for step in steps
        )
        series[f'gateway_ingest_answers_total{{{at},code="200",job="gateway",instance="a"}}'] = counted(came)
        series[f'gateway_ingest_answers_total{{{at},code="401",job="gateway",instance="a"}}'] = f"1+0x{14 * DAY}"
    series['gateway_ack_seconds_bucket{le="0.5"}'] = counted(
        [each - (each > 60 and n % 7 == 0) for n, each in enumerate(all_orders)]
    )
    series["gateway_takeovers_total"] = f"0+0x{14 * DAY}"
    return series


PAGES = 'count_over_time(ALERTS{severity="page",alertstate="firing"}[8d])'


@needs("promtool")
def test_a_quiet_week_pages_nobody(tmp_path: Path) -> None:
    nobody = {"expr": PAGES, "eval_time": "14d", "exp_samples": []}
    warned = {
        "expr": 'count(count_over_time(ALERTS{severity="warning",alertstate="firing"}[8d])) > 20',
        "eval_time": "14d",
    }
    passes(tmp_path, [scene("a quiet week", "5m", quiet_weeks(), [nobody, warned])], every="20m")


@needs("promtool")
def test_the_quiet_week_would_hear_a_page(tmp_path: Path) -> None:
    series = quiet_weeks() | {'gateway_brake_tripped{location="DC01"}': f"0+0x{12 * DAY} 1+0x{2 * DAY}"}
    not_quiet = scene("not quiet", "5m", series, [{"expr": PAGES, "eval_time": "14d"}])
    with pytest.raises(AssertionError, match="BrakeTripped"):
        passes_alone(tmp_path, {"BrakeTripped": [not_quiet]}, every="30m")


# A provider of two DCs is away for six hours from minute 30 on; a third DC has another provider.
OUTAGE = 30
AWAY = 360


def outage() -> dict[str, str]:
    still, open_ = f"0+0x{OUTAGE}", f"1+0x{AWAY}"
    series = {'up{job="gateway",instance="a"}': "1+0x500", 'gateway_database_up{instance="a"}': "1+0x500"}
    series['gateway_breaker_open{destination="acme"}'] = f"{still} {open_} 0+0x60"
    series['gateway_breaker_open{destination="northern"}'] = "0+0x500"
    series['gateway_oldest_waiting_seconds{destination="acme"}'] = f"{still} 0+60x{AWAY} 0+0x60"
    series['gateway_attempts_total{destination="acme",operation="create",class="retry",job="gateway",instance="a"}'] = (
        f"5+0x{OUTAGE} 6+1x{AWAY}"
    )
    for location, provider in LANES.items():
        hit = provider == "acme"
        series[f'pending_shipments{{location="{location}",provider="{provider}"}}'] = (
            f"5+0x{OUTAGE} 6+{3 if hit else 0}x{AWAY}"
        )
        series[f'gateway_oldest_unaccepted_seconds{{location="{location}"}}'] = (
            f"{still} 60+{60 if hit else 0}x{AWAY} 0+0x60"
        )
        series[f'failed_shipments{{location="{location}",provider="{provider}",reason="dead_create"}}'] = "0+0x500"
        series[f'gateway_received_requests_total{{location="{location}"}}'] = "0+3x500"
    return series


ACME = {"destination": "acme", "provider": "acme"}
FIRING: list[tuple[int, list[dict[str, str]]]] = [
    (20, []),
    (40, [named("BreakerOpen", ACME)]),
    (60, [named("BreakerOpen", ACME), named("BreakerOpenLong", ACME), named("DeliveriesStuck", ACME)]),
    (
        300,
        [
            named("BreakerOpen", ACME),
            named("BreakerOpenLong", ACME),
            named("DeliveriesStuck", ACME),
            named("UnacceptedTooLong", {"location": "DC01", "provider": "acme"}),
            named("UnacceptedTooLong", {"location": "DC03", "provider": "acme"}),
        ],
    ),
    (420, []),
]
"""What fires at which minute; the same list goes to Alertmanager."""


@needs("promtool")
def test_what_fires_while_a_provider_is_away(tmp_path: Path) -> None:
    of_alerts = 'ALERTS{alertstate="firing",severity=~"page|warning"}'
    checks = [check(of_alerts, f"{minute}m", alerts) for minute, alerts in FIRING]
    passes(tmp_path, [scene("a provider is away", "1m", outage(), checks)])


@needs("prometheus-alertmanager")
async def test_a_provider_that_is_away_pages_at_most_twice(tmp_path: Path) -> None:
    """A page is one message that a real Alertmanager, with our routes and inhibitions, posts to the pager."""
    async with alertmanager(tmp_path) as running:
        for _, alerts in FIRING:
            await running.post(alerts)
            await running.settled()
    pages = heard(running, "pager", "firing")
    tickets = heard(running, "tickets", "firing")
    assert pages == [{"BreakerOpenLong"}]
    assert tickets == [{"BreakerOpen"}]
