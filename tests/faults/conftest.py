import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """Directly under the temporary folder: short enough for a socket, and open to another account."""
    with tempfile.TemporaryDirectory(prefix="gateway-test-") as folder:
        yield Path(folder)
