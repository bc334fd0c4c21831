"""What all viewers share: each answer is asked for once in a few seconds, whoever looks at it."""

import streamlit as st

from dashboard import shapes
from dashboard.api import Api
from dashboard.person import here

_FRESH = 2
_SLOW = 15


def summary() -> shapes.Summary:
    return _summary(here().api)


def failures() -> list[shapes.FailureCause]:
    return _failures(here().api)


def trends() -> shapes.Trends:
    return _trends(here().api)


def locations() -> list[shapes.Location]:
    return _locations(here().api)


def destinations() -> list[shapes.Destination]:
    return _destinations(here().api)


def requests(**filters: str) -> shapes.RequestPage:
    return _requests(here().api, tuple(sorted(filters.items())))


def request(request_id: str) -> shapes.RequestStory:
    return _request(here().api, request_id)


def quarantine(after: str = "") -> shapes.QuarantinePage:
    return _quarantine(here().api, after)


def audit(**filters: str) -> shapes.AuditPage:
    return _audit(here().api, tuple(sorted(filters.items())))


def zone(location: str) -> str:
    """Tell the time zone of a DC; one that the settings have dropped is shown in UTC."""
    return next((each.time_zone for each in locations() if each.id == location), "UTC")


def forget() -> None:
    """Ask anew: something was done."""
    for each in (_summary, _failures, _locations, _destinations, _requests, _request, _quarantine, _audit):
        each.clear()


@st.cache_data(ttl=_FRESH, show_spinner=False)
def _summary(_api: Api) -> shapes.Summary:
    return _api.summary()


@st.cache_data(ttl=_FRESH, show_spinner=False)
def _failures(_api: Api) -> list[shapes.FailureCause]:
    return _api.failures()


@st.cache_data(ttl=_SLOW, show_spinner=False)
def _trends(_api: Api) -> shapes.Trends:
    return _api.trends()


@st.cache_data(ttl=_SLOW, show_spinner=False)
def _locations(_api: Api) -> list[shapes.Location]:
    return _api.locations()


@st.cache_data(ttl=_FRESH, show_spinner=False)
def _destinations(_api: Api) -> list[shapes.Destination]:
    return _api.destinations()


@st.cache_data(ttl=_FRESH, show_spinner=False, max_entries=500)
def _requests(_api: Api, filters: tuple[tuple[str, str], ...]) -> shapes.RequestPage:
    return _api.requests(dict(filters))


@st.cache_data(ttl=_FRESH, show_spinner=False, max_entries=500)
def _request(_api: Api, request_id: str) -> shapes.RequestStory:
    return _api.request(request_id)


@st.cache_data(ttl=_FRESH, show_spinner=False, max_entries=100)
def _quarantine(_api: Api, after: str) -> shapes.QuarantinePage:
    return _api.quarantine(after)


@st.cache_data(ttl=_FRESH, show_spinner=False, max_entries=100)
def _audit(_api: Api, filters: tuple[tuple[str, str], ...]) -> shapes.AuditPage:
    return _api.audit(dict(filters))
