"""What the dashboard is told when it starts."""

import os
from dataclasses import dataclass
from urllib.parse import quote

import streamlit as st

URL = "GATEWAY_URL"
TOKEN = "GATEWAY_DASHBOARD_TOKEN"  # noqa: S105 - the name of a variable
DEMO = "GATEWAY_DASHBOARD_DEMO"
TRACE_URL = "GATEWAY_TRACE_URL"


@dataclass(frozen=True, slots=True)
class Settings:
    """`token` signs everybody in as its owner; empty: each person signs in. `base` is the path before every page's."""

    url: str
    token: str
    is_demo: bool
    trace_url: str
    base: str

    def trace(self, trace_id: str | None) -> str | None:
        """Give the address at which a trace is shown; None where there is none."""
        return self.trace_url.replace("{trace_id}", quote(trace_id, safe="")) if self.trace_url and trace_id else None


def settings() -> Settings:
    environ = os.environ
    url = environ.get(URL, "http://127.0.0.1:8081").rstrip("/")
    base = f"/{st.get_option('server.baseUrlPath').strip('/')}".rstrip("/")
    return Settings(url, environ.get(TOKEN, ""), DEMO in environ, environ.get(TRACE_URL, ""), base)
