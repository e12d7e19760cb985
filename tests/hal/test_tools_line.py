"""Why a line of the bring-up tools cannot be opened, in words that help."""

import asyncio
import fcntl
import os
import socket
from pathlib import Path

import pytest

from hal.tools import line
from hal.tools.line import Line


def why(where: Line) -> str:
    return asyncio.run(where.why())


@pytest.fixture
def terminal():
    ours, theirs = os.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_line_that_can_be_opened_has_no_reason(terminal):
    assert why(Line(path=terminal)) == ""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert why(Line(host="127.0.0.1", port=listener.getsockname()[1])) == ""


def test_a_path_leads_nowhere_or_to_no_line(tmp_path):
    assert why(Line(path=str(tmp_path / "usb"))) == "No such file or directory"
    (tmp_path / "file").touch()
    assert why(Line(path=str(tmp_path / "file"))) == "this is no serial line"


def test_a_line_has_one_owner(terminal):
    with Path(terminal).open("rb", buffering=0) as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        assert why(Line(path=terminal)) == "another process has it; does the agent run?"
    assert why(Line(path=terminal)) == ""


def test_a_user_outside_the_group_is_told_which(terminal, monkeypatch):
    def refused(*_):
        raise PermissionError

    monkeypatch.setattr("os.open", refused)
    assert "is it in the group dialout?" in why(Line(path=terminal))


def test_a_peer_refuses_has_no_name_or_says_nothing(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(line, "PATIENCE_S", 0.0)
        assert why(Line(host="127.0.0.1", port=port)) == "no answer within 0 s"
    monkeypatch.undo()
    assert why(Line(host="127.0.0.1", port=port)) == "Connection refused"
    assert why(Line(host="a" * 70, port=port)) == "this is no name of a host"
