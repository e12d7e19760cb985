"""Installers: slots that flip atomically, and a program of the manufacturer's."""

import subprocess
from pathlib import Path

import pytest

from agent.firmware.__main__ import result
from agent.firmware.installer import InstallerError, Slots
from agent.firmware.task import Broken, Deed, Well
from tests.firmware.bundles import Station, bundle
from tests.firmware.pki import ec_key, leaf, signed_text

CONFIRM = Path(__file__).parents[2] / "systemd" / "pilotwire-confirm"


@pytest.fixture
def station(tmp_path):
    found = Station(tmp_path)
    found.image.write_bytes(bundle())
    return found


def do(station, *deeds):
    for deed in deeds:
        said = result(station.task(deed))
        assert isinstance(said, Well), said
    return said


def status(station):
    return do(station, Deed.STATUS)


def starts(station, count=1):
    """Let systemd run what it runs before every start of the agent."""
    for _ in range(count):
        subprocess.run([CONFIRM, station.slots], check=True, capture_output=True)


def test_an_image_is_installed_beside_the_one_that_runs(station):
    assert do(station, Deed.INSTALL).slot == "b"
    assert station.current == "a"
    assert status(station) == Well("a")
    assert (station.slots / "slots/b/bin/pilotwire").read_text().endswith("new\n")


def test_the_new_one_runs_on_trial_and_is_kept(station):
    do(station, Deed.INSTALL, Deed.ACTIVATE)
    starts(station)
    assert status(station) == Well("b", version="1.5.0")
    do(station, Deed.CONFIRM)
    starts(station, 10)
    assert station.current == "b"


def test_the_new_one_does_not_prove_itself_and_the_old_one_runs_again(station):
    do(station, Deed.INSTALL, Deed.ACTIVATE, Deed.ROLL_BACK)
    assert status(station) == Well("a", has_failed=True)
    do(station, Deed.INSTALL)
    assert status(station) == Well("a")


def test_the_new_one_does_not_even_start_and_the_old_one_runs_again(station):
    do(station, Deed.INSTALL, Deed.ACTIVATE)
    starts(station, 3)
    assert station.current == "b"
    starts(station)
    assert status(station) == Well("a", has_failed=True)
    starts(station, 5)
    assert station.current == "a"


def test_a_count_that_cannot_be_read_means_back(station):
    do(station, Deed.INSTALL, Deed.ACTIVATE)
    (station.slots / "tries").write_text("x\n")
    starts(station)
    assert station.current == "a"


def test_without_a_trial_nothing_is_counted(station):
    starts(station, 5)
    assert station.is_untouched
    assert not (station.slots / "tries").exists()
    subprocess.run([CONFIRM, station.slots / "absent"], check=True)


def test_an_activation_that_was_done_is_done(station):
    do(station, Deed.INSTALL, Deed.ACTIVATE, Deed.ACTIVATE)
    assert station.current == "b"


def test_half_an_image_is_not_activated(station):
    (station.slots / "slots/b").mkdir()
    assert result(station.task(Deed.ACTIVATE)) == Broken("slot b holds no whole image")
    assert station.current == "a"


def test_nothing_is_rolled_back_that_is_not_on_trial(station):
    assert result(station.task(Deed.ROLL_BACK)) == Broken("no slot is on trial")


@pytest.mark.parametrize("target", ["slots/c", "elsewhere"])
def test_a_link_that_leads_elsewhere_is_no_slot(station, target):
    (station.slots / "current").unlink()
    (station.slots / "current").symlink_to(target)
    with pytest.raises(InstallerError):
        Slots(station.slots).status()
    (station.slots / "current").unlink()
    assert isinstance(result(station.task(Deed.STATUS)), Broken)


def test_a_manifest_that_cannot_be_read_names_no_version(station):
    (station.slots / "slots/a/manifest.json").write_text("{}")
    assert status(station) == Well("a")


# --- a program ----------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path):
    """A program that notes what it is called with, and reads what it is given."""
    script = tmp_path / "updater"
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$1" >>{tmp_path}/called\n'
        "case $1 in\n"
        f"  install) cat \"$2\" >{tmp_path}/written; echo working; echo 'slot two' ;;\n"
        "  status) echo 'slot one'; echo failed; echo 'version 1.4' ;;\n"
        f"  rollback) exit 3 ;;\n"
        "esac\n"
    )
    script.chmod(0o755)
    return script


def called(station, program, deed):
    content = station.image.read_bytes()
    return result(
        station.task(
            deed,
            installer="command",
            command=(str(program),),
            certificate=leaf().decode(),
            signature=signed_text(ec_key("signer"), content),
        )
    )


def test_a_program_gets_the_very_file_that_was_verified(station, program, tmp_path):
    station.image.write_bytes(b"an image of its own format")
    assert called(station, program, Deed.INSTALL) == Well("two")
    assert (tmp_path / "written").read_bytes() == b"an image of its own format"


def test_a_program_says_what_runs_and_is_told_what_to_do(station, program, tmp_path):
    assert called(station, program, Deed.STATUS) == Well("one", has_failed=True, version="1.4")
    assert called(station, program, Deed.ACTIVATE) == Well()
    assert called(station, program, Deed.CONFIRM) == Well()
    said = called(station, program, Deed.ROLL_BACK)
    assert isinstance(said, Broken)
    assert "ended with 3" in said.info
    calls = (tmp_path / "called").read_text().split()
    assert calls == ["status", "activate", "confirm", "rollback"]


def test_a_program_that_is_not_there_is_a_failure(station, tmp_path):
    assert isinstance(called(station, tmp_path / "absent", Deed.STATUS), Broken)
