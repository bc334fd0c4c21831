"""The gateway itself: its doors, its writer, its processes, its database."""

from grafana.drawing import Page, Panel, Query, Row

_RATE = "[$__rate_interval]"


def _quantile(share: float, histogram: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket{_RATE})))"


def _half_and_most(histogram: str, *, exemplar: bool = False) -> tuple[Query, ...]:
    return (
        Query(_quantile(0.5, histogram), "half of them", exemplar),
        Query(_quantile(0.99, histogram), "99 of 100", exemplar),
    )


DOORS = Row(
    "Doors",
    (
        Panel(
            "Time to the committed 200",
            "From the head of a fulfillment request to its answer, which means: stored.",
            "s",
            _half_and_most("gateway_ack_seconds", exemplar=True),
            "AcksBurnFast",
            bad_from=0.5,
        ),
        Panel(
            "Answers to NewStore, by code",
            "Anything but 200 was not stored; NewStore sends it again, in the worst case a day later.",
            "reqps",
            (
                Query(
                    "sum by (location, code) "
                    f'(rate(gateway_ingest_answers_total{{location=~"$location|unknown"}}{_RATE}))',
                    "{{location}} {{code}}",
                ),
            ),
            "RequestsTurnedAway",
            "stacked",
        ),
        Panel(
            "Answers to callbacks, by code",
            "200 applied or known, 202 kept, 4xx turned away.",
            "reqps",
            (
                Query(
                    "sum by (provider, code) "
                    f'(rate(gateway_callback_answers_total{{provider=~"$provider|unknown"}}{_RATE}))',
                    "{{provider}} {{code}}",
                ),
            ),
            "CallbacksTurnedAway",
            "stacked",
        ),
        Panel(
            "Late or failed, of what NewStore may send",
            "The objective is 0.5 % over a month, answered 200 within half a second.",
            "percentunit",
            (
                Query("clamp_min(gateway:ingest_bad:ratio_rate5m, 0)", "5 minutes"),
                Query("clamp_min(gateway:ingest_bad:ratio_rate1h, 0)", "1 hour"),
                Query("clamp_min(gateway:ingest_bad:ratio_rate6h, 0)", "6 hours"),
            ),
            "AcksBurnSlowly",
            bad_from=0.005,
        ),
        Panel(
            "Keys in use",
            "Who was let in by the first and who by the second of two keys: one that nobody uses can go.",
            "reqps",
            (Query(f"sum by (door, name, key) (rate(gateway_keys_used_total{_RATE}))", "{{door}} {{name}} {{key}}"),),
            "StrangersTurnedAway",
            "stacked",
        ),
        Panel(
            "Wrong keys",
            "Of NewStore (locations), of providers and of people (operators). The log has the addresses.",
            "reqps",
            (Query(f"sum by (door) (rate(gateway_credentials_refused_total{_RATE}))", "{{door}}"),),
            "TokensGuessed",
            "stacked",
        ),
        Panel(
            "Connections let go",
            "full: all places are taken. silent: no head of a request came in time. not_http: it was no HTTP.",
            "reqps",
            (
                Query(
                    f"sum by (listener, why) (rate(gateway_connections_dropped_total{_RATE}))", "{{listener}} {{why}}"
                ),
            ),
            "StrangersTurnedAway",
            "stacked",
        ),
    ),
)
WRITER = Row(
    "Writer",
    (
        Panel(
            "Commands in one batch",
            "Larger under load: that is how the writer keeps up.",
            "short",
            _half_and_most("gateway_batch_commands"),
            "AcksBurnFast",
        ),
        Panel(
            "Time to commit a batch",
            "To read, decide and commit.",
            "s",
            _half_and_most("gateway_commit_seconds"),
            "AcksBurnFast",
        ),
        Panel(
            "Commands that wait for the writer",
            "Beyond its bound new requests are answered 503.",
            "short",
            (Query("sum by (instance) (gateway_writer_waiting)", "{{instance}}"),),
            "IngestFailing",
            "stacked",
        ),
    ),
)
PROCESSES = Row(
    "Processes",
    (
        Panel(
            "Living gateways",
            "Processes with a young heartbeat, as the database sees them.",
            "short",
            (Query("max(gateway_processes)"),),
            "NoGateway",
            "number",
            4,
        ),
        Panel(
            "Database",
            "1 while at least one gateway can read it.",
            "bool_yes_no",
            (Query("max(gateway_database_up)"),),
            "DatabaseAway",
            "number",
            4,
        ),
        Panel(
            "What runs",
            "Version, program number and Python of each gateway.",
            "short",
            (Query("count by (version, program, python) (gateway_build_info)", "{{version}} program {{program}}"),),
            "GatewayDown",
            "number",
            8,
        ),
        Panel(
            "Default partition",
            "Rows that no month's partition took.",
            "short",
            (Query("max by (table) (gateway_default_partition_rows)", "{{table}}"),),
            "DefaultPartitionUsed",
            "number",
            8,
            bad_from=1,
        ),
        Panel(
            "Event loop lag, 99 of 100",
            "How much later than asked a timer woke: what holds it up holds up every answer.",
            "s",
            (
                Query(
                    "histogram_quantile(0.99, sum by (le, instance) "
                    f"(rate(gateway_event_loop_lag_seconds_bucket{_RATE})))",
                    "{{instance}}",
                ),
            ),
            "AcksBurnFast",
            bad_from=0.1,
        ),
        Panel(
            "Claims taken over",
            "Calls of a process that died or stood still, per second.",
            "ops",
            (Query(f"sum(rate(gateway_takeovers_total{_RATE}))", "taken over"),),
            "ClaimsTakenOver",
        ),
        Panel(
            "Spans",
            "Spans made per second, and those that the collector took or that were lost; none while traces are off.",
            "ops",
            (Query(f"sum by (end) (rate(gateway_spans_total{_RATE}))", "{{end}}"),),
            "/d/gateway-road",
        ),
        Panel(
            "Processor",
            "Cores in use.",
            "short",
            (Query(f"sum by (instance) (rate(process_cpu_seconds_total{_RATE}))", "{{instance}}"),),
            "AcksBurnFast",
        ),
        Panel(
            "Memory",
            "In use, and asked for.",
            "bytes",
            (
                Query("sum by (instance) (process_resident_memory_bytes)", "{{instance}} in use"),
                Query("sum by (instance) (process_virtual_memory_bytes)", "{{instance}} asked for"),
            ),
            "GatewayDown",
        ),
        Panel(
            "Open files and sockets, of those it may open",
            "At 100 % nobody gets a connection any more.",
            "percentunit",
            (Query("max by (instance) (process_open_fds / process_max_fds)", "{{instance}}"),),
            "GatewayDown",
            bad_from=0.8,
        ),
        Panel(
            "Running for",
            "Since the process began.",
            "s",
            (Query("time() - max by (instance) (process_start_time_seconds)", "{{instance}}"),),
            "GatewayDown",
        ),
        Panel(
            "Scraped",
            "1 while a gateway answers Prometheus.",
            "bool_yes_no",
            (Query('max by (instance) (up{job="gateway"})', "{{instance}}"),),
            "GatewayDown",
        ),
    ),
)
DATABASE = Row(
    "Postgres",
    (
        Panel(
            "Gateways that can't commit, by why",
            "How many fail at a commit or a heartbeat; each tries again by itself, and /readyz says it in a sentence.",
            "short",
            (Query("sum by (reason) (gateway_commits_failing)", "{{reason}}"),),
            "CommitsFailing",
            "stacked",
            bad_from=1,
        ),
        Panel(
            "Gateways that can't write to state_dir",
            "A restore or failover that loses something now may go unnoticed at a start.",
            "short",
            (Query("sum(gateway_state_unwritten)", "gateways"),),
            "StateUnwritten",
            bad_from=1,
        ),
        Panel(
            "Incarnation of the database",
            "Raised by each restore that is noticed: everything is then held back until a person has looked.",
            "short",
            (Query("max(gateway_incarnation)", "incarnation"),),
            "GatewayHolds",
        ),
        Panel(
            "Connections of the pool",
            "Busy near the size of the pool: readers wait.",
            "short",
            (Query("sum by (instance, state) (gateway_pool_connections)", "{{instance}} {{state}}"),),
            "DatabaseAway",
            "stacked",
        ),
        Panel(
            "Wait for a connection",
            "How long the last look at the database waited for one.",
            "s",
            (Query("max by (instance) (gateway_pool_wait_seconds)", "{{instance}}"),),
            "DatabaseAway",
        ),
        Panel(
            "Time to read the numbers",
            "How long the database took to tell what it tells here.",
            "s",
            (Query("max by (instance) (gateway_numbers_seconds)", "{{instance}}"),),
            "DatabaseAway",
            bad_from=0.05,
        ),
        Panel(
            "Size of the database",
            "What it takes of its disk, without its log.",
            "bytes",
            (Query("max(gateway_database_bytes)", "size"),),
            "DiskFillsUp",
        ),
        Panel(
            "Room left on the disk",
            "Of our own Postgres; of another one its operators watch the disk.",
            "bytes",
            (Query("min by (instance) (gateway_free_disk_bytes)", "{{instance}}"),),
            "DiskFillsUp",
        ),
        Panel(
            "Connections left",
            "What Postgres would still give; one more gateway takes up to 19.",
            "short",
            (Query("min(gateway_connections_left)", "left"),),
            "ConnectionsRunOut",
        ),
        Panel(
            "Age of the numbers",
            "Since what is of the database was read; above a few seconds these pages show the past.",
            "s",
            (Query("min(gateway_numbers_age_seconds)", "youngest"),),
            "DatabaseAway",
            bad_from=30,
        ),
    ),
)
PAGE = Page(
    "gateway-gateway",
    "Gateway",
    "The gateway itself: its doors, its writer, its processes, its database.",
    "pending_shipments, provider",
    (DOORS, WRITER, PROCESSES, DATABASE),
)
