"""What all commands share: exit codes, where files and the socket are, refusals, columns.

Exit codes are those of the contract, section 3. A command ends by returning one, or by
raising what `agent.cli` turns into one line on stderr and a code: `UsageError` 2,
`hal.files.FileProblems` 78, `agent.client.ClientError` 1.
"""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from agent.client import ControlClient
from hal.files import FileProblems, Problem, TomlFile, read

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
CONFIGURATION: Final = 78
"""sysexits EX_CONFIG; systemd does not restart on it (RestartPreventExitStatus)."""

DEFAULT_CONFIG: Final = Path("/etc/pilotwire/agent.toml")
DEFAULT_SOCKET: Final = Path("/run/pilotwire/control.sock")


class UsageError(Exception):
    """The command line cannot be meant like this; the text says what is allowed."""


def config_path(
    args: argparse.Namespace,
    environ: Mapping[str, str] = os.environ,
    default: Path = DEFAULT_CONFIG,
) -> Path:
    """Return the configuration file: `--config`, else PILOTWIRE_CONFIG, else the default."""
    return Path(args.config or environ.get("PILOTWIRE_CONFIG") or default)


def socket_path(
    args: argparse.Namespace,
    environ: Mapping[str, str] = os.environ,
    default: Path = DEFAULT_CONFIG,
) -> Path:
    """Return the control socket: `--socket`, else PILOTWIRE_SOCKET, else the config's.

    Who may use the socket need not be able to read the configuration: an unreadable default
    file stands for the default socket. A file that somebody has named has to be readable.

    Args:
        default: the configuration when nobody names one.

    Raises:
        FileProblems: the named configuration cannot be read, or has no path there.
    """
    named = args.socket or environ.get("PILOTWIRE_SOCKET")
    if named:
        return Path(named)
    path = config_path(args, environ, default)
    try:
        return _configured(read(path))
    except FileProblems:
        if path != default:
            raise
        return DEFAULT_SOCKET


def connected(args: argparse.Namespace) -> ControlClient:
    """Return a connection to the agent.

    Raises:
        FileProblems: as for `socket_path`.
        AgentAbsentError: nobody answers.
    """
    return ControlClient(socket_path(args))


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return the type of an option that is a whole number within bounds."""

    def converted(text: str) -> int:
        # Longer ones are out of bounds anyway, and int() refuses thousands of digits.
        is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
        number = int(text) if is_number else -1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not from {least} to {most}")
        return number

    return converted


def printable(text: str) -> str:
    """Return text that a terminal shows and never obeys: what is not printable is escaped.

    Names, reasons and frames come from the CSMS, from vehicles and from token readers.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def columns(rows: Sequence[Sequence[str]], gap: str = "  ") -> list[str]:
    """Return rows of equal length as aligned, printable lines without trailing blanks."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _configured(file: TomlFile) -> Path:
    control = file.document.get("control", {})
    socket = control.get("socket", str(DEFAULT_SOCKET)) if isinstance(control, dict) else None
    if not isinstance(socket, str):
        at = file.line_of(("control", "socket"))
        message = "control.socket must be the path of the control socket"
        raise FileProblems([Problem(str(file.path), at, message)])
    return file.path.absolute().parent / socket
