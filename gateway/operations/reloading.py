"""Read the settings anew while the process runs; where the file has faults, all of the old ones stay."""

import asyncio
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field

import asyncpg
from aiohttp import web

from gateway.api_shapes import Reloaded
from gateway.ledger import audit
from gateway.ledger.database.connections import DATABASE_AWAY
from gateway.ledger.queue import holds
from gateway.providers.port import Adapter
from gateway.settings import ProviderSettings, Settings, SettingsError, change
from gateway.telemetry.logs import log
from gateway.web.answers import Problem, json_answer

from .access import OPERATOR
from .context import CONTEXT
from .queries import reason_in


@dataclass(frozen=True, slots=True)
class Reloading:
    """What a reload needs; the settings and adapters are the ones that all other parts hold too."""

    settings: Settings
    read: Callable[[], Settings]
    pool: asyncpg.Pool
    adapters: MutableMapping[str, Adapter]
    adapter_for: Callable[[ProviderSettings], Adapter]
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, who: str, reason: str) -> Reloaded:
        """Read the settings, take what needs no restart, and say in the log, the audit and the answer what that was."""
        try:
            async with self.one_at_a_time:
                return await self._reload(who, reason)
        except DATABASE_AWAY as error:
            log("settings.faulty", error, fault="the database can't record a reload now; reload again once it can")
            raise

    async def _reload(self, who: str, reason: str) -> Reloaded:
        try:
            new, told = change(self.settings, await asyncio.to_thread(self.read))
            made = self._made(new)
        except (SettingsError, OSError) as error:
            faults = str(error).splitlines()
            for fault in faults:
                log("settings.faulty", fault=fault)
            await self._audit(who, reason, f"the old settings stay: {len(faults)} faults")
            return Reloaded([], [], faults)
        confirm_first = {name: new.locations[name].confirm_first for name in new.locations}
        await holds.confirm_first(self.pool, list(confirm_first), list(confirm_first.values()))
        changed, left = ", ".join(told.changed), ", ".join(told.needs_restart)
        await self._audit(who, reason, f"changed: {changed or 'nothing'}; needs a restart: {left or 'nothing'}")
        self.adapters.update(made)
        self.settings.take(new)
        for key in told.needs_restart:
            log("settings.needs_restart", key=key)
        log("settings.reloaded", who=who, changed=changed)
        return Reloaded(told.changed, told.needs_restart, [])

    def _made(self, new: Settings) -> dict[str, Adapter]:
        """Make the adapters of providers that have changed. Raises `SettingsError` where one can't be like this."""
        return {
            name: self.adapter_for(provider)
            for name, provider in new.providers.items()
            if provider != self.settings.providers[name]
        }

    async def _audit(self, who: str, reason: str, outcome: str) -> None:
        await audit.write(self.pool, who=who, action="reload", subject="settings", reason=reason, outcome=outcome)


async def reload_settings(request: web.Request) -> web.Response:
    """Read the settings anew for an admin."""
    who, reason = request[OPERATOR].name, reason_in(await request.read(), "a reload")
    reload = request.app[CONTEXT].reload
    if reload is None:
        raise Problem(404, "these settings come from no file; start the gateway with `gateway serve`")
    told = await reload(who, reason)
    return json_answer(told, 409 if told.faults else 200)
