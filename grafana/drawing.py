"""What a dashboard is made of here: panels as data, and how they become Grafana's own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models.common import GraphDrawStyle, LegendDisplayMode, StackingMode, VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana import pages, runbooks

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
GOOD, BAD = "green", "red"
_TAG = "gateway"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, how its series are called, and whether its points lead to traces."""

    expr: str
    legend: str = ""
    exemplar: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `leads_to` is an alert, for its runbook, or a path under Grafana; `page` is one of `pages`."""

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]
    leads_to: str
    kind: str = "lines"
    width: int = 8
    bad_from: float | None = None
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard: what it answers, the metrics that know its locations and providers, and its rows."""

    uid: str
    title: str
    about: str
    providers: str
    rows: tuple[Row, ...]


def drawn(page: Page) -> dashboard.Dashboard:
    """Make Grafana's dashboard of a page; panels are numbered in their order."""
    board = blank(page.uid, page.title, page.about)
    location, provider = _variable("location", "pending_shipments, location"), _variable("provider", page.providers)
    board.variables([_datasource(), location, provider, dashboard.ConstantVariable("dashboard").value(pages.URL)])
    for annotation in _ANNOTATIONS:
        board.annotation(annotation())
    number = 0
    for row in page.rows:
        number += 1
        board.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            board.with_panel(_DRAW[panel.kind](panel).id(number))
    return board


def blank(uid: str, title: str, about: str) -> dashboard.Dashboard:
    """Begin a dashboard with what all of them share."""
    board = dashboard.Dashboard(f"Gateway / {title}").uid(uid).description(about).tags([_TAG]).readonly()
    board.refresh("30s").time("now-6h", "now").timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR)
    others = dashboard.DashboardLink("Gateway").type(DashboardLinkType.DASHBOARDS).tags([_TAG])
    return board.link(others.include_vars(include_vars=True).keep_time(keep_time=True))


def _datasource() -> dashboard.DatasourceVariable:
    chosen = VariableOption(text="Prometheus", value="prometheus", selected=True)
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus").current(chosen)


def _variable(name: str, values: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(name.capitalize()).query(f"label_values({values})")
    variable.datasource(SOURCE).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    chosen = VariableOption(text="All", value="$__all", selected=True)
    return variable.multi(multi=True).include_all(include_all=True).all_value(".*").current(chosen)


def _holds() -> dashboard.AnnotationQuery:
    annotation = dashboard.AnnotationQuery().name("Holds").datasource(SOURCE).icon_color("orange").enable(enable=True)
    return annotation.expr("max by (scope, name) (gateway_holds_active) > 0")


def _breakers() -> dashboard.AnnotationQuery:
    annotation = dashboard.AnnotationQuery().name("Breakers").datasource(SOURCE).icon_color("red").enable(enable=True)
    return annotation.expr("max by (destination) (gateway_breaker_open) == 1")


_ANNOTATIONS: Final[tuple[Callable[[], dashboard.AnnotationQuery], ...]] = (_holds, _breakers)


def _targets(panel: Panel) -> Sequence[prometheus.Dataquery]:
    targets = []
    for ref, query in zip("ABCDEFGH", panel.queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(ref).datasource(SOURCE).range()
        target.legend_format(query.legend).exemplar(query.exemplar)
        targets.append(target)
    return targets


def _links(panel: Panel) -> Iterator[dashboard.DashboardLink]:
    if panel.leads_to.startswith("/"):
        yield _link("More", panel.leads_to)
    else:
        yield _link(f"Runbook: {panel.leads_to}", runbooks.path(panel.leads_to))
    if panel.page is not None:
        yield _link("See and act", f"${{dashboard}}/{panel.page}")


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).type(DashboardLinkType.LINK).url(url)


def _steps(panel: Panel) -> dashboard.ThresholdsConfig:
    steps = [Threshold(value=None, color=GOOD)]
    if panel.bad_from is not None:
        steps.append(Threshold(value=panel.bad_from, color=BAD))
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _lines(panel: Panel) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(show_legend=True)
    drawing = timeseries.Panel().legend(legend).fill_opacity(10).show_points(VisibilityMode.NEVER).min(0)
    drawing.draw_style(GraphDrawStyle.LINE)
    _common(drawing, panel)
    return drawing.height(8).span(panel.width)


def _stacked(panel: Panel) -> timeseries.Panel:
    drawing = _lines(panel).fill_opacity(60)
    return drawing.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))


def _number(panel: Panel) -> stat.Panel:
    drawing = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    _common(drawing, panel)
    return drawing.height(4).span(panel.width)


def _states(panel: Panel) -> statetimeline.Panel:
    drawing = statetimeline.Panel().show_value(VisibilityMode.NEVER).merge_values(merge_values=True)
    _common(drawing, panel)
    return drawing.height(8).span(panel.width)


def _common(drawing: timeseries.Panel | stat.Panel | statetimeline.Panel, panel: Panel) -> None:
    drawing.title(panel.title).description(panel.about).unit(panel.unit).datasource(SOURCE)
    drawing.targets(list(_targets(panel))).links([*_links(panel)]).thresholds(_steps(panel))


_DRAW: Final[dict[str, Callable[[Panel], timeseries.Panel | stat.Panel | statetimeline.Panel]]] = {
    "lines": _lines,
    "stacked": _stacked,
    "number": _number,
    "states": _states,
}
