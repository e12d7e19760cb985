"""The ledger of requirements names tests that exist, and every certification case."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LEDGER = TESTS.parent / "docs" / "requirements.md"
ROW = re.compile(r"^\| (?P<number>TC_\w+|\d[\d.]*) \| (?P<rest>.+) \|$")
TICKED = re.compile(r"`([^`]+)`")
WITHOUT_TEST = ("not applicable: ", "open: ", "see ")


@cache
def functions(module: Path) -> frozenset[str]:
    """Return the names of a module's tests."""
    return frozenset(
        node.name
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def rows() -> list[tuple[str, str]]:
    """Return number and proof of every row."""
    found = [ROW.match(line) for line in LEDGER.read_text().splitlines()]
    return [(row["number"], row["rest"].rpartition(" | ")[2]) for row in found if row]


def proofs(cell: str) -> list[tuple[str, str]]:
    """Return the tests that a proof names: module and function."""
    found, module = [], ""
    for text in TICKED.findall(cell):
        if text.endswith(".py"):
            module = text
        elif text.startswith("test_"):
            found.append((module, text))
    return found


def test_the_ledger_is_read() -> None:
    numbers = [number for number, _ in rows()]
    assert len(numbers) > 200
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(("number", "cell"), rows(), ids=lambda value: value[:12])
def test_a_row_names_tests_that_exist_or_says_why_not(number: str, cell: str) -> None:
    named = proofs(cell)
    missing = [
        f"{module}::{name}"
        for module, name in named
        if not (TESTS / module).is_file() or name not in functions(TESTS / module)
    ]
    assert missing == []
    assert named or cell.startswith(WITHOUT_TEST), f"{number} has neither test nor reason"


def test_every_certification_case_is_in_the_ledger() -> None:
    named = {proof for _, cell in rows() for proof in proofs(cell)}
    cases = [
        (str(module.relative_to(TESTS)), name)
        for module in sorted((TESTS / "conformance").rglob("test_*.py"))
        for name in sorted(functions(module))
    ]
    assert [case for case in cases if case not in named] == []
