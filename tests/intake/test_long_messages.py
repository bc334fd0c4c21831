import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from gateway.intake.hearing import Hearing
from gateway.providers.port import Adapter, Malformed, Message, Reading
from gateway.settings import ProviderSettings
from tests.served import SETTINGS

NOBODY: Any = None  # what can't be read needs no writer


class Slow(Adapter):
    """Notes where it reads."""

    threads: list[threading.Thread]

    def read(self, message: Message) -> Sequence[Reading]:
        self.threads.append(threading.current_thread())
        raise Malformed("$", "is nothing")


@pytest.mark.parametrize(("size", "beside"), [(65_535, False), (65_536, True)])
async def test_a_long_message_is_read_beside_all_else(pool: asyncpg.Pool, *, size: int, beside: bool) -> None:
    adapter = Slow(ProviderSettings("acme", "slow"), NOBODY)
    adapter.threads = []
    await Hearing(SETTINGS, pool, NOBODY, {"acme": adapter}, NOBODY).hear(
        "acme", Message(b"x" * size, datetime.now(UTC))
    )
    [thread] = adapter.threads
    assert (thread is not threading.main_thread()) is beside
