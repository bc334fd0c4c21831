"""The adapters, one module each, by the name that the settings give them."""

from . import http
from .port import Adapter

ADAPTERS: dict[str, type[Adapter]] = {"http": http.Http}
