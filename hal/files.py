"""Typed TOML files: one call loads a file, or says every mistake in it with its line.

    file = load(path, BoardFile)          # FileProblems: syntax, keys, types, ranges
    if file.value.max_a > cable_a:
        file.problem(("max_a",), f"max_a is at most {cable_a}, the cable's rating")
    file.check()                          # FileProblems: the mistakes noted above

`read` and `TomlFile.part` do the same table by table, for files in which a mistake in one
table shall not hide the cross-checks of another.

`tomllib` gives values without positions, so `_Lines` reads the text a second time and
notes where every key, table and array member stands. It runs only when a line is asked
for, and only over text that `tomllib` has accepted: it never has to judge anything.

A path that the file does not contain (a missing key) has the line of the nearest table
around it. TOML has `nan` and `inf`; a float that must be finite needs bounds in its type.
"""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from hal import schema
from hal.errors import HalError
from hal.types import Value

T = TypeVar("T")

MAX_FILE_BYTES = 1 << 20
"""Largest file that is read: a hundred times the largest honest configuration."""

_STRING = (  # possessive: a string is read once, however long it is
    r'"""(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']++|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\]++|\\.)*+"'
    r"|'[^']*+'"
)
_GAP = re.compile(r"(?:\s++|#[^\n]*+)*+")
_KEY = re.compile(rf"(?P<name>{_STRING}|[A-Za-z0-9_-]+)[ \t]*(?P<dot>\.?)[ \t]*", re.DOTALL)
_SCALAR = re.compile(rf"{_STRING}|[^,\]}}#\n]+", re.DOTALL)
_POSITION = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


class Problem(Value, frozen=True):
    """One mistake in a file, with the line to look at (from 1)."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class FileProblems(HalError):  # noqa: N818 - it carries several errors, and is named after them
    """A file cannot be used; `problems` holds every mistake, in the order of lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda one: (one.file, one.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TomlFile:
    """A parsed file, the lines of everything in it, and the mistakes found so far.

    Attributes:
        path: as it was given to `read` or `load`.
        text: the content.
        document: what `tomllib` made of the text.
    """

    def __init__(self, path: Path, text: str, document: dict[str, Any]) -> None:
        self.path = path
        self.document = document
        self.text = text
        # A dict for its keys: ordered, and each mistake once.
        self._problems: dict[Problem, None] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return the mistakes noted so far, as they were noted."""
        return tuple(self._problems)

    def line_of(self, path: schema.Path) -> int:
        """Return the line (from 1) of a key, a table or an array member.

        Args:
            path: names as written and array indices, e.g. `("csms", 0, "url")`. What is
                not in the file has the line of what is nearest around it.
        """
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def part(self, path: schema.Path, type_: type[T]) -> T | None:
        """Return one part of the document as a value, or note why it does not fit.

        With parts, a mistake in one table does not hide those that only a look at the
        values of another one can find.

        Args:
            path: where the part is; `()` for all. What is not there is read as an empty
                table; what is above it has to be tables and arrays.
            type_: keys that it does not have are mistakes.

        Returns:
            None when at least one mistake was noted.
        """
        value: Any = self.document
        for step in path:
            value = value[step] if isinstance(step, int) else value.get(step, {})
        is_fit = True
        for violation in schema.violations(value, type_, forbid_unknown=True):
            is_fit = False
            where = (*path, *violation.path)
            self.problem(where, _sentence(where, violation.message))
        return msgspec.convert(value, type_) if is_fit else None

    def problem(self, path: schema.Path, message: str) -> Problem:
        """Note a mistake that a type cannot express, for `check`, and return it.

        Args:
            path: what is wrong, as for `line_of`.
            message: a whole sentence that says what is wrong and what is allowed.
        """
        problem = Problem(str(self.path), self.line_of(path), message)
        self._problems[problem] = None
        return problem

    def check(self) -> None:
        """Pass when no mistake has been noted.

        Raises:
            FileProblems: every mistake noted so far.
        """
        if self._problems:
            raise FileProblems(self._problems)

    @cached_property
    def _lines(self) -> dict[schema.Path, int]:
        return _Lines(self.text).found


class TypedFile(TomlFile, Generic[T]):
    """A file that fits its type; `value` is its content."""

    def __init__(self, file: TomlFile, value: T) -> None:
        super().__init__(file.path, file.text, file.document)
        self.value = value


def load(path: Path, type_: type[T]) -> TypedFile[T]:
    """Return a TOML file of at most `MAX_FILE_BYTES` as a value of a type.

    Keys that the type does not have are mistakes, whether or not the type forbids them.

    Raises:
        FileProblems: every mistake with its line; line 1 when the file cannot be read.
    """
    file = read(path)
    value = file.part((), type_)
    if value is None:
        raise FileProblems(file.problems)
    return TypedFile(file, value)


def read(path: Path) -> TomlFile:
    """Return a TOML file of at most `MAX_FILE_BYTES`, to be typed part by part.

    Raises:
        FileProblems: the file cannot be read or is not TOML.
    """
    text = _text(path)
    return TomlFile(path, text, _parsed(path, text))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise _refused(path, f"is too large: a file has at most {MAX_FILE_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refused(path, "is not UTF-8 text, as TOML must be", line) from error


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise _refused(path, "is nested too deeply") from error
    except ValueError as error:  # also plain ones, for numbers that Python refuses to read
        message = str(error)
        position = _POSITION.search(message)
        if position is None:
            line = 1
        elif position["line"] is None:
            line = text.rstrip().count("\n") + 1
        else:
            line = int(position["line"])
        reason = _POSITION.sub("", message)
        raise _refused(path, f"is not valid TOML: {reason}", line) from error


def _refused(path: Path, message: str, line: int = 1) -> FileProblems:
    return FileProblems([Problem(str(path), line, f"the file {message}")])


def _sentence(path: schema.Path, message: str) -> str:
    place = schema.path_text(path).removeprefix("$").removeprefix(".")
    return f"{place or 'the file'} {message}"


class _Lines:
    """Where everything in a valid TOML text stands.

    Attributes:
        found: path to line, from 1. The document itself, `()`, is on line 1; a table that
            only its members mention is where the first of them is.
    """

    def __init__(self, text: str) -> None:
        self.found: dict[schema.Path, int] = {(): 1}
        self._text = text
        self._at = 0
        self._ends = [at for at, one in enumerate(text) if one == "\n"]
        self._arrays: dict[schema.Path, int] = {}
        table: schema.Path = ()
        self._gap()
        while self._at < len(text):
            if text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
            self._gap()

    def _gap(self) -> None:
        """Pass spaces, line ends and comments."""
        match = _GAP.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _header(self) -> schema.Path:
        """Pass `[a.b]` or `[[a.b]]`, and return the table that it opens."""
        line = self._line()
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        self._gap()
        names = self._names()
        self._at += 2 if is_array else 1
        table: schema.Path = ()
        for name in names[:-1]:
            table = self._inside((*table, name), line)
        table = (*table, names[-1])
        if is_array:
            self.found.setdefault(table, line)
            self._arrays[table] = self._arrays.get(table, 0) + 1
            table = (*table, self._arrays[table] - 1)
        self.found[table] = line
        return table

    def _inside(self, table: schema.Path, line: int) -> schema.Path:
        """Return what a name in the middle of a header means: of an array, the last table."""
        self.found.setdefault(table, line)
        count = self._arrays.get(table)
        return table if count is None else (*table, count - 1)

    def _pair(self, table: schema.Path) -> None:
        """Pass `key = value` of a table."""
        line = self._line()
        for name in self._names():
            table = (*table, name)
            self.found.setdefault(table, line)
        self._at += 1
        self._gap()
        self._value(table)

    def _names(self) -> list[str]:
        """Pass a key, and return its dotted parts."""
        names = []
        more = True
        while more and (match := _KEY.match(self._text, self._at)):
            written = match["name"]
            # Escapes in a quoted key mean what the TOML parser says they mean.
            is_quoted = written[0] in "\"'"
            names.append(tomllib.loads(f"k={written}")["k"] if is_quoted else written)
            self._at = match.end()
            more = bool(match["dot"])
        return names

    def _value(self, path: schema.Path) -> None:
        opening = self._text[self._at]
        if opening not in "[{":
            match = _SCALAR.match(self._text, self._at)
            self._at = match.end() if match else len(self._text)
            return
        self._at += 1
        self._gap()
        index = 0
        while self._text[self._at] not in "]}":
            if opening == "{":
                self._pair(path)
            else:
                self.found[*path, index] = self._line()
                self._value((*path, index))
            index += 1
            self._gap()
            if self._text[self._at] == ",":
                self._at += 1
                self._gap()
        self._at += 1

    def _line(self) -> int:
        return bisect_left(self._ends, self._at) + 1
