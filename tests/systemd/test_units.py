import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent import main

UNITS = Path(__file__).parents[2] / "systemd"
SERVICE = UNITS / "pilotwire.service"
ENDED = UNITS / "pilotwire-ended"
SYSTEM_UNITS = Path("/usr/lib/systemd/system")

THRESHOLD = 20
"""Exposure times ten that `systemd-analyze security` may find; a bare unit has 55."""


def run(tool, *arguments):
    """Run one of systemd's tools; return its status and everything it printed."""
    if shutil.which(tool) is None:
        pytest.fail(f"{tool} is missing: apt-get install systemd (it need not be running)")
    done = subprocess.run(
        [tool, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture
def image(tmp_path):
    """A root directory with the command, the system's own units and basic files."""
    root = tmp_path / "image"
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for unit in (*SYSTEM_UNITS.glob("*.target"), *SYSTEM_UNITS.glob("*.slice")):
        shutil.copy(unit, units)
    command = root / "usr/bin/pilotwire"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    (root / "usr/lib/pilotwire").mkdir()
    shutil.copy(ENDED, root / "usr/lib/pilotwire")
    (root / "etc").mkdir()
    return root


def installed(image, unit):
    shutil.copy(unit, image / "usr/lib/systemd/system/pilotwire.service")
    return image


def verified(image):
    return run("systemd-analyze", "verify", f"--root={image}", "--man=no", "pilotwire.service")


def settings():
    """Return the unit's settings; of one that is given several times, every value."""

    class Several(dict):
        def __setitem__(self, key, value):
            if isinstance(value, list) and key in self:
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    parser = configparser.RawConfigParser(dict_type=Several, strict=False)
    parser.optionxform = str
    parser.read(SERVICE)
    return {name: value.split("\n") for name, value in parser.items("Service")}


def test_systemd_has_nothing_to_say_about_the_unit(image):
    assert verified(installed(image, SERVICE)) == (0, "")


def test_a_mistake_in_the_unit_would_be_seen(image, tmp_path):
    wrong = tmp_path / "wrong.service"
    wrong.write_text(SERVICE.read_text().replace("WatchdogSec", "WatchdogSecs"))
    _, output = verified(installed(image, wrong))
    assert "WatchdogSecs" in output


def test_the_sandbox_is_tight():
    arguments = ("security", "--offline=true", f"--threshold={THRESHOLD}", str(SERVICE))
    status, output = run("systemd-analyze", *arguments)
    assert status == 0, output


def test_a_looser_sandbox_would_be_seen(tmp_path):
    loose = tmp_path / "pilotwire.service"
    text = SERVICE.read_text()
    loose.write_text(text.replace("SystemCallFilter", "# ").replace("CapabilityBound", "# "))
    arguments = ("security", "--offline=true", f"--threshold={THRESHOLD}", str(loose))
    assert run("systemd-analyze", *arguments)[0] != 0


def test_the_service_does_what_the_agent_counts_on():
    service = settings()
    assert service["Type"] == ["notify"]
    assert service["NotifyAccess"] == ["main"]
    assert service["ExecStart"] == ["/usr/bin/pilotwire run"]
    assert service["Restart"] == ["always"]
    assert service["RestartPreventExitStatus"] == ["78"]
    assert service["WatchdogSec"] == ["30"]
    assert service["StateDirectory"] == service["RuntimeDirectory"] == ["pilotwire"]
    assert service["StateDirectoryMode"] == ["0700"]
    assert service["User"] == ["pilotwire"]
    assert service["Environment"] == [f"{main.MACHINE_BOOT_VARIABLE}=%b"]
    assert service["ExecStopPost"] == ["-+/usr/lib/pilotwire/pilotwire-ended"]
    families = service["RestrictAddressFamilies"][0].split()
    assert {"AF_UNIX", "AF_INET", "AF_INET6", "AF_CAN"} == set(families)


def test_every_image_gives_the_user_the_same_number(image):
    status, output = run(
        "systemd-sysusers", f"--root={image}", str(UNITS / "pilotwire.sysusers")
    )
    assert status == 0, output
    users = (image / "etc/passwd").read_text().splitlines()
    (user,) = (line.split(":") for line in users if line.startswith("pilotwire:"))
    assert user[2:4] == ["780", "780"]
    assert user[5:7] == ["/var/lib/pilotwire", "/usr/sbin/nologin"]
    groups = (image / "etc/group").read_text().splitlines()
    assert any(line.startswith("dialout:") and line.endswith("pilotwire") for line in groups)


def created(image, text):
    """Let systemd-tmpfiles make the directories; ours, because giving them away takes root."""
    file = image / "ours.conf"
    file.write_text(re.sub(r" (root|pilotwire)\b", " -", text))
    return run("systemd-tmpfiles", f"--root={image}", "--create", str(file))


def test_the_directories_are_made_with_their_modes(image):
    assert created(image, (UNITS / "pilotwire.tmpfiles").read_text()) == (0, "")
    paths = ("etc/pilotwire", "etc/pilotwire/secrets", "var/lib/pilotwire", "run/pilotwire")
    modes = [(image / path).stat().st_mode & 0o777 for path in paths]
    assert modes == [0o755, 0o700, 0o700, 0o750]


def test_a_mistake_in_the_directories_would_be_seen(image):
    text = (UNITS / "pilotwire.tmpfiles").read_text().replace("0750", "rwx")
    assert "rwx" in created(image, text)[1]


def test_directories_have_modes_and_owners_that_keep_secrets():
    lines = (UNITS / "pilotwire.tmpfiles").read_text().splitlines()
    told = [line.split()[:5] for line in lines if line and not line.startswith("#")]
    assert told == [
        ["d", "/etc/pilotwire", "0755", "root", "root"],
        ["d", "/etc/pilotwire/secrets", "0700", "root", "root"],
        ["d", "/var/lib/pilotwire", "0700", "pilotwire", "pilotwire"],
        ["d", "/run/pilotwire", "0750", "pilotwire", "pilotwire"],
    ]


@pytest.mark.parametrize(
    ("status", "result", "trial", "does"),
    [
        (main.EXIT_MACHINE, "exit-code", None, "reboot"),
        (main.EXIT_FAILED, "exit-code", "systems", "reboot"),
        (main.EXIT_CONFIG, "exit-code", "systems", "reboot"),
        ("", "watchdog", "systems", "reboot"),
        (main.EXIT_DONE, "success", "systems", ""),
        (main.EXIT_CONFIG, "exit-code", "slots", "restart pilotwire"),
        (main.EXIT_FAILED, "exit-code", "slots", ""),
        (main.EXIT_CONFIG, "exit-code", None, ""),
        (main.EXIT_FAILED, "exit-code", None, ""),
        (main.EXIT_DONE, "success", None, ""),
    ],
)
def test_what_follows_when_the_agent_has_ended(tmp_path, status, result, trial, does):
    """A system on trial is given up by starts of the machine, a slot by starts of the agent."""
    called = tmp_path / "called"
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >>{called}\n')
    systemctl.chmod(0o755)
    (tmp_path / "slots").mkdir()
    (tmp_path / "state/firmware").mkdir(parents=True)
    places = {"systems": tmp_path / "state/firmware/trial", "slots": tmp_path / "slots/trial"}
    if trial:
        places[trial].touch()
    environ = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "STATE_DIRECTORY": str(tmp_path / "state"),
        "EXIT_STATUS": str(status),
        "SERVICE_RESULT": result,
    }
    command = [str(ENDED), str(tmp_path / "slots")]
    subprocess.run(command, env=environ, check=True, capture_output=True)
    said = called.read_text().strip() if called.exists() else ""
    assert said == (f"--no-block {does}" if does else "")
