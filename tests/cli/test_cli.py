import argparse
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent import __version__
from agent.cli import COMMANDS, main
from agent.commands.invocation import (
    DEFAULT_CONFIG,
    DEFAULT_SOCKET,
    UsageError,
    columns,
    config_path,
    printable,
    socket_path,
)
from hal.files import FileProblems
from tests.cli.peer import Agent, Script

ROOT = Path(__file__).parents[2]


def named(config=None, socket=None):
    return argparse.Namespace(config=config, socket=socket)


def process(*argv, **options):
    command = [sys.executable, "-m", "agent", *argv]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **options
    )


# Help and usage


def test_help_names_every_command_every_exit_code_and_the_global_options(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, meaning in COMMANDS.items():
        assert f"  {name} " in text
        assert meaning in text
    for wanted in ("  78  the configuration is wrong", "PILOTWIRE_CONFIG", "PILOTWIRE_SOCKET"):
        assert wanted in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: pilotwire {name} [-h] [-c FILE] [--socket PATH]")
    explanation = text.split("\n\n")[1]
    assert len(explanation.split()) >= 4
    assert explanation.rstrip().endswith(".")


ACTIONS = {
    "settings": ["list", "get", "set"],
    "sim": ["plug", "unplug", "ready", "token", "fault", "clear", "set", "bus", "board"],
}


@pytest.mark.parametrize(
    ("name", "action"), [(name, one) for name, all_ in ACTIONS.items() for one in all_]
)
def test_every_subcommand_explains_itself_and_its_arguments(name, action, capsys):
    assert main([name, action, "-h"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: pilotwire {name} {action} [-h] [-c FILE] [--socket PATH]")
    assert len(text.split("\n\n")[1].split()) >= 2
    for line in text.splitlines():
        if line.startswith("  ") and not line.startswith("   "):
            assert len(line.split()) > 1 or "FILE" in line


def test_the_version_is_the_package_s(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pilotwire {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "required: COMMAND\n"),
        (["stauts"], "invalid choice: 'stauts' (choose from"),
        (["status", "--jsn"], "unrecognized arguments: --jsn"),
        (["status", "--js"], "unrecognized arguments: --js"),
        (["settings"], "required: ACTION"),
        (["settings", "get"], "required: NAME"),
        (["call"], "required: METHOD"),
        (["-c"], "expected one argument"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong_and_has_code_2(argv, said, capsys):
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "usage: pilotwire" in err


# Options that every command knows


@pytest.mark.parametrize(
    "argv",
    [
        ["--socket", "S", "call", "status"],
        ["call", "--socket", "S", "status"],
        ["call", "status", "--socket", "S"],
        ["--socket", "/nonexistent", "call", "--socket=S", "status"],
        ["--socket", "S", "-c", "/nonexistent", "call", "status"],
        ["settings", "--socket", "S", "get", "x"],
        ["settings", "get", "--socket", "S", "x"],
        ["--socket", "S", "settings", "get", "x"],
    ],
)
def test_global_options_stand_before_or_after_a_command(serve, capsys, argv):
    setting = {"name": "C.V", "key": None, "value": "1", "type": "integer", "unit": None,
               "access": "ReadWrite", "minimum": 0, "maximum": 1, "members": [], "origin": "local"}  # fmt: skip
    peer = serve(Agent, {"status": 1, "settings.get": setting})
    assert main([one.replace("S", str(peer.path)) for one in argv]) == 0
    assert len(peer.requests) == 1


def test_the_configuration_is_the_option_else_the_environment_else_the_default():
    environ = {"PILOTWIRE_CONFIG": "/b"}
    assert config_path(named("/a"), environ) == Path("/a")
    assert config_path(named(), environ) == Path("/b")
    assert config_path(named(), {}) == DEFAULT_CONFIG == Path("/etc/pilotwire/agent.toml")


def test_the_socket_is_the_option_else_the_environment_else_the_configuration_s(place):
    config = place / "agent.toml"
    config.write_text('[control]\nsocket = "run/s"\n')
    environ = {"PILOTWIRE_SOCKET": "/b", "PILOTWIRE_CONFIG": str(config)}
    assert socket_path(named(socket="/a"), environ) == Path("/a")
    assert socket_path(named(str(config)), environ) == Path("/b")
    del environ["PILOTWIRE_SOCKET"]
    assert socket_path(named(), environ) == place / "run" / "s"
    assert socket_path(named(str(config)), {}) == place / "run" / "s"


@pytest.mark.parametrize("text", ["", "[control]\n", "[station]\nidentity = 7\n"])
def test_a_configuration_without_a_socket_means_the_default_one(place, text):
    config = place / "agent.toml"
    config.write_text(text)
    assert socket_path(named(str(config)), {}) == DEFAULT_SOCKET


def test_a_default_configuration_that_cannot_be_read_means_the_default_socket(place):
    default = place / "agent.toml"
    assert (
        socket_path(named(), {}, default)
        == Path("/run/pilotwire/control.sock")
        == DEFAULT_SOCKET
    )
    assert socket_path(named(str(default)), {}, default) == DEFAULT_SOCKET


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[control]\nsocket = 7\n", ":2: control.socket must be the path"),
        ("\ncontrol = 7\n", ":2: control.socket must be the path"),
        ("[control\n", ":1: the file is not valid TOML"),
    ],
)
def test_a_named_configuration_with_a_useless_socket_has_code_78(place, capsys, text, said):
    config = place / "agent.toml"
    config.write_text(text)
    with pytest.raises(FileProblems):
        socket_path(named(str(config)), {})
    assert main(["-c", str(config), "status"]) == 78
    assert f"{config}{said}" in capsys.readouterr().err


# How commands end


def test_without_an_agent_the_code_is_1_and_the_reason_is_on_stderr(place, capsys):
    assert main(["status", "--socket", str(place / "s")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"no agent answers at {place / 's'}: is pilotwire running? (systemctl status pilotwire)\n"
    )


def test_an_agent_that_hangs_up_is_a_failure(serve, pilotwire):
    serve(Script, b"")
    code, out, err = pilotwire("status")
    assert (code, out) == (1, "")
    assert err.endswith("has hung up\n")


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["nonsense"], 2),
        (["status", "--socket", "/nonexistent/s"], 1),
        (["check", "-c", "/nonexistent/agent.toml"], 78),
        (["sim", "board"], 0),
    ],
)
def test_the_process_ends_with_the_code_of_the_command(argv, code):
    assert process(*argv).returncode == code


def test_ctrl_c_while_an_answer_is_awaited_is_a_failure(serve, pilotwire):
    serve(Agent, {"status": lambda _: os.kill(os.getpid(), signal.SIGINT)})
    assert pilotwire("call", "status") == (1, "", "interrupted\n")


def test_a_pipe_that_nobody_reads_is_no_failure(serve):
    peer = serve(Agent, {"status": 1})
    near, far = os.pipe()
    os.close(near)
    with os.fdopen(far, "w") as pipe, contextlib.redirect_stdout(pipe):
        assert main(["call", "status", "--socket", str(peer.path)]) == 0


def test_a_reader_that_leaves_early_is_no_failure(serve):
    peer = serve(Agent, {"status": "x" * 900_000})
    command = f"{sys.executable} -m agent --socket {peer.path} call status"
    line = f"({command}; echo code $? >&2) | head -c 1"
    ended = subprocess.run(
        ["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.stdout, ended.stderr) == ('"', "code 0\n")


def test_commands_import_only_what_they_need():
    code = (
        "import sys; from agent.cli import main; main(sys.argv[1:]); "
        "print(*(m for m in ('asyncio', 'websockets', 'pymodbus', 'agent.config') if m in sys.modules))"
    )
    command = [sys.executable, "-c", code, "status", "--socket", "/nonexistent/s"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []


# Text


def test_text_from_elsewhere_cannot_steer_the_terminal():
    assert printable("Straße 5 A") == "Straße 5 A"
    assert printable("a\x1b[2Jb\x9b\r\n\u202e") == r"a\x1b[2Jb\x9b\r\n\u202e"


def test_columns_are_as_wide_as_their_widest_cell():
    assert columns([("a", "bb", ""), ("ccc", "\t", "d")]) == ["a    bb", r"ccc  \t  d"]


def test_a_usage_error_is_an_exception_of_its_own():
    assert not issubclass(UsageError, FileProblems)
