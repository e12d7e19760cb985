"""The text of a simulated board file, for `pilotwire sim board` and for tests."""

from typing import Literal

from hal import schema
from hal.board_file import MAX_EVSES, EvseSettings
from hal.dc_settings import wrong_supply


def board_template(
    *, evses: int = 1, connectors: int = 1, max_a: float = 32.0, phases: Literal[1, 3] = 3
) -> str:
    """Return the text of a simulated board file with these properties.

    Raises:
        ValueError: a property is out of range.
    """
    if not 1 <= evses <= MAX_EVSES:
        raise ValueError(f"evses = {evses}: 1 to {MAX_EVSES} are possible")
    values: dict[str, object] = {
        "id": 1,
        "meter": {"driver": "modbus_meter", "port": "p", "map": "m"},
        "controller": {"driver": "simulated"},
    }
    values |= {"connectors": connectors, "max_a": max_a, "phases": phases}
    wrong = [
        f"{one.path[-1]} {one.message}" for one in schema.violations(values, EvseSettings)
    ] or [f"{key} {text}" for key, text in wrong_supply(max_a, connectors, is_dc=False)]
    if wrong:
        raise ValueError("; ".join(wrong))
    parts = ["# A simulated board: vehicles are plugged in by `pilotwire sim`.\n"]
    parts += [
        f'\n[port.meter-{number}]\ndriver = "modbus_tcp"\nport   = 0\n'
        for number in range(1, evses + 1)
    ]
    parts += [
        f"""
[[evse]]
id         = {number}
connectors = {connectors}
max_a      = {max_a:g}
phases     = {phases}
meter      = {{ driver = "modbus_meter", port = "meter-{number}", map = "eastron-sdm630" }}
controller = {{ driver = "simulated" }}
reader     = {{ driver = "simulated" }}
"""
        for number in range(1, evses + 1)
    ]
    return "".join(parts)
