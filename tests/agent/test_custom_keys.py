"""The operator's own settings: declared in a file, judged with lines, known by name."""

from pathlib import Path

import pytest

from agent.config import check_config, load_config
from agent.core.variables import Access, Kind, Settings
from agent.custom_keys import CustomKey, custom_variables
from agent.factory import check_setting
from hal.files import FileProblems

HEAD = """\
[station]
identity = "CP001"
vendor = "Example"
model = "Wallbox One"
[[csms]]
url = "ws://csms.example.com/ocpp"
protocols = ["ocpp1.6"]
security_profile = 0
[hardware]
board = "board.toml"
"""
KEYS = """\
[custom_keys.SiteName]
type = "string"
default = "Depot North"
meaning = "Name of the site."
[custom_keys.Fee]
type = "decimal"
default = 0.5
minimum = 0
maximum = 2.5
unit = "EUR"
[custom_keys.Rows]
type = "integer"
default = 3
access = "ReadOnly"
[custom_keys.Loud]
type = "boolean"
default = false
[custom_keys.Mode]
type = "option"
members = ["eco", "fast"]
default = "Fast"
[custom_keys.Days]
type = "list"
members = ["Mo", "Tu"]
default = ["tu", "mo"]
[custom_keys.Pin]
type = "string"
default = "0000"
access = "WriteOnly"
max_length = 4
reboot_required = true
"""


def declared(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(HEAD + text)
    return path


def found(tmp_path: Path, text: str) -> list[str]:
    """Return what is wrong, as `line: message`, lines counted from the end of the head."""
    problems = check_config(declared(tmp_path, text), check_setting, lambda _: [])
    return [f"{one.line - HEAD.count(chr(10))}: {one.message}" for one in problems]


def test_every_type_can_be_declared(tmp_path: Path) -> None:
    config = load_config(declared(tmp_path, KEYS), check_setting)
    own = {item.variable: item for item in custom_variables(config.custom_keys)}
    assert [(item.kind, item.default) for item in own.values()] == [
        (Kind.STRING, "Depot North"),
        (Kind.DECIMAL, "0.5"),
        (Kind.INTEGER, "3"),
        (Kind.BOOLEAN, "false"),
        (Kind.OPTION, "fast"),
        (Kind.MEMBERS, "Tu,Mo"),
        (Kind.STRING, "0000"),
    ]
    assert own["SiteName"].name == "CustomKeys.SiteName"
    assert own["SiteName"].key == "SiteName"
    assert own["Rows"].access is Access.READ_ONLY
    assert (own["Fee"].minimum, own["Fee"].maximum, own["Fee"].unit) == (0, 2.5, "EUR")
    assert (own["Pin"].maximum, own["Pin"].needs_reboot) == (4, True)
    assert own["SiteName"].maximum == 500


def test_a_station_without_any_has_none(tmp_path: Path) -> None:
    assert load_config(declared(tmp_path, ""), check_setting).custom_keys == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[custom_keys.HeartbeatInterval]\ntype = "integer"\ndefault = 1',
            "1: HeartbeatInterval is a setting of the station already; choose another name",
        ),
        (
            '[custom_keys."a b"]\ntype = "integer"\ndefault = 1',
            "1: 'a b' must be a letter and up to 49 letters, digits, - or _",
        ),
        (
            '[custom_keys.A]\ntype = "integer"\ndefault = "x"',
            "3: the default of A must be a whole number, not 'x'",
        ),
        (
            '[custom_keys.A]\ntype = "integer"\ndefault = 9\nminimum = 0\nmaximum = 5',
            "3: the default of A must be a whole number (0 to 5), not 9",
        ),
        (
            '[custom_keys.A]\ntype = "integer"\ndefault = 9\nminimum = 10\nmaximum = 5',
            "4: A: minimum must not be above maximum",
        ),
        (
            '[custom_keys.A]\ntype = "boolean"\ndefault = true\nminimum = 1',
            "4: A: minimum is for type integer or decimal, not for boolean",
        ),
        (
            '[custom_keys.A]\ntype = "integer"\ndefault = 1\nmax_length = 5',
            "4: A: max_length is for type string, not for integer",
        ),
        (
            '[custom_keys.A]\ntype = "option"\ndefault = "a"',
            "1: A: members must name each possible value once",
        ),
        (
            '[custom_keys.A]\ntype = "list"\ndefault = "a"\nmembers = ["a", "A"]',
            "4: A: members must name each possible value once",
        ),
        (
            (
                '[custom_keys.A]\ntype = "string"\ndefault = "toolong"\nmax_length = 3\n'
                'access = "WriteOnly"'
            ),
            "3: the default of A must be a text of at most 3 characters",
        ),
        (
            (
                '[custom_keys.A]\ntype = "integer"\ndefault = 1\n'
                '[custom_keys.a]\ntype = "integer"\ndefault = 1'
            ),
            "4: a differs from A in case only",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    assert message in found(tmp_path, text)
    with pytest.raises(FileProblems):
        load_config(declared(tmp_path, text), check_setting)


@pytest.mark.parametrize(
    "text",
    [
        "custom_keys = 3",
        '[custom_keys.A]\ntype = "colour"\ndefault = 1',
        "[custom_keys.A]\ndefault = 1",
        '[custom_keys.A]\ntype = "integer"\ndefault = 1\ncolour = "red"',
        '[custom_keys.A]\ntype = "option"\nmembers = ["a,b"]\ndefault = "a,b"',
    ],
)
def test_what_does_not_fit_its_type_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(f"{text}\n{HEAD}" if text.startswith("custom") else HEAD + text)
    assert check_config(path, check_setting, lambda _: [])


def test_a_setting_of_the_operator_is_found_by_either_name() -> None:
    entry = CustomKey(type="integer", default=3)
    settings = Settings(custom=custom_variables({"Rows": entry}))
    for name in ("rows", "CUSTOMKEYS.ROWS"):
        variable = settings.find(name)
        assert variable is not None
        assert settings.text(variable) == "3"
    assert settings.find("Columns") is None
    assert settings.table[-1].name == "CustomKeys.Rows"
