import re
from pathlib import Path

import pytest

from hal.files import FileProblems
from hal.registers.codec import decode
from hal.registers.commands import Grant, Table, Write
from hal.registers.map import RegisterMap, load_map
from hal.registers.vocabulary import STATES, UNITS, VOCABULARY, pilot_state

DIRECTORY = Path(__file__).parents[2] / "config/registers"

HEADER = """\
schema = 1
kind = "meter"
id = "test"
vendor = "Maker"
model = "Model"
source = "page 1"
phases = 1
"""
POINTS = """\
[points]
voltage_l1 = { addr = 0, unit = "V" }
current_l1 = { addr = 2, unit = "A" }
power_total = { addr = 4, unit = "W" }
energy_import = { addr = 6, unit = "Wh" }
"""


def loaded(tmp_path, text: str) -> RegisterMap:
    path = tmp_path / "map.toml"
    path.write_text(text)
    return load_map(path)


def problems(tmp_path, text: str) -> list[str]:
    with pytest.raises(FileProblems) as caught:
        loaded(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]


def with_point(name: str, entry: str, vector: str = "") -> str:
    """Return a map whose last point, on line 13, is the given one."""
    others = "".join(
        line + "\n" for line in POINTS.splitlines() if not line.startswith(f"{name} ")
    )
    body = HEADER + others
    body += "# filling\n" * (12 - body.count("\n")) + f"{name} = {entry}\n"
    return body + vector


@pytest.mark.parametrize("path", sorted(DIRECTORY.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_map_loads(path):
    register_map = load_map(path)
    assert path.stem == register_map.id or path.stem.startswith("_template")
    names = {point.name for point in register_map.points}
    assert ("energy_import" if register_map.evse is None else "state") in names


def test_the_sdm630_says_what_its_maker_says():
    register_map = load_map(DIRECTORY / "eastron-sdm630.toml")
    assert (register_map.id, register_map.vendor, register_map.phases) == (
        "eastron-sdm630",
        "Eastron",
        3,
    )
    assert (register_map.serial.baudrate, register_map.serial.parity) == (9600, "N")
    points = {point.name: point for point in register_map.points}
    assert (points["energy_import"].fc, points["energy_import"].address) == (4, 0x48)
    assert decode(points["energy_import"], [0x449A, 0x5000]) == 1_234_500.0
    assert points["energy_import"].is_monotonic
    assert points["frequency"].is_optional
    assert (points["voltage_l3"].minimum, points["voltage_l3"].maximum) == (0, 300)
    assert register_map.max_power_w == 60_000


def test_the_least_map_takes_every_default(tmp_path):
    register_map = loaded(tmp_path, HEADER + POINTS)
    assert (register_map.bus.max_registers, register_map.bus.max_gap) == (80, 8)
    assert (register_map.serial.stopbits, register_map.serial.unit) == (1, 1)
    assert {(point.fc, point.type, point.word_order) for point in register_map.points} == {
        (4, "float32", "big")
    }


def test_defaults_hold_for_points_that_say_nothing_else(tmp_path):
    text = HEADER + '[defaults]\nfc = 3\ntype = "int32"\nword_order = "little"\n' + POINTS
    register_map = loaded(
        tmp_path, text.replace("addr = 2,", 'addr = 2, type = "uint16", fc = 4,')
    )
    points = {point.name: point for point in register_map.points}
    assert (points["voltage_l1"].fc, points["voltage_l1"].type) == (3, "int32")
    assert points["voltage_l1"].word_order == "little"
    assert (points["current_l1"].fc, points["current_l1"].type) == (4, "uint16")
    assert points["current_l1"].na == {0xFFFF}
    assert points["voltage_l1"].step == 1.0


def test_all_figures_of_a_point_are_in_its_unit(tmp_path):
    entry = '{ addr = 8, unit = "kW", type = "int16", scale = 0.1, offset = 5, invert = true, min = -9, max = 22, na = [7], step = 0.5 }'
    vector = '[[vector]]\npoint = "power_total"\nwords = [20]\nvalue = -7000\n'
    register_map = loaded(tmp_path, with_point("power_total", entry, vector))
    (point,) = [point for point in register_map.points if point.name == "power_total"]
    assert decode(point, [20]) == -7000.0
    assert (point.factor, point.offset) == (-100, -5000)
    assert decode(point, [7]) is None
    assert (point.minimum, point.maximum, point.step) == (-9000, 22_000, 500)
    assert register_map.max_power_w == 22_000


def test_the_powers_of_the_conductors_make_a_total(tmp_path):
    text = with_point("power_total", "").replace(
        "power_total = \n", 'power_l1 = { addr = 8, unit = "W", max = 9000, min = -10 }\n'
    )
    assert loaded(tmp_path, text).max_power_w == 9000


def test_two_points_may_be_the_same_register(tmp_path):
    text = HEADER + POINTS + 'power_l1 = { addr = 4, unit = "W" }\n'
    assert len(loaded(tmp_path, text).points) == 5


def test_every_word_of_the_vocabulary_has_units_and_a_range():
    for quantity in VOCABULARY.values():
        assert quantity.minimum < quantity.maximum
        assert UNITS[quantity.unit][quantity.unit] == 1


def test_every_label_of_a_state_is_a_pilot_state():
    assert {pilot_state(label).value for label in STATES} == set("ABCDEF")


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("volts", '{ addr = 8, unit = "V" }', "map.toml:13: unknown point 'volts'; allowed: voltage_l1, "),
        ("power_total", '{ addr = 8, unit = "kWh" }', "map.toml:13: power_total cannot be in 'kWh'; allowed: 'W', 'mW', 'kW'"),
        ("power_total", "{ addr = 8 }", "map.toml:13: power_total cannot be in ''; allowed: 'W'"),
        ("power_total", '{ addr = 8, unit = "W", scale = 0 }', "map.toml:13: scale must be above 0, not 0"),
        ("power_total", '{ addr = 8, unit = "W", scale = -1.0 }', "map.toml:13: scale must be above 0, not -1.0; invert"),
        ("power_total", '{ addr = 8, unit = "W", step = 0.0 }', "map.toml:13: step must be above 0, not 0.0"),
        ("power_total", '{ addr = 8, unit = "W", offset = nan }', "map.toml:13: offset must be a finite number, not nan"),
        ("power_total", '{ addr = 8, unit = "W", max = inf }', "map.toml:13: max must be a finite number, not inf"),
        ("power_total", '{ addr = 8, unit = "W", min = 5, max = 5 }', "map.toml:13: min 5 W must be below max 5 W"),
        ("power_total", '{ addr = 8, unit = "kW", min = 100 }', "map.toml:13: min 100000 W must be below max 60000 W"),
        ("power_total", '{ addr = 8, unit = "W", type = "int16", na = [65536] }', "map.toml:13: a pattern is 0 to 0xffff"),
        ("power_total", '{ addr = 8, unit = "W", na = [-1] }', "map.toml:13: a pattern is 0 to 0xffffffff"),
        ("power_total", '{ addr = 0xFFFF, unit = "W" }', "map.toml:13: 2 words at 0xffff end behind 0xffff"),
        ("power_total", '{ addr = 8, unit = "W", monotonic = true }', "map.toml:13: energy registers are monotonic, and nothing else"),
        ("energy_import", '{ addr = 8, unit = "Wh", monotonic = false }', "map.toml:13: energy registers are monotonic, and nothing else"),
        ("energy_import", '{ addr = 8, unit = "Wh", optional = true }', "map.toml:13: energy_import is what is billed"),
        ("power_l1", '{ addr = 3, unit = "W" }', "map.toml:13: power_l1 lies in the words of current_l1"),
        ("power_total", '{ addr = 8, unit = "kW" }', "map.toml:13: power_total is scaled or converted: a [[vector]] must show it"),
        ("power_total", '{ addr = 8, unit = "W", invert = true }', "map.toml:13: power_total is scaled or converted"),
        ("power_total", '{ addr = 8, unit = "W", offset = 1 }', "map.toml:13: power_total is scaled or converted"),
        ("power_total", '{ addr = 8, unit = "W", fc = 1, type = "int16" }', "map.toml:13: table 1 holds bits: they have neither type nor na"),
        ("power_total", '{ addr = 8, unit = "W", fc = 2, na = [1] }', "map.toml:13: table 2 holds bits"),
        ("power_total", '{ addr = 8, unit = "W", mask = 255 }', "map.toml:13: a mask needs an unsigned type"),
        ("power_total", '{ addr = 8, unit = "W", type = "uint16", mask = 65536 }', "map.toml:13: a mask of uint16 is at most 0xffff"),
        ("power_total", '{ addr = 8, unit = "W", type = "uint16", mask = 255 }', "map.toml:13: power_total is scaled or converted"),
        ("power_total", '{ addr = 8, unit = "W", type = "int16", exponent = "w_sf" }', "map.toml:13: there is no exponent 'w_sf' (known: none)"),
        ("power_total", '{ addr = 8, unit = "W", exponent = "w_sf" }', "map.toml:13: an exponent belongs to an integer"),
        ("power_total", '{ addr = 8, unit = "W", enum = { 1 = "A" } }', "map.toml:13: enum belongs to state"),
        ("power_total", '{ addr = 8, unit = "W", bits = { 1 = "OverCurrent" } }', "map.toml:13: bits belongs to error_bits"),
        ("state", "{ addr = 8 }", "map.toml:13: unknown point 'state'; allowed: voltage_l1, "),
        ("power_total", '{ adr = 8, unit = "W" }', "map.toml:13: points.power_total.adr"),
        ("power_total", '{ addr = 65536, unit = "W" }', "map.toml:13: points.power_total.addr"),
        ("power_total", '{ addr = 8, unit = "W", type = "float16" }', "map.toml:13: points.power_total.type"),
    ],
)  # fmt: skip
def test_a_wrong_point_is_refused_with_its_line(tmp_path, name, entry, message):
    found = problems(tmp_path, with_point(name, entry))
    assert any(line.startswith(message) for line in found), found


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ('point = "volts"\nwords = [0, 0]\nvalue = 0', "map.toml:15: 'volts' is not in [points]"),
        ('point = "power_total"\nwords = [0]\nvalue = 0', "map.toml:14: float32 takes 2 words, not 1"),
        ('point = "power_total"\nwords = [0x4366, 0x199A]\nvalue = 230.2', "map.toml:14: the words mean 230.10000610351562 W, not 230.2"),
        ('point = "power_total"\nwords = [0x4366, 0x199A]\nvalue = nan', "map.toml:14: the words mean 230.10000610351562 W, not nan"),
        ('point = "power_total"\nwords = [0x7FC0, 0]\nvalue = 1', "map.toml:14: the words mean absent, not 1.0 W"),
        ('point = "power_total"\nwords = [0, 0]\nvalue = "absent"', "map.toml:14: the words mean 0.0 W, not absent"),
        ('point = "power_total"\nwords = [0, 65536]\nvalue = 0', "map.toml:16: vector[0].words[1]"),
    ],
)  # fmt: skip
def test_a_vector_that_does_not_hold_is_refused_with_its_line(tmp_path, vector, message):
    text = with_point("power_total", '{ addr = 8, unit = "W" }', f"[[vector]]\n{vector}\n")
    found = problems(tmp_path, text)
    assert any(line.startswith(message) for line in found), found


@pytest.mark.parametrize("value", ["230.1", '"absent"'])
def test_a_vector_that_holds_is_enough(tmp_path, value):
    words = "[0x4366, 0x199A]" if value == "230.1" else "[0x7FC0, 0]"
    vector = f'[[vector]]\npoint = "power_total"\nwords = {words}\nvalue = {value}\n'
    assert loaded(tmp_path, with_point("power_total", '{ addr = 8, unit = "W" }', vector))


def test_what_a_meter_needs_is_asked_for(tmp_path):
    text = (
        HEADER.replace("phases = 1", "phases = 3")
        + '[points]\nvoltage_l1 = { addr = 0, unit = "V" }\n'
    )
    assert problems(tmp_path, text) == [
        f"map.toml:8: {message}"
        for message in (
            "a meter with phases = 3 needs energy_import",
            "a meter with phases = 3 needs voltage_l2",
            "a meter with phases = 3 needs voltage_l3",
            "a meter with phases = 3 needs current_l1",
            "a meter with phases = 3 needs current_l2",
            "a meter with phases = 3 needs current_l3",
            "a meter needs power_total, or else power_l1 and power_l2 and power_l3",
        )
    ]


def test_what_a_meter_of_direct_current_needs_is_asked_for(tmp_path):
    volts = '[points]\nvoltage_dc = { addr = 0, unit = "V" }\n'
    assert problems(tmp_path, HEADER + volts) == [
        "map.toml:8: a meter of direct current needs energy_import",
        "map.toml:8: a meter of direct current needs current_dc",
    ]
    whole = (
        HEADER
        + volts
        + 'current_dc = { addr = 2, unit = "A", max = 200 }\n'
        + 'energy_import = { addr = 4, unit = "Wh", type = "uint32" }\n'
    )
    assert loaded(tmp_path, whole).max_power_w == 1500.0 * 200.0
    told = whole + 'power_total = { addr = 6, unit = "W", min = -90000, max = 90000 }\n'
    assert loaded(tmp_path, told).max_power_w == 90_000.0


def test_every_mistake_is_reported_at_once(tmp_path):
    text = (
        HEADER
        + POINTS.replace('"V"', '"A"').replace('"Wh"', '"kWh"')
        + '[[vector]]\npoint = "voltage_l1"\nwords = [0, 0]\nvalue = 1\n'
        + '[[vector]]\npoint = "power_total"\nwords = [0, 0]\nvalue = 1\n'
    )
    found = problems(tmp_path, text)
    assert [line.split(":")[1] for line in found] == ["9", "12", "17"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("schema = 1", "schema = 2"), "map.toml:1: schema"),
        (("meter", "reader"), "map.toml:2: kind"),
        (('id = "test"', 'id = "Te st"'), "map.toml:3: id"),
        (("phases = 1", "phases = 2"), "map.toml:7: phases"),
        (("[points]", "[bus]\nmax_registers = 126\n[points]"), "map.toml:9: bus.max_registers"),
        (("[points]", "[serial]\nparity = 'X'\n[points]"), "map.toml:9: serial.parity"),
        (("[points]", "[sensors]\n[points]"), "map.toml:8: sensors"),
        (("[points]", "[startup]\nwrites = [{ addr = 1, value = 1 }]\n[points]"), "map.toml:8: a meter has no [startup]; nothing is ever written"),
        (("[points]", "[probe]\npoint = 'volts'\nmin = 1\nmax = 2\n[points]"), "map.toml:9: 'volts' is not in [points]"),
        (("[points]", "[identity]\nname = { addr = 1, type = 'uint16' }\n[points]"), "map.toml:9: unknown name 'name'; allowed: serial_number, model, firmware"),
        (("[points]", "[identity]\nmodel = { addr = 1, type = 'string' }\n[points]"), "map.toml:9: string: words is missing"),
        (("[points]", "[identity]\nmodel = { addr = 1, type = 'uint32', words = 2 }\n[points]"), "map.toml:9: uint32: words has its own"),
        (("[points]", "[bus]\nmax_registers = 1\n[points]"), "map.toml:11: voltage_l1 needs 2 words at once; the device gives 1"),
    ],
)  # fmt: skip
def test_a_wrong_heading_is_refused_with_its_line(tmp_path, change, message):
    found = problems(tmp_path, (HEADER + POINTS).replace(*change))
    assert any(line.startswith(message) for line in found), found


# --- exponents and identity ---

SCALED = """\
[defaults]
fc = 3
type = "int16"
[exponents]
w_sf = { addr = 9, sim = -1 }
[points]
voltage_l1 = { addr = 0, unit = "V" }
current_l1 = { addr = 2, unit = "A" }
power_total = { addr = 4, unit = "W", exponent = "w_sf" }
energy_import = { addr = 6, unit = "Wh" }
[[vector]]
point = "power_total"
words = [2300]
exponent = -1
value = 230.0
"""


def test_a_point_may_take_its_power_of_ten_from_another_register(tmp_path):
    register_map = loaded(tmp_path, HEADER + SCALED)
    (point,) = [point for point in register_map.points if point.exponent is not None]
    assert (point.name, point.exponent.address, point.exponent.simulated) == (
        "power_total",
        9,
        -1,
    )


def test_a_point_whose_exponent_is_out_of_reach_is_refused(tmp_path):
    text = HEADER + "[bus]\nmax_registers = 5\n" + SCALED
    assert problems(tmp_path, text) == [
        "map.toml:18: power_total needs 6 words at once; the device gives 5"
    ]


def test_a_point_with_an_exponent_needs_a_vector(tmp_path):
    text = (HEADER + SCALED).replace('point = "power_total"', 'point = "energy_import"')
    assert any("power_total is scaled" in line for line in problems(tmp_path, text))


IDENTITY = """\
[identity]
serial_number = { addr = 0x100, fc = 3, type = "uint32", sim = "77" }
model = { addr = 0x200, type = "string", words = 2, word_order = "little" }
[[vector]]
point = "serial_number"
words = [0x00BC, 0x614E]
value = "12345678"
"""


def test_a_device_may_say_who_it_is(tmp_path):
    register_map = loaded(tmp_path, HEADER + POINTS + IDENTITY)
    serial, model = register_map.identity
    assert (serial.name, serial.fc, serial.address, serial.count) == (
        "serial_number",
        3,
        0x100,
        2,
    )
    assert (model.fc, model.count, model.word_order) == (4, 2, "little")
    assert register_map.simulated == {"serial_number": "77", "model": ""}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[0x00BC, 0x614E]", "[1]"), "map.toml:16: serial_number takes 2 words, not 1"),
        (('"12345678"', '"1"'), "map.toml:16: the words mean '12345678', not '1'"),
        (('"12345678"', "1"), "map.toml:16: the words mean '12345678', not 1.0"),
    ],
)
def test_a_vector_of_text_must_hold(tmp_path, change, message):
    text = HEADER + POINTS + IDENTITY.replace(*change)
    assert any(line.startswith(message) for line in problems(tmp_path, text))


# --- controllers ---

CONTROLLER = (DIRECTORY / "_template-evse.toml").read_text()


def test_a_controller_says_what_it_is_and_what_it_can_be_told(tmp_path):
    register_map = loaded(tmp_path, CONTROLLER)
    assert register_map.evse is not None
    assert register_map.max_power_w == 0
    assert register_map.lacks[0] == "a meter with phases = 3 needs energy_import"
    points = {point.name: point for point in register_map.points}
    assert points["state"].labels == {1: "A", 2: "B1", 3: "C2", 14: "E"}
    assert points["state"].faults == {14: "PilotFault"}
    assert points["error_bits"].bits == {0: "DiodeFault", 7: "GroundFailure"}
    assert points["state"].na == frozenset()
    part = register_map.evse
    assert part.set_current.write(16).words == (160,)
    assert part.enable.write(on=True).fc == 5
    assert part.lock.write(on=False).words == (0,)
    assert [one.address for one in part.startup] == [258, 2000]
    assert part.startup[1].nv
    assert [one.address for one in part.watchdog.arm] == [262, 257]


def test_the_least_controller_has_a_state_and_a_current(tmp_path):
    text = HEADER.replace("meter", "evse") + (
        '[points]\nstate = { addr = 0, type = "uint16", enum = { 1 = "A" } }\n'
        '[commands.set_current]\naddr = 1\nunit = "A"\nallowed = "0|6..16"\n'
    )
    part = loaded(tmp_path, text).evse
    assert (part.enable, part.lock, part.watchdog, part.startup) == (None, None, None, ())


def test_a_controller_may_be_a_meter_as_well(tmp_path):
    text = re.sub(r"\[commands.three_phases\][^\[]*", "", CONTROLLER)
    text = text.replace("phases = 3", "phases = 1")
    text = text.replace(
        "[points]\n",
        '[points]\nvoltage_l1 = { addr = 1, unit = "V" }\ncurrent_l1 = { addr = 2, unit = "A" }\n'
        'power_l1 = { addr = 3, unit = "W" }\nenergy_import = { addr = 4, unit = "Wh" }\n',
    )
    register_map = loaded(tmp_path, text)
    assert register_map.lacks == ()
    assert register_map.max_power_w == 20_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("phases = 3", "phases = 1"), "a controller of one phase has none to switch"),
        (('3 = "C2"', '3 = "C3"'), "'C3' is unknown; allowed: A, A1, A2, B"),
        (('3 = "C2"', 'x = "C2"'), "'x' is no number"),
        (('"PilotFault" } }', '"Sunburn" } }'), "'Sunburn' is unknown; allowed: CommunicationFault"),
        (('{ 0x0E = "PilotFault" }', '{ 9 = "PilotFault" }'), "9 is a fault; enum must say which state it is"),
        (("enum = {", "labels = {"), "points.state.labels"),
        (('addr = 103, bits = { 0 = "DiodeFault", 7 = "GroundFailure" }', "addr = 103"), "error_bits needs bits"),
        (("state       = { addr = 100,", "state = { optional = true, addr = 100,"), "state is what everything hangs on"),
        (('state       = { addr = 100, enum = { 1 = "A", 2 = "B1", 3 = "C2", 0x0E = "E" }, faults = { 0x0E = "PilotFault" } }', ""), "a controller needs state"),
        (('allowed  = "0|6..32"', 'allowed  = "0|5..32"'), "a current is 0 or 6 to 80 A"),
        (("write = 15_000", "write = 150_000"), "uint16 cannot carry 150000"),
        (("addr = 258, value = 4", "addr = 258, value = 70000"), "startup.writes[0].value"),
        (("[startup]", "[[grant]]\nstate = 4\naddr = 0\nwords = [5]\n[startup]"), "4 is no state of [points]"),
        (("readback = true", "table = { unit = 9, words = 8, confirm = 2 }\nnv = true"), "a table is written by function 16"),
    ],
)  # fmt: skip
def test_a_wrong_controller_is_refused(tmp_path, change, message):
    assert change[0] in CONTROLLER
    found = problems(tmp_path, CONTROLLER.replace(*change))
    assert any(message in line for line in found), found


def test_a_controller_may_ask_and_share_its_current_with_others(tmp_path):
    text = CONTROLLER.replace("readback = true", "table = { unit = 9, words = 8, confirm = 2 }")
    text = text.replace(
        "[startup]", "[[grant]]\nstate = 2\naddr = 0\nwords = [5, 0]\n[startup]"
    )
    part = loaded(tmp_path, text).evse
    assert part.set_current.table == Table(unit=9, count=8, confirm=2)
    assert part.set_current.readback  # nobody answers to it, so it is always read
    assert part.set_current.write(16.0).table is part.set_current.table
    assert part.grants == (Grant(2, Write(16, 0, (5, 0))),)


def test_a_meter_is_never_answered(tmp_path):
    text = HEADER + POINTS + "[[grant]]\nstate = 2\naddr = 0\nwords = [5]\n"
    assert (
        "a meter has no [grant]; nothing is ever written to it" in problems(tmp_path, text)[0]
    )


def test_a_controller_without_a_current_is_none(tmp_path):
    start, end = CONTROLLER.index("[commands.set"), CONTROLLER.index("[watchdog]")
    found = problems(tmp_path, CONTROLLER[:start] + CONTROLLER[end:])
    assert found == ["map.toml:1: a controller needs [commands.set_current]"]


def test_bits_are_points_of_one_bit(tmp_path):
    text = CONTROLLER.replace(
        "outlet      = { addr = 101, mask = 0x0100 }", "outlet = { addr = 101, fc = 2 }"
    )
    text = text.replace('point = "outlet"\nwords = [0x0100]', 'point = "outlet"\nwords = [1]')
    points = {point.name: point for point in loaded(tmp_path, text).points}
    assert (points["outlet"].fc, points["outlet"].count, points["outlet"].na) == (
        2,
        1,
        frozenset(),
    )
