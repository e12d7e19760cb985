"""Helper processes that misbehave."""

import asyncio
import sys

import pytest

from agent.runtime.child import ChildError, run_child


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that a helper process may run; return its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def written(text):
        (tmp_path / "helper_under_test.py").write_text(text)
        return "helper_under_test"

    return written


def run(name, limit_s=30.0, **more):
    return asyncio.run(run_child(name, {"a": 1}, dict, limit_s=limit_s, **more))


ECHO = "import sys\nprint(sys.stdin.readline().strip(), flush=True)\n"


def test_the_last_word_is_returned(module):
    assert run(module(ECHO)) == {"a": 1}


def test_progress_is_no_last_word(module):
    talks = "for i in range(3):\n    print('{\"a\": %d}' % i, flush=True)\n"
    assert run(module(talks), is_last=lambda word: word["a"] == 2) == {"a": 2}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("print('what', flush=True)", "not understood"),
        ("print('[1]', flush=True)", "not understood"),
        ("print('x' * 200_000, flush=True)", "not understood"),
        ("import sys; sys.exit(7)", "ended with 7"),
        ("import os; os.kill(os.getpid(), 9)", "ended with -9"),
    ],
)
def test_one_that_says_nothing_of_use_has_failed(module, text, why):
    with pytest.raises(ChildError, match=why):
        run(module(text))


def test_one_that_takes_too_long_is_ended(module):
    with pytest.raises(ChildError, match="not done within 1 s"):
        run(module("import threading; threading.Event().wait()"), limit_s=1.0)


def test_one_that_outlives_its_word_is_ended(module):
    assert run(module(ECHO + "import threading; threading.Event().wait()")) == {"a": 1}


def test_it_runs_with_our_interpreter(module):
    text = 'import json, sys\nprint(json.dumps({"at": sys.executable}), flush=True)\n'
    assert run(module(text)) == {"at": sys.executable}
