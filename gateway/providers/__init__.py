"""The adapters, one module each, by the name that the settings give them."""

from . import files, http
from .port import Adapter

ADAPTERS: dict[str, type[Adapter]] = {"http": http.Http, "files": files.Files}
