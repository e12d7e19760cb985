"""Read the configuration, the board, the register maps and the credentials it names.

Reports every mistake as `file:line: what is wrong (what is allowed)`, one to a line, and
changes nothing. Exit code 0 without mistakes, 78 with any. Secrets that everybody on the
machine may read are a hint on stderr, and no mistake.
"""

import argparse
import sys
from pathlib import Path

import msgspec

from agent.commands.invocation import CONFIGURATION, DONE, config_path, printable
from agent.config import Config, check_config, load_config
from agent.factory import check_setting
from agent.runtime.clock import SystemWorld
from hal.board_file import check_board, load_board


def declare(parser: argparse.ArgumentParser, _: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--json", action="store_true", help="an array of {file, line, message} on stdout"
    )


def execute(args: argparse.Namespace) -> int:
    """Print the mistakes on stdout, and how many on stderr."""
    path = config_path(args)
    at_s = SystemWorld(boot=0).env().now.wall_s
    problems = check_config(path, check_setting, check_board, at_s)
    if args.json:
        print(msgspec.json.encode(problems).decode())
    else:
        for problem in problems:
            print(printable(str(problem)))
    if problems:
        count = _count(len({problem.file for problem in problems}), "file")
        print(f"{_count(len(problems), 'mistake')} in {count}", file=sys.stderr)
        return CONFIGURATION
    config = load_config(path, check_setting)
    for hint in _hints(config):
        print(f"hint: {printable(hint)}", file=sys.stderr)
    checked = len(_named(config))
    print(f"no mistakes in {_count(checked, 'file')}", file=sys.stderr)
    return DONE


def _named(config: Config) -> set[Path | str]:
    """Return all files that a configuration without mistakes leads to; maps by name."""
    security = config.security
    return {
        config.path,
        config.board,
        *load_board(config.board).maps,
        *_secret_files(config),
        *security.csms_roots,
        *security.manufacturer_roots,
        *security.v2g_roots,
        *security.mo_roots,
        *([security.client_certificate] if security.client_certificate else []),
    }


def _secret_files(config: Config) -> set[str]:
    """Return the files of secrets, as they are written in the configuration."""
    secrets = [profile.password for profile in config.csms] + [config.security.client_key]
    return {one.file for one in secrets if one is not None and one.file is not None}


def _hints(config: Config) -> list[str]:
    """Return what a careful person would change, although the agent works with it."""
    from agent.security.inspection import exposed  # noqa: PLC0415  # loads cryptography

    base = config.path.parent
    found = [exposed(base / name) for name in sorted(_secret_files(config))]
    return [hint for hint in found if hint is not None]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
