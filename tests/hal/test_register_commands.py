from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.registers.commands import (
    Command,
    EvsePart,
    Grant,
    Switch,
    Table,
    Write,
    built_command,
    built_part,
    built_switch,
    built_watchdog,
    parsed_ranges,
    wrong_command,
    wrong_watchdog,
)
from hal.registers.map_file import (
    CommandEntry,
    Commands,
    GrantEntry,
    MapFile,
    PointEntry,
    Register,
    Startup,
    StartupWrite,
    SwitchEntry,
    TableEntry,
    WatchdogEntry,
)


def command(**changes) -> Command:
    """Return the current of a Heidelberg Energy Control: 261, in 0.1 A, 0 or 6 to 16 A."""
    fields = {"addr": 261, "unit": "A", "scale": 0.1, "allowed": "0|6..16"}
    entry = CommandEntry(**{**fields, **changes})
    assert not list(wrong_command(entry))
    return built_command(entry, "big")


@pytest.mark.parametrize(
    ("value", "word"), [(0.0, 0), (6.0, 60), (16.0, 160), (16, 160), (6.14, 61), (15.99, 159)]
)
def test_a_value_is_rounded_down_to_what_the_register_can_say(value, word):
    assert command().write(value) == Write(16, 261, (word,))


@pytest.mark.parametrize("tenths", range(60, 161))
def test_a_tenth_of_an_ampere_is_never_lost(tenths):
    assert command().write(tenths / 10).words == (tenths,)


@pytest.mark.parametrize("value", [-1.0, 0.1, 5.9, 16.1, 80.0, float("nan"), float("inf")])
def test_a_value_that_the_map_does_not_allow_is_never_written(value):
    with pytest.raises(ValueError, match=r"may not be written; 0\|6..16 may"):
        command().write(value)


@given(st.floats(6, 16), st.sampled_from(["big", "little"]))
def test_what_stands_in_the_register_is_at_most_what_was_asked_for(value, order):
    one = command(type="uint32", scale=0.001, word_order=order)
    assert one.count == 2
    assert value - 0.001 < one.value(one.write(value).words) <= value


def test_a_controller_may_have_a_number_of_its_own_for_off():
    abl = command(scale=0.06, off=1000)
    assert abl.write(0).words == (1000,)
    assert abl.write(16).words == (266,)
    assert abl.value([1000]) == 0.0
    assert abl.value([266]) == pytest.approx(15.96)


@pytest.mark.parametrize(
    ("value", "word"), [(0.0, 0), (6.0, 0x0606), (16.9, 0x1010), (32, 0x2020)]
)
def test_a_number_may_stand_in_both_bytes(value, word):
    one = command(scale=1.0, allowed="0|6..32", doubled=True)
    assert one.write(value).words == (word,)
    assert one.value([word]) == int(value)


def test_a_float_is_written_as_a_float():
    one = command(type="float32", scale=1.0)
    assert one.write(16.0).words == (0x4180, 0x0000)
    assert one.value([0x4180, 0x0000]) == 16.0


def test_a_command_knows_its_bounds():
    assert (command().least, command().most, command().ranges) == (6.0, 16.0, "0|6..16")


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("0|6..16", ((0, 0), (6, 16))),
        ("0 | 6..13.5 | 16", ((0, 0), (6, 13.5), (16, 16))),
        ("8", ((8, 8),)),
    ],
)
def test_ranges_are_read(text, ranges):
    assert parsed_ranges(text) == ranges


@pytest.mark.parametrize("text", ["", "0|", "6-16", "6..", "-1..3", "16..6", "nan", "1..2..3"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ValueError, match=r"no number or range|ends before it begins"):
        parsed_ranges(text)


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"unit": "W"}, "unit", "a current cannot be in 'W'; allowed: 'A', 'mA'"),
        ({"scale": 0.0}, "scale", "must be a finite number above 0"),
        ({"scale": float("inf")}, "scale", "must be a finite number above 0"),
        ({"type": "bcd16"}, "type", "digits cannot be written"),
        ({"type": "uint32", "fc_write": 6}, "fc_write", "uint32 takes several words"),
        ({"allowed": "0|6-16"}, "allowed", "is no number or range"),
        ({"allowed": "6..16"}, "allowed", "0 must be allowed"),
        ({"allowed": "0|5..16"}, "allowed", "a current is 0 or 6 to 80 A"),
        ({"allowed": "0|6..81"}, "allowed", "a current is 0 or 6 to 80 A"),
        ({"allowed": "0"}, "allowed", "no current above 0 is allowed"),
        ({"scale": 0.0001}, "allowed", "uint16 cannot carry 0|6..16 A"),
        ({"scale": 0.05, "doubled": True}, "doubled", "carry 0 to 255"),
        ({"off": 1, "doubled": True}, "doubled", "no other number for off"),
        ({"type": "float32", "doubled": True}, "doubled", "both bytes of a uint16"),
        ({"table": TableEntry(9, 8, 2), "fc_write": 6}, "table", "written by function 16"),
        ({"table": TableEntry(9, 8, 2), "type": "uint32"}, "table", "a word for each device"),
        ({"table": TableEntry(9, 8, 2), "nv": True}, "table", "without nv"),
    ],
)
def test_a_command_that_cannot_be_is_refused(changes, key, message):
    fields = {"addr": 261, "unit": "A", "scale": 0.1, "allowed": "0|6..16"}
    found = list(wrong_command(CommandEntry(**{**fields, **changes})))
    assert any(one[0] == key and message in one[1] for one in found), found


def test_a_switch_is_a_word_for_on_and_one_for_off():
    switch = built_switch(SwitchEntry(20_000, fc_write=5))
    assert switch == Switch(5, 20_000, on=1, off=0)
    assert switch.write(on=True) == Write(5, 20_000, (1,))
    assert switch.write(on=False) == Write(5, 20_000, (0,))


def test_a_watchdog_is_armed_with_its_fallback_first():
    entry = WatchdogEntry(
        "any_request",
        15.0,
        timeout=Register(257, 15_000, unit="ms"),
        fallback=Register(262, 0, unit="A", scale=0.1),
    )
    assert not list(wrong_watchdog(entry))
    watchdog = built_watchdog(entry, "big")
    assert watchdog.arm == (Write(16, 262, (0,)), Write(16, 257, (15_000,)))
    assert watchdog.heartbeat is None


def test_a_heartbeat_is_what_is_written_again_and_again():
    entry = WatchdogEntry("heartbeat", 10.0, heartbeat=Register(0xD00, 0x55AA, fc_write=6))
    assert not list(wrong_watchdog(entry))
    watchdog = built_watchdog(entry, "big")
    assert watchdog.heartbeat == Write(6, 0xD00, (0x55AA,))
    assert watchdog.arm == ()


@pytest.mark.parametrize(
    ("entry", "where", "message"),
    [
        (WatchdogEntry("heartbeat", 1.0), ("heartbeat",), "belongs to refresh"),
        (WatchdogEntry("any_request", 1.0, heartbeat=Register(0, 1)), ("heartbeat",), "belongs"),
        (WatchdogEntry("any_request", 1.0, timeout=Register(0, 1, unit="A")), ("timeout", "unit"), "timeout cannot be in 'A'; allowed: 's', 'ms'"),
        (WatchdogEntry("any_request", 1.0, timeout=Register(0, 1, unit="s", scale=-1.0)), ("timeout", "scale"), "above 0"),
        (WatchdogEntry("any_request", 1.0, timeout=Register(0, 70_000, unit="ms")), ("timeout", "write"), "uint16 cannot carry 70000"),
        (WatchdogEntry("any_request", 1.0, timeout=Register(0, float("nan"), unit="ms")), ("timeout", "write"), "cannot carry nan"),
        (WatchdogEntry("any_request", 1.0, timeout=Register(0, 1, unit="s", type="bcd16")), ("timeout", "write"), "bcd16 cannot carry"),
        (WatchdogEntry("any_request", 1.0, fallback=Register(0, 6, unit="A")), ("fallback", "write"), "without us nothing may flow"),
    ],
)  # fmt: skip
def test_a_watchdog_that_cannot_be_is_refused(entry, where, message):
    found = list(wrong_watchdog(entry))
    assert any(one[0] == where and message in one[1] for one in found), found


def test_a_controller_without_anything_else_can_be_told_a_current():
    commands = Commands(CommandEntry(addr=261, unit="A", scale=0.1, allowed="0|6..16"))
    part = built_part(map_file(), commands)
    assert part == EvsePart(command(), None, None, None, None, ())


def test_a_controller_may_be_told_everything():
    fields = {"addr": 0x20, "unit": "A", "allowed": "0|6..80"}
    part = built_part(
        map_file(
            watchdog=WatchdogEntry("any_request", 15.0),
            startup=Startup((StartupWrite(1, 0, fc_write=6, nv=True),)),
            grant=(GrantEntry(6, 0, (7, 0)),),
        ),
        Commands(
            CommandEntry(**fields, table=TableEntry(9, 8, 2)),
            enable=SwitchEntry(5),
            lock=SwitchEntry(6),
            three_phases=SwitchEntry(7),
        ),
    )
    assert part.set_current.write(16.0) == Write(16, 0x20, (16,), table=Table(9, 8, 2))
    assert part.set_current.readback  # nobody answers to a table
    assert [one.address for one in (part.enable, part.lock, part.three_phases)] == [5, 6, 7]
    assert part.watchdog.timeout_s == 15.0
    assert part.startup == (Write(6, 1, (0,), nv=True),)
    assert part.grants == (Grant(6, Write(16, 0, (7, 0))),)


def map_file(**more) -> MapFile:
    state = {"state": PointEntry(addr=0, enum={"1": "A"})}
    return MapFile(1, "evse", "test", "Maker", "Model", "page 1", 3, state, **more)


def test_commands_are_exact():
    assert command().factor == Fraction(1, 10)
