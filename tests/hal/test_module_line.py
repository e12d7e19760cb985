"""Simulated modules: the frames of the hardware reference (chapter 4), and what they do."""

import math

import pytest

from hal.protocols import mxr
from hal.protocols.power_module import Alarm
from hal.sim.module_line import InfypowerLine, ModuleLine, MxrLine, R48xxLine, UUGreenLine
from hal.sim.power_module import SLOPE_V_PER_S, Load, SimulatedModule, SimulatedRack
from hal.types import CanFrame
from tests.support.can_frames import frame


def rack(*modules: SimulatedModule, load: Load | None = None) -> SimulatedRack:
    return SimulatedRack(list(modules), load or Load())


def said(line: ModuleLine, text: str, now_s: float = 0.0) -> list[CanFrame]:
    return list(line.answers(frame(text), now_s))


def measuring(address: int, voltage_v: float, current_a: float) -> SimulatedModule:
    return SimulatedModule(address, is_on=True, voltage_v=voltage_v, current_a=current_a)


def test_infypower_says_what_the_reference_has():
    module = measuring(0, 499.8, 24.5)
    module.group, module.starts_softly = 2, True
    line = InfypowerLine(rack(module))
    assert said(line, "028300F0") == [frame("0283F000 43 F9 E6 66 41 C4 00 00")]
    assert said(line, "028400F0") == [frame("0284F000 00 00 02 00 1B 00 40 00")]
    assert said(line, "028A00F0") == [frame("028AF000 03 E8 00 96 03 E8 0B B8")]
    assert said(line, "029C02F0 00 07 A1 20 00 00 C3 50") == []  # nobody is module 2


def test_infypower_does_what_the_reference_has():
    modules = SimulatedModule(0), SimulatedModule(2)
    line = InfypowerLine(rack(*modules))
    assert said(line, "029A3FF0 00 00 00 00 00 00 00 00") == []
    assert said(line, "029C3FF0 00 07 A1 20 00 00 C3 50") == []
    assert [(one.is_on, one.set_v, one.set_a) for one in modules] == [(True, 500.0, 50.0)] * 2
    assert said(line, "029C02F0 00 0B 71 B0 00 00 3A 98") == [
        frame("029CF002 00 0B 71 B0 00 00 3A 98")
    ]
    assert (modules[1].set_v, modules[1].set_a) == (750.0, 15.0)
    assert said(line, "029300F0 01") == [frame("0293F000 01")]
    assert modules[0].starts_softly
    assert said(line, "029A00F0 01") == [frame("029AF000 01")]
    assert not modules[0].is_on


def test_infypower_shows_alarms_where_the_reference_has_them():
    module = SimulatedModule(0, temperature_c=-5.0)
    module.alarms = {Alarm.OVER_TEMPERATURE, Alarm.INPUT_PHASE_LOST, Alarm.OUTPUT_SHORT}
    line = InfypowerLine(rack(module))
    assert said(line, "028400F0") == [frame("0284F000 00 00 00 00 FB 08 11 01")]


def test_winline_says_and_does_what_the_reference_has():
    module = measuring(0, 500.0, 20.0)
    line = MxrLine(rack(module), mxr.WINLINE)
    assert said(line, "06080780 10 00 00 01") == [frame("060F8000 41 F0 00 01 43 FA 00 00")]
    module.is_on = False
    assert said(line, "06080780 10 00 00 40") == [frame("060F8000 42 F0 00 40 00 40 00 00")]
    said(line, "06080780 03 00 00 21 43 FA 00 00")
    said(line, "06080780 03 00 00 1B 00 00 50 00")
    said(line, "06080780 03 00 00 30 00 00 00 00")
    assert (module.is_on, module.set_v, module.set_a) == (True, 500.0, 20.0)
    assert said(line, "0607FF80 03 00 00 30 00 01 00 00") == []
    assert not module.is_on


def test_the_other_dialect_sets_current_as_a_part_and_confirms_in_its_own_way():
    module = SimulatedModule(0)
    line = MxrLine(rack(module), mxr.DPM1000)
    (answer,) = said(line, "06080783 03 F0 00 22 3F 00 00 00")
    assert answer == frame("060F8003 43 F0 00 22 3F 00 00 00")
    assert module.set_a == 50.0


def test_uugreen_says_and_does_what_the_reference_has():
    module = measuring(1, 499.8, 0.0)
    line = UUGreenLine(rack(module))
    (answer,) = said(line, "02204000 02 00 00 00")
    assert answer.data == frame("0 03 00 00 00 00 07 A0 58").data
    assert answer.can_id & ~0x3FFF == 0x02204000
    said(line, "02204000 00 02 00 00 00 07 A1 20")
    said(line, "02204000 00 03 00 00 00 00 C3 50")
    assert (module.set_v, module.set_a) == (500.0, 50.0)
    said(line, "02204000 00 04 00 00 00 00 00 01")
    assert not module.is_on


def test_uugreen_changes_its_range_only_while_it_is_off():
    module = SimulatedModule(1, is_on=True, is_high=False)
    line = UUGreenLine(rack(module))
    said(line, "02204000 00 5F 00 00 00 00 00 01")
    assert not module.is_high
    said(line, "02204000 00 02 00 00 00 0B 71 B0")
    assert module.set_v == 500.0
    said(line, "02204000 00 04 00 00 00 00 00 01")
    said(line, "02204000 00 5F 00 00 00 00 00 01")
    said(line, "02204000 00 02 00 00 00 0B 71 B0")
    assert module.set_v == 750.0


def test_r48xx_says_and_does_what_the_reference_has():
    module = SimulatedModule(1, temperature_c=20.0, voltage_v=0xD5C8 / 1024)
    module.current_a = 0x7B2 / 1024
    line = R48xxLine(rack(module), 20.0)
    assert said(line, "108140FE") == [
        frame("1081407F 01 7F 00 00 00 00 50 00"),
        frame("1081407F 01 81 00 00 00 00 07 B2"),
        frame("1081407E 01 75 00 00 00 00 D5 C8"),
    ]
    assert said(line, "108180FE 01 00 00 00 00 00 D6 00") == [
        frame("1081807E 01 00 00 00 00 00 D6 00")
    ]
    said(line, "108080FE 01 03 00 00 00 00 01 F4")
    said(line, "108180FE 01 32 00 00 00 00 00 00")
    assert (module.is_on, module.set_v, module.set_a) == (True, 53.5, 25.0)
    said(line, "108180FE 01 32 00 01 00 00 00 00")
    assert not module.is_on


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (InfypowerLine(rack(SimulatedModule(0))), "0283F000"),  # from a module
        (InfypowerLine(rack(SimulatedModule(0))), "06080780 10 00 00 01"),
        (MxrLine(rack(SimulatedModule(0)), mxr.WINLINE), "060F8000 41 F0 00 01"),
        (MxrLine(rack(SimulatedModule(0)), mxr.WINLINE), "028300F0"),
        (UUGreenLine(rack(SimulatedModule(1))), "02204000 03"),
        (UUGreenLine(rack(SimulatedModule(1))), "028300F0"),
        (R48xxLine(rack(SimulatedModule(1)), 20.0), "1081407E"),
        (R48xxLine(rack(SimulatedModule(1)), 20.0), "028300F0"),
        (InfypowerLine(rack(SimulatedModule(0, is_silent=True))), "028300F0"),
        (InfypowerLine(rack(SimulatedModule(0, is_deaf=True))), "028300F0"),
    ],
)
def test_what_is_not_for_a_module_or_does_not_reach_it_has_no_answer(line, request_):
    assert said(line, request_) == []


# --- the output ---


def on(set_v: float, set_a: float, **options) -> SimulatedModule:
    return SimulatedModule(0, is_on=True, set_v=set_v, set_a=set_a, **options)


def test_a_module_regulates_its_voltage_until_its_current_is_reached():
    module = on(450.0, 100.0)
    assert rack(module, load=Load(0.0, 45.0)).delivered_a(0.0) == 10.0
    assert module.voltage_v == 450.0
    module = on(450.0, 100.0)
    assert rack(module, load=Load(400.0, 0.1)).delivered_a(0.0) == pytest.approx(66.667, 1e-4)
    assert module.voltage_v == pytest.approx(406.667)


def test_without_a_load_there_is_voltage_and_no_current():
    module = on(450.0, 10.0)
    assert rack(module).delivered_a(0.0) == 0.0
    assert module.voltage_v == 450.0


def test_a_battery_does_not_feed_a_module():
    module = on(350.0, 10.0)
    assert rack(module, load=Load(400.0, 0.1)).delivered_a(0.0) == 0.0
    assert module.voltage_v == 350.0


def test_modules_share_what_the_load_takes():
    modules = on(450.0, 10.0), on(450.0, 30.0)
    assert rack(*modules, load=Load(0.0, 22.5)).delivered_a(0.0) == pytest.approx(20.0)
    assert [one.current_a for one in modules] == pytest.approx([5.0, 15.0])


def test_a_soft_start_takes_its_time():
    module = SimulatedModule(0, set_v=400.0, set_a=10.0, starts_softly=True)
    module.switch(on=True, now_s=1.0)
    module.switch(on=True, now_s=2.0)  # it is on already
    assert module.wanted_v(2.0) == SLOPE_V_PER_S
    assert module.wanted_v(10.0) == 400.0


def test_a_module_whose_controller_is_silent_turns_off_and_says_so_later():
    module = on(400.0, 10.0)
    rack(module).settle(10.0)
    assert module.is_on
    rack(module).settle(10.1)
    assert not module.is_on
    assert module.alarms == {Alarm.COMMUNICATION_LOST}


def test_a_telecom_rectifier_falls_back_to_what_it_keeps():
    module = on(57.0, 10.0, watchdog_s=60.0, falls_back_to=(48.0, 2.0))
    rack(module).settle(60.1)
    assert (module.is_on, module.set_v, module.set_a) == (True, 48.0, 2.0)


def test_a_module_that_was_pulled_out_delivers_nothing():
    module = on(400.0, 10.0, is_away=True)
    assert rack(module, load=Load(0.0, 40.0)).delivered_a(0.0) == 0.0
    assert math.isinf(Load().resistance_ohm)
    assert rack().delivered_a(0.0) == 0.0
