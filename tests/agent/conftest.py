import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.processes import end_processes


@pytest.fixture
def place():
    """A directory whose path leaves room for a socket's 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="pw-", dir="/tmp"))
    yield directory
    end_processes(directory)
    shutil.rmtree(directory)
