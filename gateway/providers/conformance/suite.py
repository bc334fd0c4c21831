"""The suite: every case against an adapter, and what came of each."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.providers.port import Adapter
from gateway.providers.registry import Registry, beside

from . import calls, messages, reading
from .setting_up import adapter_of, settings_of
from .stand import Failed, NotApplicable, Stand
from .target import Target

Case = Callable[[Stand], Awaitable[None]]
CASES: dict[str, Case] = {
    each.__name__.replace("_", " "): each for each in (*calls.CASES, *messages.CASES, *reading.CASES)
}
"""What is promised -> what tries it."""
_SECONDS = 20.0  # for one case


class Result(StrEnum):
    """What came of a case."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case, what came of it, and why where it did not pass."""

    case: str
    result: Result
    why: str = ""


async def attempt(adapter: type[Adapter], target: type[Target], case: str) -> Outcome:
    """Try one case, on an adapter and a provider that nothing was tried on before."""
    try:
        async with asyncio.timeout(_SECONDS), AsyncExitStack() as stack:
            there = target()
            there.folder = stack.enter_context(TemporaryDirectory())
            stack.push_async_callback(there.stop)
            await there.start()
            await CASES[case](Stand(await stack.enter_async_context(adapter_of(adapter, there)), there))
    except NotApplicable as told:
        return Outcome(case, Result.NOT_APPLICABLE, str(told))
    except Failed as told:
        return Outcome(case, Result.FAILED, str(told))
    except TimeoutError:
        return Outcome(case, Result.FAILED, f"it did not end within {_SECONDS:g} s")
    except Exception as error:  # noqa: BLE001 - a stranger's code: whatever it raises is a case that failed
        return Outcome(case, Result.FAILED, f"{type(error).__name__}: {error} ({_place(error)})")
    return Outcome(case, Result.PASSED)


def pair(name: str, folder: Path, chosen: str = "TARGET") -> tuple[type[Adapter], type[Target]]:
    """Find an adapter by its name, a file from this folder, and the target in the module beside it.

    That one is called as the adapter's, with `_target` behind it; of several targets in it one is chosen. Raises
    `NoAdapter`.
    """
    adapter = Registry(folder).find(name)
    return adapter, beside(adapter, Target, "_target", chosen)


async def conform(adapter: type[Adapter], target: type[Target], cases: Iterable[str] = CASES) -> list[Outcome]:
    """Try every case. Raises `Unfit` where the target's settings are none of the adapter's."""
    with TemporaryDirectory() as folder:
        there = target()
        there.folder = folder
        settings_of(adapter, there)
    return [await attempt(adapter, target, case) for case in cases]


def _place(error: BaseException) -> str:
    """Say where in the code it was raised."""
    at, traceback = "", error.__traceback__
    while traceback is not None:
        at = f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return at
