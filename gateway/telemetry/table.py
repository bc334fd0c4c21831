"""The table of metrics in `grafana/README.md`: `python -m gateway.telemetry.table` prints it."""

from .metrics import DECLARED


def table() -> str:
    """List every metric in Markdown, in the order of their declaration."""
    lines = ["| metric | type | labels | of | what it tells |", "|---|---|---|---|---|"]
    lines += [
        f"| `{each.name}` | {each.kind} | {', '.join(each.labels)} | {each.of} | {each.text} |" for each in DECLARED
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201 - its whole purpose
