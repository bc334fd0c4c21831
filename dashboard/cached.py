"""What all share who may see the same: each answer is asked for once in a few seconds, whoever looks at it."""

from collections.abc import Callable

import streamlit as st

from dashboard import shapes
from dashboard.person import Person, here

_FRESH = 2
_SLOW = 15
_BY_ROLE: dict[str | type[object], Callable[[Person], str]] = {Person: lambda who: who.role}
"""All of one role share an answer: from viewers the API hides what it tells operators."""


def summary() -> shapes.Summary:
    return _summary(here())


def failures() -> list[shapes.FailureCause]:
    return _failures(here())


def trends() -> shapes.Trends:
    return _trends(here())


def locations() -> list[shapes.LocationStory]:
    return _locations(here())


def destinations() -> list[shapes.DestinationStory]:
    return _destinations(here())


def requests(**filters: str) -> shapes.RequestPage:
    return _requests(here(), tuple(sorted(filters.items())))


def request(request_id: str) -> shapes.RequestStory:
    return _request(here(), request_id)


def quarantine(after: str = "") -> shapes.QuarantinePage:
    return _quarantine(here(), after)


def mappings() -> shapes.MappingList:
    return _mappings(here())


def audit(**filters: str) -> shapes.AuditPage:
    return _audit(here(), tuple(sorted(filters.items())))


def acts() -> shapes.ActList:
    """Tell what may be done; only another version of the gateway has another list."""
    return _acts(here())


def labels() -> dict[str, str]:
    """Tell what the button of each act is called."""
    return {each.action: each.label for each in acts().acts}


def zone(location: str) -> str:
    """Tell the time zone of a DC; one that the settings have dropped is shown in UTC."""
    return next((each.time_zone for each in locations() if each.id == location), "UTC")


def forget() -> None:
    """Ask anew: something was done."""
    for each in (_summary, _failures, _locations, _destinations, _requests, _request, _quarantine, _mappings, _audit):
        each.clear()


@st.cache_data(ttl=_FRESH, show_spinner=False, hash_funcs=_BY_ROLE)
def _summary(who: Person) -> shapes.Summary:
    return who.api.summary()


@st.cache_data(ttl=_FRESH, show_spinner=False, hash_funcs=_BY_ROLE)
def _mappings(who: Person) -> shapes.MappingList:
    return who.api.mappings()


@st.cache_data(ttl=_FRESH, show_spinner=False, hash_funcs=_BY_ROLE)
def _failures(who: Person) -> list[shapes.FailureCause]:
    return who.api.failures()


@st.cache_data(ttl=_SLOW, show_spinner=False, hash_funcs=_BY_ROLE)
def _trends(who: Person) -> shapes.Trends:
    return who.api.trends()


@st.cache_data(ttl=_SLOW, show_spinner=False, hash_funcs=_BY_ROLE)
def _locations(who: Person) -> list[shapes.LocationStory]:
    return who.api.locations()


@st.cache_data(ttl=_SLOW, show_spinner=False, hash_funcs=_BY_ROLE)
def _acts(who: Person) -> shapes.ActList:
    return who.api.acts()


@st.cache_data(ttl=_FRESH, show_spinner=False, hash_funcs=_BY_ROLE)
def _destinations(who: Person) -> list[shapes.DestinationStory]:
    return who.api.destinations()


@st.cache_data(ttl=_FRESH, show_spinner=False, hash_funcs=_BY_ROLE, max_entries=500)
def _requests(who: Person, filters: tuple[tuple[str, str], ...]) -> shapes.RequestPage:
    return who.api.requests(dict(filters))


@st.cache_data(ttl=_FRESH, show_spinner=False, hash_funcs=_BY_ROLE, max_entries=500)
def _request(who: Person, request_id: str) -> shapes.RequestStory:
    return who.api.request(request_id)


@st.cache_data(ttl=_FRESH, show_spinner=False, hash_funcs=_BY_ROLE, max_entries=100)
def _quarantine(who: Person, after: str) -> shapes.QuarantinePage:
    return who.api.quarantine(after)


@st.cache_data(ttl=_FRESH, show_spinner=False, hash_funcs=_BY_ROLE, max_entries=100)
def _audit(who: Person, filters: tuple[tuple[str, str], ...]) -> shapes.AuditPage:
    return who.api.audit(dict(filters))
