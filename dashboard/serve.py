"""The dashboard as a web application: its pages, and the door before them."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from dashboard.asked import come_back
from dashboard.door import Base, Doorkeeper, sign_in, sign_out
from dashboard.person import has_oidc
from dashboard.settings import settings

_ROUTES = [Route("/sign-in", sign_in, methods=["GET", "POST"]), Route("/sign-out", sign_out)]
_HAS_DOOR = not settings().token and not has_oidc()
_HAS_PROVIDER = not settings().token and has_oidc()

app = st.App(
    str(Path(__file__).with_name("main.py")),
    routes=_ROUTES if _HAS_DOOR else [],
    middleware=[
        *([Middleware(Doorkeeper)] if _HAS_DOOR else []),
        *([Middleware(BaseHTTPMiddleware, dispatch=come_back)] if _HAS_PROVIDER else []),
        Middleware(Base),
    ],
)
