import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from agent.cli import main
from tests.cli.peer import Agent


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """Here and in child processes, also where a shell has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def terminal_size(monkeypatch):
    """Help texts are wrapped and coloured for a terminal; here always for the same one."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def place(monkeypatch):
    """A directory whose path leaves room for a socket's 107 bytes; no named files around."""
    monkeypatch.delenv("PILOTWIRE_CONFIG", raising=False)
    monkeypatch.delenv("PILOTWIRE_SOCKET", raising=False)
    directory = Path(tempfile.mkdtemp(prefix="pw-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def serve(place):
    """Start peers; all of them end with the test."""
    peers = []

    def serve_(kind=Agent, *args, **options):
        peer = kind(place / "s", *args, **options)
        peers.append(peer)
        return peer

    yield serve_
    for peer in peers:
        peer.close()


@pytest.fixture
def pilotwire(place, capsys):
    """Run a command line against the peer; returns (exit code, stdout, stderr)."""

    def run(*argv):
        code = main([*argv[:1], "--socket", str(place / "s"), *argv[1:]])
        out, err = capsys.readouterr()
        return code, out, err

    return run
