import json
import re
import shutil
from pathlib import Path

import pytest

from agent.cli import main
from tests.support.ca import Authority

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def installed(place):
    """A copy of the shipped configuration."""
    directory = place / "etc"
    shutil.copytree(CONFIG, directory)
    return directory / "agent.toml"


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def line_of(path, text):
    return 1 + path.read_text()[: path.read_text().index(text)].count("\n")


def test_the_shipped_configuration_has_no_mistakes(capsys):
    assert main(["check", "-c", str(CONFIG / "agent.toml")]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", "no mistakes in 3 files\n")


def test_every_mistake_has_its_own_line_and_the_sum_is_on_stderr(installed, capsys):
    edit(installed, "HeartbeatInterval = 300", "HeartbeatInterval = -300\nHartbeat = 1")
    board = installed.parent / "boards" / "sim.toml"
    edit(board, "max_a      = 32", "max_a      = 320")
    assert main(["check", "-c", str(installed)]) == 78
    out, err = capsys.readouterr()
    lines = out.splitlines()
    at = line_of(installed, "HeartbeatInterval = ")
    assert lines[0] == (
        f"{installed}:{at}: HeartbeatInterval must be a whole number (0 to 31536000), not -300"
    )
    assert lines[1].startswith(f"{installed}:{at + 1}: Hartbeat is no setting (")
    assert lines[2].startswith(f"{board}:{line_of(board, 'max_a ')}: evse[0].max_a must be")
    assert len(lines) == 3
    assert err == "3 mistakes in 2 files\n"


def test_one_mistake_is_counted_as_one(installed, capsys):
    edit(installed, "HeartbeatInterval = 300", "HeartbeatInterval = -300")
    assert main(["-c", str(installed), "check"]) == 78
    assert capsys.readouterr().err == "1 mistake in 1 file\n"


def test_json_is_an_array_of_file_line_and_message(installed, capsys):
    edit(installed, "HeartbeatInterval = 300", "HeartbeatInterval = true")
    assert main(["check", "--json", "-c", str(installed)]) == 78
    message = "HeartbeatInterval must be a whole number (0 to 31536000), not True"
    at = line_of(installed, "HeartbeatInterval = ")
    assert json.loads(capsys.readouterr().out) == [
        {"file": str(installed), "line": at, "message": message}
    ]


def test_json_without_mistakes_is_an_empty_array(installed, capsys):
    assert main(["check", "--json", "-c", str(installed)]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == ([], "no mistakes in 3 files\n")


def test_the_files_of_secrets_and_certificates_count_as_checked(installed, capsys):
    ca = Authority("root")
    serial = re.search(r'serial_number\s*=\s*"(.*)"', installed.read_text())[1]
    ca.write(installed.parent, "root")
    ca.issue(serial).write(installed.parent, "client")
    (installed.parent / "password").write_text("long-enough-password-1")
    (installed.parent / "password").chmod(0o600)
    edit(
        installed,
        'password         = { text = "bench-password-0001" }',
        'password = { file = "password" }',
    )
    edit(
        installed,
        "[security]\n",
        '[security]\ncsms_roots = ["root.pem"]\nclient_certificate = "client.pem"\n'
        'client_key = { file = "client.key" }\n',
    )
    code = main(["check", "-c", str(installed)])
    assert capsys.readouterr() == ("", "no mistakes in 7 files\n")
    assert code == 0


def test_a_configuration_that_is_not_there_is_a_mistake(place, capsys):
    assert main(["check", "-c", str(place / "agent.toml")]) == 78
    out, _ = capsys.readouterr()
    assert out.startswith(f"{place / 'agent.toml'}:1: the file cannot be read: ")


def test_the_environment_names_the_configuration_to_check(installed, capsys, monkeypatch):
    monkeypatch.setenv("PILOTWIRE_CONFIG", str(installed))
    assert main(["check"]) == 0


def test_what_a_file_contains_cannot_steer_the_terminal(installed, capsys):
    edit(installed, "HeartbeatInterval = 300", '"\\u001b[2J" = 300')
    assert main(["check", "-c", str(installed)]) == 78
    assert r"\x1b[2J is no setting" in capsys.readouterr().out


SECURITY = """[security]
csms_roots = ["root.pem"]
client_certificate = "own.pem"
client_key = { file = "own.key" }
"""


def secured(installed, root, own):
    """Let the shipped configuration name these."""
    root.write(installed.parent, "root")
    own.write(installed.parent, "own")
    edit(installed, "[security]\n", SECURITY)


def test_credentials_are_looked_into_each_with_its_line(installed, capsys):
    ca = Authority("root")
    other = ca.issue("EX-9999", begins=-20, ends=-1)
    secured(installed, Authority("old", begins=-20, ends=-1), other)
    assert main(["check", "-c", str(installed)]) == 78
    lines = capsys.readouterr().out.splitlines()
    roots, own = (line_of(installed, f"\n{name} =") + 1 for name in NAMES)
    assert len(lines) == 2
    assert lines[0].startswith(f"{installed}:{roots}: security.csms_roots[0]: ")
    assert "it expired on" in lines[0]
    assert lines[1].startswith(f"{installed}:{own}: security.client_certificate: ")
    assert "common name is not the serial number" in lines[1]


NAMES = ("csms_roots", "client_certificate")


def test_a_secret_that_everybody_may_read_is_a_hint(installed, capsys):
    secured(installed, Authority("root"), Authority("root").issue("EX-0001"))
    key = installed.parent / "own.key"
    for mode, is_hinted in ((0o600, False), (0o644, True)):
        key.chmod(mode)
        assert main(["check", "-c", str(installed)]) == 0
        told = capsys.readouterr().err
        assert (f"hint: {key} can be read by everybody (mode 644" in told) is is_hinted


def test_credentials_that_are_right_are_no_mistake(installed, capsys):
    ca = Authority("root")
    serial = re.search(r'serial_number\s*=\s*"(.*)"', installed.read_text())[1]
    secured(installed, ca, ca.issue(serial))
    assert main(["check", "-c", str(installed)]) == 0, capsys.readouterr().out


def test_another_key_is_a_mistake_of_the_certificate(installed, capsys):
    ca = Authority("root")
    serial = re.search(r'serial_number\s*=\s*"(.*)"', installed.read_text())[1]
    secured(installed, ca, ca.issue(serial))
    (installed.parent / "own.key").write_text(ca.key_pem)
    assert main(["check", "-c", str(installed)]) == 78
    assert "does not belong to the private key" in capsys.readouterr().out
