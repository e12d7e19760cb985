"""Converters in a board file: what a technician can get wrong, and what comes of it."""

import pytest
from msgspec import convert
from msgspec.structs import replace

from hal import schema
from hal.converter_settings import (
    ConverterSettings,
    InfypowerSettings,
    MaxwellSettings,
    ModuleSettings,
    R48xxSettings,
    UUGreenSettings,
    WinlineSettings,
    addresses,
    wrong_converters,
)
from hal.drivers.module_families import family
from hal.port_settings import CanSettings, ModbusTcpSettings, wrong_can

HV = ModuleSettings(min_v=150.0, max_v=1000.0, max_a=100.0, max_w=30_000.0)
BOARD = {"port": "can", "max_v": 920.0, "max_a": 200.0, "max_w": 60_000.0}
INFYPOWER = InfypowerSettings(**BOARD, modules=(0, 1))
UUGREEN = UUGreenSettings(**BOARD, modules=(1, 2), module=HV)
R48XX = R48xxSettings(
    port="can",
    max_v=58.0,
    max_a=50.0,
    max_w=2_900.0,
    module=ModuleSettings(min_v=41.5, max_v=58.5, max_a=50.0, max_w=2_900.0),
    counts_per_a=20.0,
)
PORTS = {"can": CanSettings("can0"), "bus": ModbusTcpSettings()}
AT = ("evse", 0, "converter")


def wrong(*converters: ConverterSettings, ports=PORTS) -> list[tuple[tuple, str]]:
    """Return the mistakes, without where the first converter stands."""
    placed = {("evse", number, "converter"): one for number, one in enumerate(converters)}
    return [(at[1:2] + at[3:], text) for at, text in wrong_converters(placed, ports)]


@pytest.mark.parametrize(
    "settings",
    [
        INFYPOWER,
        InfypowerSettings(**BOARD),
        WinlineSettings(**BOARD, module=HV, modules=(0, 63)),
        MaxwellSettings(**BOARD, module=HV),
        UUGREEN,
        R48XX,
    ],
)
def test_what_is_right_has_no_mistake(settings):
    assert wrong(settings) == []


@pytest.mark.parametrize(
    ("settings", "key", "says"),
    [
        (replace(INFYPOWER, port="cam"), ("port",), "there is no port cam (known: can, bus)"),
        (replace(INFYPOWER, port="bus"), ("port",), "port bus is no CAN line"),
        (replace(INFYPOWER, modules=(0, 60)), ("modules", 1), "60 is none: 0 to 59"),
        (replace(INFYPOWER, modules=(3, 3)), ("modules", 1), "module 3 is there twice"),
        (replace(UUGREEN, modules=(0, 1)), ("modules", 0), "0 is none: 1 to 127"),
        (
            replace(UUGREEN, module=replace(HV, min_v=1000.0)),
            ("module", "max_v"),
            "must be more than min_v, 1000",
        ),
        (replace(UUGREEN, max_v=1050.0), ("max_v",), "is more than a module's, 1000"),
        (
            replace(UUGREEN, max_a=201.0),
            ("max_a",),
            "is more than the 2 modules have, 200 A",
        ),
        (
            replace(UUGREEN, max_w=60_001.0),
            ("max_w",),
            "is more than the 2 modules have, 60000 W",
        ),
        (replace(R48XX, max_v=48.0, module=HV), ("module",), "within 41.5 to 58.5"),
    ],
)
def test_a_mistake_is_told_at_its_place(settings, key, says):
    (found,) = wrong(settings)
    assert found[0] == (0, *key)
    assert says in found[1]


def test_modules_talk_at_their_own_speed():
    ports = {"can": CanSettings("can0", bitrate=250_000)}
    ((at, text),) = wrong(INFYPOWER, ports=ports)
    assert (at, text) == ((0, "port"), "these modules talk at 125000 bit/s, can at 250000")


def test_without_any_port_that_is_said():
    ((_, text),) = wrong(INFYPOWER, ports={})
    assert text == "there is no port can (known: none)"


def test_two_converters_share_a_line_and_no_module():
    assert wrong(INFYPOWER, replace(INFYPOWER, modules=(2, 3))) == []
    assert wrong(INFYPOWER, replace(INFYPOWER, modules=(1, 2))) == [
        ((1, "modules"), "module 1 of port can is another converter's")
    ]
    assert wrong(INFYPOWER, UUGREEN) == []  # other frames


def test_two_names_of_one_protocol_are_one_protocol():
    one = WinlineSettings(**BOARD, module=HV, modules=(0, 1))
    other = MaxwellSettings(**BOARD, module=HV, modules=(1, 2))
    assert [at for at, _ in wrong(one, other)] == [(1, "modules")]


@pytest.mark.parametrize("first", ["discover", (4, 5)])
def test_who_discovers_has_the_line_for_itself(first):
    second = (0, 1) if first == "discover" else "discover"
    found = wrong(replace(INFYPOWER, modules=first), replace(INFYPOWER, modules=second))
    assert [(at, "takes all modules" in text) for at, text in found] == [((1, "modules"), True)]


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"modules": "all"}, ("modules",), 'must be "discover"'),
        ({"modules": []}, ("modules",), "at least 1"),
        ({"modules": [128]}, ("modules", 0), "at most 127"),
        ({"modules": list(range(33))}, ("modules",), "at most 32"),
        ({"max_a": 0}, ("max_a",), "must be a number (greater than 0"),
        ({"module": {"max_v": 1, "max_a": 1, "max_w": 1}}, ("module", "min_v"), "is missing"),
    ],
)
def test_what_the_types_refuse_is_told_at_its_place(change, path, says):
    table = {"driver": "infypower", **BOARD, **change}
    found = [(one.path, one.message) for one in schema.violations(table, ConverterSettings)]
    assert any(at == path and says in text for at, text in found), found


def test_a_family_that_cannot_tell_has_to_be_told():
    table = {"driver": "uugreen", **BOARD}
    assert any("module" in str(one) for one in schema.violations(table, ConverterSettings))
    whole = {**table, "module": {"min_v": 150, "max_v": 1000, "max_a": 100, "max_w": 30_000}}
    assert convert(whole, ConverterSettings) == replace(UUGREEN, modules="discover")


def test_every_make_has_addresses_and_its_own_patience():
    assert addresses(INFYPOWER)[-1] == 59
    assert addresses(R48XX)[0] == 1
    assert all(family(one).lost_s > 10.0 for one in (INFYPOWER, UUGREEN))
    assert family(R48XX).lost_s > 60.0
    assert not family(R48XX).stops_alone


# --- the line ---


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (CanSettings("can0"), None),
        (CanSettings("/dev/ttyACM0"), "channel"),
        (CanSettings("a-name-too-long-for-it"), "channel"),
        (CanSettings("/dev/ttyACM0", "slcan"), None),
        (CanSettings("can0", "slcan"), "channel"),
        (CanSettings("/dev/ttyACM0", "slcan", bitrate=123_456), "bitrate"),
        (CanSettings("239.74.163.2:43113", "udp_multicast"), None),
        (CanSettings("10.0.0.1:43113", "udp_multicast"), "channel"),
        (CanSettings("239.74.163.2", "udp_multicast"), "channel"),
        (CanSettings("anything", "virtual"), None),
    ],
)
def test_a_channel_fits_its_interface(settings, key):
    found = wrong_can(settings)
    assert (None if found is None else found[0]) == key
