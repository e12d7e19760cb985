"""`pilotwire replay`: the same again, and where it is not."""

import msgspec
import pytest

from agent.cli import main
from agent.core.events import SettingsWriteRequested
from agent.store import trace
from tests.runtime.test_recorder import lived


@pytest.fixture
def recording(tmp_path):
    async def story(rig, _):
        await rig.charging()
        items = (("SecurityCtrlr.BasicAuthPassword", "correct horse battery"),)
        rig.post(SettingsWriteRequested(7, items))

    lived(tmp_path, story)
    return tmp_path / "trace.0"


def changed(recording, change):
    """Exchange the entries of a recording."""
    entries = list(trace.entries(recording.read_bytes()))
    recording.write_bytes(trace.packed([change(entry) for entry in entries]))


def test_a_trace_that_comes_out_the_same_is_fine(recording, capsys):
    assert main(["replay", str(recording)]) == 0
    assert main(["replay", str(recording.parent)]) == 0
    out = capsys.readouterr().out
    assert "turns, no differences" in out
    assert out.count("\n") == 2


def test_a_difference_is_shown_with_what_was_told_then_and_now(recording, capsys):
    def otherwise(entry):
        if isinstance(entry, trace.Turn) and "Report" in entry.told:
            return msgspec.structs.replace(entry, told=("Note",), digest=b"otherwise")
        return entry

    changed(recording, otherwise)
    assert main(["replay", str(recording)]) == 1
    out = capsys.readouterr().out
    assert "told then: Note" in out
    assert "Report" in out.partition("told now:  ")[2]
    assert "no differences" not in out


def test_the_same_kinds_with_other_contents_are_a_difference_too(recording, capsys):
    def otherwise(entry):
        if isinstance(entry, trace.Turn) and "Report" in entry.told:
            return msgspec.structs.replace(entry, digest=b"otherwise")
        return entry

    changed(recording, otherwise)
    assert main(["replay", str(recording)]) == 1
    assert "told: " in capsys.readouterr().out


def test_every_event_can_be_shown_without_its_secrets(recording, capsys):
    assert main(["replay", str(recording), "--show"]) == 0
    out = capsys.readouterr().out
    assert "TokenPresented" in out
    assert "SettingsWriteRequested" in out
    assert "correct horse battery" not in out
    assert b"correct horse battery" not in recording.read_bytes()  # it is packed


@pytest.mark.parametrize("content", [b"hello", None], ids=["no trace", "no file"])
def test_what_cannot_be_replayed_is_named(tmp_path, capsys, content):
    path = tmp_path / "trace.0"
    if content is not None:
        path.write_bytes(content)
    assert main(["replay", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_directory_without_a_trace_is_named(tmp_path, capsys):
    assert main(["replay", str(tmp_path)]) == 2
    assert "there is no trace.0 or trace.1" in capsys.readouterr().err
