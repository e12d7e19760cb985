"""The table of limits that others set."""

import pytest

from agent.config import check_config, load_config
from agent.config_limits import ExternalLimits, ModbusLimits
from tests.agent.test_config import SMALLEST, any_setting, no_board_problems


def a_file(tmp_path, text):
    path = tmp_path / "agent.toml"
    path.write_text(f"{SMALLEST}\n[external_limits]\n{text}\n")
    return path


def test_nothing_is_served_unless_the_file_says_so(tmp_path):
    assert load_config(a_file(tmp_path, ""), any_setting).external_limits == ExternalLimits()
    text = 'safe_a = 0\nmodbus = { host = "127.0.0.1", port = 1502 }'
    limits = load_config(a_file(tmp_path, text), any_setting).external_limits
    assert limits == ExternalLimits(
        safe_a=0.0, modbus=ModbusLimits(host="127.0.0.1", port=1502)
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("safe_a = -1", "safe_a must be a number (at least 0, at most 80)"),
        ("safe = 6", "did you mean safe_a?"),
        ("modbus = { port = 502 }", "host"),
        ('modbus = { host = "h", port = 0 }', "port must be an integer (at least 1"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(tmp_path, text, says):
    found = check_config(a_file(tmp_path, text), any_setting, no_board_problems)
    assert any(says in problem.message for problem in found), found
