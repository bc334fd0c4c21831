"""Who looks at the page, and what they may do; the API decides both."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import streamlit as st
from starlette.requests import Request
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from dashboard.api import Api, SignedOut, client
from dashboard.sessions import COOKIE, SESSIONS
from dashboard.settings import settings
from dashboard.shapes import Me

_MAY_ACT = frozenset({"operator", "admin"})


@dataclass(frozen=True)
class Person:
    """Somebody signed in."""

    name: str
    role: str
    api: Api

    @property
    def may_act(self) -> bool:
        return self.role in _MAY_ACT

    @property
    def may_see_people(self) -> bool:
        return self.role == "admin"


def has_oidc() -> bool:
    """Tell whether an identity provider is configured for `st.login`."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def find() -> Person:
    """Find who it is. Raises `SignedOut` for a stranger."""
    token = _token()
    if not token:
        raise SignedOut("you are not signed in")
    api = Api(_connections(settings().url), token)
    me = _me(api, token)
    return Person(me.name, me.role, api)


def here() -> Person:
    """Give the person whom `main` has found for this page."""
    person: Person = st.session_state["person"]
    return person


def _token() -> str | None:
    if settings().token:
        return settings().token
    if has_oidc():
        return _token_of_login(st.user)
    return SESSIONS.token(st.context.cookies.get(COOKIE))


def has_logged_in(request: Request) -> bool:
    """Tell whether the identity provider knows this browser's person, and we do too."""
    try:
        return _token_of_login(_user_of(request.cookies)) is not None
    except SignedOut:
        return False


def _user_of(cookies: Mapping[str, str]) -> Mapping[str, Any]:
    """Read what Streamlit's own cookie says of a person: outside of a page there is no `st.user`."""

    def one(name: str) -> bytes | None:
        return decode_signed_value(get_cookie_secret(), name, cookies.get(name, ""))

    found = get_cookie_with_chunks(one, USER_COOKIE_NAME)
    user: Mapping[str, Any] = json.loads(found) if found else {}
    return user


def _token_of_login(user: Mapping[str, Any]) -> str | None:
    if not user.get("is_logged_in"):
        return None
    email = str(user.get("email") or "")
    if not user.get("email_verified", True) or email not in st.secrets.get("tokens", {}):
        raise SignedOut(f"{email} has no token here; whoever runs the dashboard adds it under [tokens] in its secrets")
    return str(st.secrets["tokens"][email])


@st.cache_resource
def _connections(url: str) -> httpx.Client:
    return client(url)


@st.cache_data(ttl=15, show_spinner=False, max_entries=1000)
def _me(_api: Api, token: str) -> Me:  # noqa: ARG001 - the key of the cache
    return _api.me()
