"""For each alert: series that set it off, and series as like them as can be that do not."""

from dataclasses import dataclass

Series = dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """What is scraped every `step`, when to look, and the labels of the alerts that fire then."""

    fires: Series
    at: str
    labels: tuple[dict[str, str], ...]
    quiet: tuple[Series, ...]
    step: str = "1m"


def _pending(values: str = "2+0x6000") -> Series:
    return {
        'pending_shipments{location="DC01",provider="acme",instance="a"}': values,
        'pending_shipments{location="DC01",provider="acme",instance="b"}': values,
    }


_FAILED = 'failed_shipments{location="DC01",provider="acme",reason="refused",instance="%s"}'
_ACME = {"destination": "acme", "provider": "acme"}
_DC01 = {"location": "DC01"}
_LANE = {"location": "DC01", "provider": "acme"}
_UP = {'up{job="gateway",instance="a"}': "1+0x60"}
_BREAKER = 'gateway_breaker_open{destination="acme"}'
_ANSWERS = 'gateway_ingest_answers_total{location="DC01",code="%s",job="gateway",instance="a"}'
_UNKNOWN = 'gateway_ingest_answers_total{location="unknown",code="404",job="gateway",instance="a"}'
_CALLBACKS = 'gateway_callback_answers_total{provider="acme",code="%s",job="gateway",instance="a"}'
_ATTEMPTS = 'gateway_attempts_total{destination="%s",operation="ship",class="%s",job="gateway",instance="a"}'
_READS = (
    'gateway_attempts_total{destination="newstore",operation="read_shipment",class="%s",job="gateway",instance="a"}'
)
_ORDER_READS = 'gateway_attempts_total{destination="acme",operation="read_order",class="%s",job="gateway",instance="a"}'
_FAILING = 'gateway_commits_failing{reason="%s",instance="%s"}'
_FREE = 'gateway_free_disk_bytes{folder="/data",instance="%s"}'
_OLDEST_WAITING = 'gateway_oldest_waiting_seconds{destination="%s"}'
_POLL = 'gateway_poll_%s_seconds{provider="acme"}'
_RECEIVED = 'gateway_received_requests_total{location="%s"}'
_TOKEN = 'gateway_newstore_token_expiry_timestamp_seconds{instance="a"}'
# Steps of five minutes, 288 a day; the look is at noon of the eighth day.
_BUSY_THEN_SILENT = "0+10x2016 20160+0x400"
_BUSY_ALL_ALONG = "0+10x2400"
_SILENT_EVERY_NOON = "0+10x130 1300+0x40 1300+10x1970 21000+0x300"
_FEW_THEN_NONE = "0+1x2016 2016+0x400"

CASES: dict[str, Case] = {
    "ShipmentsFailed": Case(
        {_FAILED % "a": "0 0 3+0x10", _FAILED % "b": "0 0 0 3+0x10"},
        "6m",
        ({**_LANE, "reason": "refused"},),
        ({_FAILED % "a": "0+0x10"}, {_FAILED % "a": "0 3 0+0x10"}),
    ),
    "ShipmentsFailedRising": Case(
        {_FAILED % "a": "0+0x10 1+1x10"}, "15m", (_DC01,), ({_FAILED % "a": "9+0x40"}, {_FAILED % "a": "0+0x10 2+0x20"})
    ),
    "ShipmentsFailedOld": Case(
        {'gateway_oldest_failed_seconds{location="DC01"}': "0+60x40"},
        "35m",
        (_DC01,),
        ({'gateway_oldest_failed_seconds{location="DC01"}': "0+60x20 0+60x20"},),
    ),
    "DeadDeliveries": Case(
        {'gateway_dead_deliveries{destination="acme",operation="create"}': "2+0x10"},
        "7m",
        ({"destination": "acme", "operation": "create"},),
        ({'gateway_dead_deliveries{destination="acme",operation="create"}': "0+0x10"},),
    ),
    "Unverified": Case(
        {'gateway_unverified{operation="ship"}': "1+0x10"},
        "7m",
        ({"operation": "ship"},),
        ({'gateway_unverified{operation="ship"}': "0+0x10"},),
    ),
    "Unroutable": Case(
        {'gateway_unroutable_requests{location="DC03"}': "4+0x10"},
        "7m",
        ({"location": "DC03"},),
        ({'gateway_unroutable_requests{location="DC03"}': "0+0x10"},),
    ),
    "BrakeTripped": Case(
        {'gateway_brake_tripped{location="DC01"}': "0 1+0x10"},
        "4m",
        (_DC01,),
        ({'gateway_brake_tripped{location="DC01"}': "0+0x10"},),
    ),
    "QuarantineGrowing": Case(
        {'gateway_quarantined{source="acme"}': "2+1x10"},
        "8m",
        ({"source": "acme"},),
        ({'gateway_quarantined{source="acme"}': "12+0x10"},),
    ),
    "QuarantineOld": Case(
        {'gateway_oldest_quarantined_seconds{source="newstore:DC01"}': "0+60x80"},
        "70m",
        ({"source": "newstore:DC01"},),
        ({'gateway_oldest_quarantined_seconds{source="newstore:DC01"}': "0+60x55 0+60x20"},),
    ),
    "UnmappedWaiting": Case(
        {'gateway_unmapped_waiting{provider="acme",what="orders"}': "0 3+0x10"},
        "8m",
        ({"provider": "acme", "what": "orders"},),
        ({'gateway_unmapped_waiting{provider="acme",what="orders"}': "0 3+0x4 0+0x10"},),
    ),
    "ConflictingMessages": Case(
        _UP | {'gateway_conflicts_total{location="DC01",kind="body",job="gateway",instance="a"}': "_x20 1+0x20"},
        "25m",
        ({**_DC01, "kind": "body"},),
        ({'gateway_conflicts_total{location="DC01",kind="body"}': "7+0x40"},),
    ),
    "CallbacksRefused": Case(
        {'gateway_callbacks_refused_total{provider="acme"}': "3+0x20 4+0x20"},
        "25m",
        ({"provider": "acme"},),
        ({'gateway_callbacks_refused_total{provider="acme"}': "3+0x40"},),
    ),
    "PendingTooOld": Case(
        _pending() | {'gateway_oldest_pending_seconds{location="DC01"}': "259000+60x60"},
        "40m",
        (_LANE,),
        (
            _pending() | {'gateway_oldest_pending_seconds{location="DC01"}': "200000+60x60"},
            _pending("0+0x60") | {'gateway_oldest_pending_seconds{location="DC01"}': "259000+60x60"},
        ),
    ),
    "UnacceptedTooLong": Case(
        _pending() | {'gateway_oldest_unaccepted_seconds{location="DC01"}': "14000+60x60"},
        "20m",
        (_LANE,),
        (_pending() | {'gateway_oldest_unaccepted_seconds{location="DC01"}': "3000+60x60"},),
    ),
    "SiblingSilent": Case(
        {
            'rejected_shipments{location="DC01",provider="acme"}': "1+0x60",
            'gateway_sibling_wait_seconds{location="DC01"}': "14000+60x60",
        },
        "20m",
        (_LANE,),
        (
            {
                'rejected_shipments{location="DC01",provider="acme"}': "1+0x60",
                'gateway_sibling_wait_seconds{location="DC01"}': "600+60x60",
            },
        ),
    ),
    "NoRequests": Case(
        _pending("0+0x2400") | {_RECEIVED % "DC01": _BUSY_THEN_SILENT, _RECEIVED % "DC02": _BUSY_ALL_ALONG},
        "180h",
        (_LANE,),
        (
            _pending("0+0x2400") | {_RECEIVED % "DC01": _BUSY_ALL_ALONG},
            _pending("0+0x2400") | {_RECEIVED % "DC01": _FEW_THEN_NONE},
        ),
        step="5m",
    ),
    "NoRequestsAtAll": Case(
        {_RECEIVED % "DC01": _BUSY_THEN_SILENT, _RECEIVED % "DC02": _BUSY_THEN_SILENT},
        "180h",
        ({},),
        (
            {_RECEIVED % "DC01": _BUSY_THEN_SILENT, _RECEIVED % "DC02": _BUSY_ALL_ALONG},
            {_RECEIVED % "DC01": _SILENT_EVERY_NOON},
        ),
        step="5m",
    ),
    "BreakerOpen": Case({_BREAKER: "0 0 1+0x10"}, "7m", (_ACME,), ({_BREAKER: "0+0x10"}, {_BREAKER: "0 0 1 0+0x10"})),
    "BreakerOpenLong": Case(
        {_BREAKER: "0 0 1 1 1 0 1 1 1 0 1 1 1 0 1 1 1 0 1 1 1"}, "19m", (_ACME,), ({_BREAKER: "0 0 1+0x9 0+0x10"},)
    ),
    "DeliveriesStuck": Case(
        {_OLDEST_WAITING % "acme": "0+60x30"}, "25m", (_ACME,), ({_OLDEST_WAITING % "acme": "0+30x30"},)
    ),
    "PollStale": Case(
        {_POLL % "age": "0+60x40", _POLL % "interval": "60+0x40"},
        "20m",
        ({"provider": "acme"},),
        (
            {_POLL % "age": "0+60x14 0+60x20", _POLL % "interval": "60+0x40"},
            {_POLL % "age": "0+60x40", _POLL % "interval": "600+0x40"},
        ),
    ),
    "Throttled": Case(
        {_ATTEMPTS % ("newstore", "wait"): "0+20x40", _ATTEMPTS % ("newstore", "done"): "0+80x40"},
        "30m",
        ({"destination": "newstore", "class": "wait"},),
        ({_ATTEMPTS % ("newstore", "wait"): "0+1x40", _ATTEMPTS % ("newstore", "done"): "0+80x40"},),
    ),
    "NewStoreBlocked": Case(
        _UP | {_ATTEMPTS % ("newstore", "blocked"): "_x15 1+0x10"},
        "18m",
        ({"destination": "newstore", "class": "blocked"},),
        ({_ATTEMPTS % ("newstore", "blocked"): "1+0x30"},),
    ),
    "TokenFailing": Case(
        {_TOKEN: "600+0x30", _OLDEST_WAITING % "newstore": "0+0x10 0+60x20"},
        "20m",
        ({"destination": "newstore"},),
        (
            {_TOKEN: "600+0x30", _OLDEST_WAITING % "newstore": "0+0x30"},  # nothing is owed: nobody renews it
            {_TOKEN: "60000+0x30", _OLDEST_WAITING % "newstore": "0+60x30"},
        ),
    ),
    "ReadBacksFailing": Case(
        {_READS % "unknown": "0+1x60", _READS % "done": "7+0x60"},
        "40m",
        ({"destination": "newstore", "operation": "read_shipment"},),
        (
            {_READS % "unknown": "0+1x60", _READS % "pending": "0+1x60"},
            {_READS % "unknown": "0+1x5 5+0x60"},
            {_ORDER_READS % "unknown": "0+1x60"},  # at a provider: its own alerts tell
        ),
    ),
    "ReadBackMissing": Case(
        {'gateway_read_back_missing{operation="reject",instance="a"}': "0 1+0x10"},
        "4m",
        ({"operation": "reject"},),
        ({'gateway_read_back_missing{operation="reject",instance="a"}': "0+0x10"},),
    ),
    "NewStoreDeprecates": Case(
        {
            'gateway_newstore_sunset_timestamp_seconds{operation="ship",instance="a"}': "_ 1826063999+0x10",
            'gateway_newstore_sunset_timestamp_seconds{operation="cancel",instance="a"}': "0+0x10",
        },
        "2m",
        ({"operation": "ship"}, {"operation": "cancel"}),
        ({'gateway_newstore_sunset_timestamp_seconds{operation="ship",instance="a"}': "_x10"},),
    ),
    "GatewayHolds": Case(
        {
            'gateway_own_holds{scope="operation",name="acknowledge"}': "0 1+0x10",
            'gateway_own_holds{scope="destination",name="acme"}': "0 1+0x10",
            'gateway_own_holds{scope="everything",name=""}': "0 1+0x10",
        },
        "4m",
        (
            {"scope": "operation", "name": "acknowledge"},
            {"scope": "destination", "name": "acme"},
            {"scope": "everything"},
        ),
        ({'gateway_own_holds{scope="operation",name="acknowledge"}': "0+0x10"},),
    ),
    "HoldInForce": Case(
        {
            'gateway_holds_active{scope="destination",name="acme"}': "1+0x10",
            'gateway_holds_active{scope="location",name="DC01"}': "1+0x10",
            'gateway_holds_active{scope="operation",name="ship"}': "1+0x10",
            'gateway_holds_active{scope="everything",name=""}': "2+0x10",
        },
        "2m",
        (
            {"scope": "destination", "name": "acme", "provider": "acme"},
            {"scope": "location", "name": "DC01", "location": "DC01"},
            {"scope": "operation", "name": "ship", "provider": "newstore"},
            {"scope": "everything"},
        ),
        (
            {
                'gateway_holds_active{scope="everything",name=""}': "0+0x10",
                'gateway_holds_active{scope="request",name=""}': "1+0x10",
            },
        ),
    ),
    "HoldForgotten": Case(
        {'gateway_oldest_hold_seconds{scope="location",name="DC01"}': "14000+60x30"},
        "20m",
        ({"scope": "location", "name": "DC01"},),
        ({'gateway_oldest_hold_seconds{scope="location",name="DC01"}': "0+60x30"},),
    ),
    "RequestsTurnedAway": Case(
        _UP | {_ANSWERS % "413": "_x15 1+0x20"},
        "18m",
        ({**_DC01, "code": "413"},),
        (
            {_ANSWERS % "413": "5+0x40", _ANSWERS % "200": "0+5x40"},
            _UP | {_ANSWERS % "401": "_x15 1+0x20", _UNKNOWN: "_x10 1+1x20"},
        ),
    ),
    "MostRequestsTurnedAway": Case(
        {_ANSWERS % "400": "_x10 1+1x20", _ANSWERS % "200": "0+5x8 40+0x20"},
        "22m",
        (_DC01,),
        (
            {_ANSWERS % "400": "_x10 1+1x20", _ANSWERS % "200": "0+5x40"},
            {_ANSWERS % "401": "_x10 1+9x20", _UNKNOWN: "_x10 1+9x20"},
        ),
    ),
    "IngestFailing": Case(
        _UP | {_ANSWERS % "503": "_x15 1+0x20"},
        "19m",
        (_DC01,),
        (_UP | {_ANSWERS % "401": "_x15 1+0x20", _ANSWERS % "503": "2+0x40"},),
    ),
    "AcksBurnFast": Case(
        {'gateway_ack_seconds_bucket{le="0.5"}': "0+8x70", _ANSWERS % "200": "0+10x70"},
        "65m",
        ({},),
        (
            {'gateway_ack_seconds_bucket{le="0.5"}': "0+10x70", _ANSWERS % "200": "0+10x70"},
            {'gateway_ack_seconds_bucket{le="0.5"}': "0+10x50 500+0x3 530+10x20", _ANSWERS % "200": "0+10x70"},
        ),
    ),
    "AcksBurnSlowly": Case(
        {'gateway_ack_seconds_bucket{le="0.5"}': "0+95x400", _ANSWERS % "200": "0+100x400"},
        "390m",
        ({},),
        ({'gateway_ack_seconds_bucket{le="0.5"}': "0+99x400", _ANSWERS % "200": "0+100x400"},),
    ),
    "CallbacksTurnedAway": Case(
        _UP | {_CALLBACKS % "403": "_x15 1+0x20"},
        "18m",
        ({"provider": "acme", "code": "403"},),
        ({_CALLBACKS % "403": "9+0x40", _CALLBACKS % "202": "0+1x40"}, _UP | {_CALLBACKS % "401": "_x15 1+0x20"}),
    ),
    "TokensGuessed": Case(
        {'gateway_credentials_refused_total{door="operators"}': "1 1 1 12+0x20"},
        "5m",
        ({},),
        ({'gateway_credentials_refused_total{door="operators"}': "1 1 1 4+0x20"},),
    ),
    "StrangersTurnedAway": Case(
        _UP | {_CALLBACKS % "401": "_x15 1+0x20", _UNKNOWN: "_x15 1+0x20"},
        "18m",
        ({"name": "acme"}, {"name": "unknown"}),
        ({_CALLBACKS % "403": "_x15 1+1x20", _ANSWERS % "401": "9+0x40"},),
    ),
    "NoGateway": Case(
        {'up{job="gateway",instance="a"}': "1 1 0+0x10", 'up{job="gateway",instance="b"}': "1 1 1 0+0x10"},
        "7m",
        ({},),
        ({'up{job="gateway",instance="a"}': "1 1 0+0x10", 'up{job="gateway",instance="b"}': "1+0x10"},),
    ),
    "GatewayDown": Case(
        {'up{job="gateway",instance="a"}': "1 1 0+0x10", 'up{job="gateway",instance="b"}': "1+0x10"},
        "7m",
        ({"job": "gateway", "instance": "a"},),
        ({'up{job="gateway",instance="a"}': "1 1 0 0 1+0x10"},),
    ),
    "DatabaseAway": Case(
        {'gateway_database_up{instance="a"}': "1 0+0x10", 'gateway_database_up{instance="b"}': "1 1 0+0x10"},
        "6m",
        ({},),
        ({'gateway_database_up{instance="a"}': "1 0+0x10", 'gateway_database_up{instance="b"}': "1+0x10"},),
    ),
    "ClaimsTakenOver": Case(
        {'gateway_takeovers_total{instance="a"}': "0+0x10 4+0x10"},
        "12m",
        ({},),
        ({'gateway_takeovers_total{instance="a"}': "4+0x30"},),
    ),
    "DefaultPartitionUsed": Case(
        {'gateway_default_partition_rows{table="events"}': "1+0x10"},
        "7m",
        ({"table": "events"},),
        ({'gateway_default_partition_rows{table="events"}': "0+0x10"},),
    ),
    "CommitsFailing": Case(
        {_FAILING % ("full_disk", "a"): "0 1+0x10", _FAILING % ("away", "b"): "0 0 1+0x10"},
        "6m",
        ({"reason": "full_disk"}, {"reason": "away"}),
        (
            {_FAILING % ("full_disk", "a"): "0 1+0x10", _FAILING % ("full_disk", "b"): "0+0x10"},
            {_FAILING % ("full_disk", "a"): "0 1 0 1 0 1 0+0x10"},
        ),
    ),
    "StateUnwritten": Case(
        {'gateway_state_unwritten{instance="a"}': "1+0x10", 'gateway_state_unwritten{instance="b"}': "0+0x10"},
        "7m",
        ({"instance": "a"},),
        ({'gateway_state_unwritten{instance="a"}': "1 1 0+0x10"},),
    ),
    "GatewayCommitsFailing": Case(
        {_FAILING % ("away", "a"): "1+0x10", _FAILING % ("away", "b"): "0+0x10"},
        "7m",
        ({"instance": "a", "reason": "away"},),
        ({_FAILING % ("away", "a"): "1 1 1 0+0x10", _FAILING % ("away", "b"): "0+0x10"},),
    ),
    "DiskFillsUp": Case(
        {_FREE % "a": "1900000000+0x30", _FREE % "b": "19000000000-50000000x30"},
        "25m",
        ({"instance": "a", "folder": "/data"}, {"instance": "b", "folder": "/data"}),
        (
            {_FREE % "a": "90000000000-50000000x30"},
            {_FREE % "a": "15000000000+0x30"},
            {_FREE % "a": "1900000000+0x9 3000000000+0x30"},
        ),
    ),
    "ConnectionsRunOut": Case(
        {'gateway_connections_left{instance="a"}': "12+0x30", 'gateway_connections_left{instance="b"}': "13+0x30"},
        "15m",
        ({},),
        (
            {'gateway_connections_left{instance="a"}': "12 12 12 12 60+0x30"},
            {'gateway_connections_left{instance="a"}': "40+0x30"},
        ),
    ),
    "Watchdog": Case({}, "1m", ({},), ()),
}
