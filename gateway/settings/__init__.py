"""`gateway.toml` and the environment, read once into frozen values. All faults of the file are named at once."""

from gateway.settings.description import describe
from gateway.settings.loader import load
from gateway.settings.secret import Secret
from gateway.settings.shapes import (
    ADAPTERS,
    READ_BACK_OPERATIONS,
    Database,
    Listener,
    Location,
    NewStore,
    Operator,
    Provider,
    ProviderCancelPolicy,
    Role,
    Settings,
    SettingsError,
    Telemetry,
)

__all__ = [
    "ADAPTERS",
    "READ_BACK_OPERATIONS",
    "Database",
    "Listener",
    "Location",
    "NewStore",
    "Operator",
    "Provider",
    "ProviderCancelPolicy",
    "Role",
    "Secret",
    "Settings",
    "SettingsError",
    "Telemetry",
    "describe",
    "load",
]
