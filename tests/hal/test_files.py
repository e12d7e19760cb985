import datetime as dt
import random
import re
import tomllib
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from hal.errors import HalError
from hal.files import MAX_FILE_BYTES, FileProblems, Problem, load, read


class Port(msgspec.Struct, frozen=True):
    path: str
    baud: Annotated[int, Meta(ge=1200, le=115200)] = 9600


class Settings(msgspec.Struct, frozen=True):
    name: str
    ports: tuple[Port, ...] = ()
    limits: dict[str, Annotated[float, Meta(ge=0, le=80)]] = {}


@pytest.fixture
def write(tmp_path):
    def write_(content, name="board.toml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_


def problems(path, type_=Settings):
    with pytest.raises(FileProblems) as caught:
        load(path, type_)
    return [(one.line, one.message) for one in caught.value.problems]


def test_a_file_that_fits_becomes_a_value(write):
    path = write('name = "x"\n[[ports]]\npath = "/dev/ttyS1"\n[limits]\ncable = 32\n')
    file = load(path, Settings)
    assert file.value == Settings("x", (Port("/dev/ttyS1"),), {"cable": 32.0})
    assert file.path == path


def test_every_mistake_is_reported_with_its_line(write):
    path = write(
        "colour = 1\n"
        "\n"
        "[[ports]]\n"
        "path = 7\n"
        "[[ports]]\n"
        "# nothing but a rate\n"
        "buad = 9600\n"
        "[limits]\n"
        "cable = 99\n"
    )
    assert problems(path) == [
        (1, "colour is not known here (known: name, ports, limits)"),
        (1, "name is missing (a string)"),
        (4, "ports[0].path must be a string, not an integer"),
        (5, "ports[1].path is missing (a string)"),
        (7, "ports[1].buad is not known here; did you mean baud? (known: path, baud)"),
        (9, "limits.cable must be a number (at least 0, at most 80)"),
    ]


def test_a_problem_reads_as_file_line_and_message(write):
    path = write("")
    with pytest.raises(HalError) as caught:
        load(path, Settings)
    assert str(caught.value) == f"{path}:1: name is missing (a string)"


def test_nan_is_out_of_every_range(write):
    path = write('name = "x"\nlimits.a = nan\n')
    assert problems(path) == [(2, "limits.a must be a number (at least 0, at most 80)")]


def test_a_missing_file_is_a_problem_on_line_1(tmp_path):
    path = tmp_path / "none.toml"
    assert problems(path) == [(1, "the file cannot be read: No such file or directory")]
    assert problems(tmp_path) == [(1, "the file cannot be read: Is a directory")]


def test_a_file_is_at_most_one_mebibyte(write):
    head = b'name = "x"\n#'
    path = write(head + b"." * (MAX_FILE_BYTES - len(head)))
    assert load(path, Settings).value.name == "x"
    path.write_bytes(path.read_bytes() + b".")
    message = "the file is too large: a file has at most 1048576 bytes"
    assert problems(path) == [(1, message)]


def test_a_byte_that_is_not_utf8_has_its_line(write):
    path = write(b'name = "x"\n# gr\xfc\xdf\n')
    assert problems(path) == [(2, "the file is not UTF-8 text, as TOML must be")]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ('name = "x"\n\nports = = 1\n', 3, "Invalid value"),
        ('name = "x"\nname = "y"\n', 2, "Cannot overwrite a value"),
        ('name = "x"\nports = [\n\n\n', 2, "Invalid value"),
        ("a = 1\nb = 1979-02-30\n", 2, "Invalid date or datetime"),
        ("a = 1" + "0" * 5000, 1, "Exceeds the limit"),
        ("a = " + "[" * 20_000, 1, "nested too deeply"),
    ],
)
def test_a_syntax_error_has_its_line(write, content, line, message):
    [(found_line, found)] = problems(write(content))
    assert found_line == line
    assert message in found
    assert "(at" not in found


def test_a_cross_check_points_at_its_line(write):
    path = write('name = "x"\n\n[[ports]]\npath = "a"\n\n[[ports]]\npath = "a"\n')
    file = load(path, Settings)
    file.check()
    expected = Problem(str(path), 7, "ports[1].path is the path of ports[0]; each has its own")
    assert file.problem(("ports", 1, "path"), expected.message) == expected
    first = file.problem(("name",), "name is x")
    file.problem(("name",), "name is x")
    with pytest.raises(FileProblems) as caught:
        file.check()
    assert caught.value.problems == (first, expected)


def test_parts_are_typed_one_by_one_and_all_their_mistakes_are_kept(write):
    path = write('name = "x"\nextra = 1\n[[ports]]\npath = 7\n[[ports]]\npath = "b"\n')
    file = read(path)
    file.check()
    assert file.part((), Settings) is None
    assert file.part(("ports", 0), Port) is None
    assert file.part(("ports", 1), Port) == Port("b")
    assert file.part(("limits",), dict[str, float]) == {}
    assert file.part(("absent",), Port) is None
    assert [str(problem).removeprefix(f"{path}:") for problem in file.problems] == [
        "2: extra is not known here (known: name, ports, limits)",
        "4: ports[0].path must be a string, not an integer",
        "1: absent.path is missing (a string)",
    ]
    with pytest.raises(FileProblems) as caught:
        file.check()
    assert [problem.line for problem in caught.value.problems] == [1, 2, 4]


AWKWARD = """\
# a = 1
first = "]"
a.b.x = "# no comment"
a.b.c = '[x]'

list = [
  1, # ]

  {x = 1, y = [1, 2]},
]
\r
[[tables]]
[tables.sub]
z = 1979-05-27 07:32:00
[[tables]]

[[ tables . sub ]]
[[tables."sub"]]
"quo ted" = \"""
\\\"""
[no]
\"\"\"\"
"\\u00e9" = 1\r
[later.deep]
[later]
k = 0x1F
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("absent",), 1),
        (("absent", 3, "x"), 1),
        (("a",), 3),
        (("a", "b"), 3),
        (("a", "b", "c"), 4),
        (("a", "b", "absent"), 3),
        (("list",), 6),
        (("list", 0), 7),
        (("list", 1), 9),
        (("list", 1, "x"), 9),
        (("list", 1, "y", 1), 9),
        (("list", 2), 6),
        (("tables",), 12),
        (("tables", 0), 12),
        (("tables", 0, "sub"), 13),
        (("tables", 0, "sub", "z"), 14),
        (("tables", 1), 15),
        (("tables", 1, "sub"), 17),
        (("tables", 1, "sub", 0), 17),
        (("tables", 1, "sub", 1), 18),
        (("tables", 1, "sub", 1, "quo ted"), 19),
        (("tables", 1, "sub", 1, "é"), 23),
        (("later",), 25),
        (("later", "deep"), 24),
        (("later", "k"), 26),
    ],
)
def test_lines_are_found_by_path(write, path, line):
    assert load(write(AWKWARD), dict).line_of(path) == line


class Writer:
    """Writes a document as TOML in one of its many styles, and notes every line."""

    def __init__(self, rng: random.Random, document: dict[str, Any]) -> None:
        self.rng = rng
        self.text = ""
        self.lines: dict[tuple[str | int, ...], int] = {}
        self.gap()
        self.table((), (), document)

    @property
    def line(self):
        return self.text.count("\n") + 1

    def end(self):
        self.text += self.rng.choice(["\n", " # [x] = 'y\n", "\r\n", "\t\n"])

    def gap(self):
        for _ in range(self.rng.randrange(3)):
            self.text += self.rng.choice(["\n", "  ", '# """ [[a]]\n', "\r\n"])

    def key(self, name):
        styles = [self.basic(name)]
        if re.fullmatch("[A-Za-z0-9_-]+", name):
            styles.append(name)
        if name.isprintable() and "'" not in name:
            styles.append(f"'{name}'")
        return self.rng.choice(styles)

    def dotted(self, names):
        return self.rng.choice([".", " . ", ". "]).join(self.key(name) for name in names)

    def table(self, path, names, table):
        """Write the pairs of a table, then its sub-tables; `names` is path without indices."""
        later = []
        for name, value in table.items():
            if self.rng.random() < 0.5 and is_table(value):
                later.append((name, value))
            elif isinstance(value, dict) and value and self.rng.random() < 0.4:
                self.dotted_table((*path, name), (name,), value)
            else:
                self.pair(path, (name,), value)
        for name, value in later:
            if isinstance(value, dict):
                self.header((*path, name), (*names, name), value, "[]")
            for index, inner in enumerate(value if isinstance(value, list) else ()):
                self.header((*path, name, index), (*names, name), inner, ("[[", "]]"))
                if index == 0:
                    self.lines[*path, name] = self.lines[*path, name, 0]

    def header(self, path, names, table, brackets):
        self.gap()
        self.lines[path] = self.line
        self.text += f"{brackets[0]} {self.dotted(names)}\t{brackets[1]}"
        self.end()
        self.table(path, names, table)

    def dotted_table(self, path, names, table):
        for name, value in table.items():
            self.pair(path, (*names, name), value, prefix=len(names))

    def pair(self, path, names, value, prefix=0):
        self.gap()
        for depth in range(prefix):
            self.lines.setdefault(path[: len(path) - depth], self.line)
        here = (*path, names[-1])
        self.lines[here] = self.line
        self.text += self.rng.choice(["", "  "]) + self.dotted(names) + " ="
        self.value(here, value)
        self.end()

    def value(self, path, value):
        self.text += self.rng.choice([" ", "\t", ""])
        if isinstance(value, dict):
            self.inline_table(path, value)
        elif isinstance(value, list):
            self.array(path, value)
        elif isinstance(value, str):
            self.text += self.string(value)
        elif isinstance(value, bool):
            self.text += str(value).lower()
        elif isinstance(value, dt.datetime):
            self.text += value.isoformat(sep=self.rng.choice("T "))
        else:
            self.text += str(value)

    def inline_table(self, path, table):
        self.text += "{"
        for index, (name, value) in enumerate(table.items()):
            self.text += ", " if index else " "
            self.lines[*path, name] = self.line
            self.text += self.dotted((name,)) + "="
            self.value((*path, name), value)
        self.text += " }"

    def array(self, path, array):
        self.text += "["
        for index, value in enumerate(array):
            self.gap()
            self.lines[*path, index] = self.line
            self.value((*path, index), value)
            self.gap()
            if index < len(array) - 1 or self.rng.random() < 0.5:
                self.text += ","
        self.gap()
        self.text += "]"

    def string(self, value):
        styles = [self.basic(value), self.multiline(value)]
        if value.isprintable() and "'" not in value:
            styles.append(f"'{value}'")
        plain = value.replace("\n", "")
        if (
            (not plain or plain.isprintable())
            and "'''" not in value
            and not value.endswith("'''")
        ):
            styles.append(f"'''\n{value}'''")
        return self.rng.choice(styles)

    def basic(self, value):
        return '"' + "".join(escaped(one, '"\\') for one in value) + '"'

    def multiline(self, value):
        text = "".join(one if one == "\n" else escaped(one, "\\") for one in value)
        text = text.replace('"""', '""\\"')
        return f'"""\n{text}"""'


def escaped(one, special):
    if one in special:
        return "\\" + one
    return one if one.isprintable() else f"\\U{ord(one):08x}"


def is_table(value):
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, dict) for one in value)
    return isinstance(value, dict)


names = st.one_of(
    st.sampled_from(["a", "b", "c-d", "1", "x.y", "", "a b", '"', "'", "#", "=", "[a]", "é\n"]),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=4),
)
texts = st.lists(
    st.sampled_from(['"', "'", "\\", "\n", "#", "[", "]", "{", "}", ",", "=", "x", "é", "\t"]),
    max_size=6,
).map("".join)
leaves = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.datetimes(timezones=st.sampled_from([None, dt.UTC])),
    st.dates(),
    st.times(),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(names, values, max_size=6)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("toml")


@settings(max_examples=400, deadline=None)
@given(document=documents, rng=st.randoms(use_true_random=False))
def test_every_path_of_any_document_in_any_style_has_its_line(directory, document, rng):
    written = Writer(rng, document)
    assert tomllib.loads(written.text) == document
    path = directory / "any.toml"
    path.write_text(written.text, newline="")
    file = load(path, dict[str, Any])
    for where, line in written.lines.items():
        assert (where, file.line_of(where)) == (where, line)
