"""The dashboard as a web application: its pages, and the door before them."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from dashboard.media import Kept
from dashboard.person import has_logged_in, has_oidc
from dashboard.policy import Policy
from dashboard.return_to import come_back
from dashboard.settings import settings
from dashboard.sign_in import Base, Doorkeeper, has_session, sign_in, sign_out

_BASE = settings().base
_ROUTES = [Route(f"{_BASE}/sign-in", sign_in, methods=["GET", "POST"]), Route(f"{_BASE}/sign-out", sign_out)]
_HAS_DOOR = not settings().token and not has_oidc()
_HAS_PROVIDER = not settings().token and has_oidc()

app = st.App(
    str(Path(__file__).with_name("main.py")),
    routes=_ROUTES if _HAS_DOOR else [],
    middleware=[
        Middleware(Policy),
        *([Middleware(Doorkeeper), Middleware(Kept, is_known=has_session)] if _HAS_DOOR else []),
        *([Middleware(BaseHTTPMiddleware, dispatch=come_back)] if _HAS_PROVIDER else []),
        *([Middleware(Kept, is_known=has_logged_in)] if _HAS_PROVIDER else []),
        Middleware(Base),
    ],
)
