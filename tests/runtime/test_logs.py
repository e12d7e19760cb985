import logging
import subprocess
import sys
from contextlib import contextmanager

import pytest

from agent.runtime.logs import LEVELS, set_up

LINES = """
import logging
from agent.runtime import logs
logs.set_up({level})
logs.set_up("error")
logger = logging.getLogger("agent.test")
for name in logs.LEVELS:
    getattr(logger, name)(name)
logging.getLogger("asyncio").info("of a library")
"""


def logged(level=None, **environ):
    """Return what a process of its own logs to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", LINES.format(level=repr(level))],
        env={"PATH": "", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


@contextmanager
def fresh_root():
    """The root logger without its handlers, which pytest wants back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def test_lines_have_time_level_and_origin_and_libraries_keep_quiet():
    lines = logged()
    assert len(lines) == 3
    assert [line.split()[2:] for line in lines] == [
        ["INFO", "agent.test:", "info"],
        ["WARNING", "agent.test:", "warning"],
        ["ERROR", "agent.test:", "error"],
    ]


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_comes_from_the_environment_or_from_who_starts_it(level):
    expected = len(LEVELS) - LEVELS.index(level)
    assert len(logged(PILOTWIRE_LOG=level.upper())) == expected
    assert len(logged(level, PILOTWIRE_LOG="error")) == expected


def test_a_level_that_does_not_exist_is_told_with_those_that_do():
    lines = logged(PILOTWIRE_LOG="loud")
    assert lines[0].endswith("PILOTWIRE_LOG=loud: allowed are debug, info, warning, error")
    assert len(lines) == 4


def test_a_logger_that_is_set_up_is_left_alone():
    with fresh_root() as root:
        set_up("debug", {})
        (handler,) = root.handlers
        assert root.level == logging.DEBUG
        set_up("error", {})
        assert root.handlers == [handler]
        assert root.level == logging.DEBUG


def test_without_anybody_saying_so_it_is_info():
    with fresh_root() as root:
        set_up(environ={})
        assert root.level == logging.INFO


def test_a_wrong_level_is_info_too(capsys):
    with fresh_root() as root:
        set_up(environ={"PILOTWIRE_LOG": "loud"})
        assert root.level == logging.INFO
    assert "allowed are" in capsys.readouterr().err
