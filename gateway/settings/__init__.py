"""`gateway.toml` and the environment, read into frozen values. All faults of the file are named at once."""

from gateway.settings.changes import Change, change
from gateway.settings.description import describe, remarks
from gateway.settings.loader import load, load_provider
from gateway.settings.secret import Secret
from gateway.settings.shapes import (
    LONGEST_CALL,
    LONGEST_TIMEOUT,
    Certificates,
    Database,
    Listener,
    Location,
    NewStore,
    Operator,
    ProviderSettings,
    Settings,
    SettingsError,
    Telemetry,
)

__all__ = [
    "LONGEST_CALL",
    "LONGEST_TIMEOUT",
    "Certificates",
    "Change",
    "Database",
    "Listener",
    "Location",
    "NewStore",
    "Operator",
    "ProviderSettings",
    "Secret",
    "Settings",
    "SettingsError",
    "Telemetry",
    "change",
    "describe",
    "load",
    "load_provider",
    "remarks",
]
