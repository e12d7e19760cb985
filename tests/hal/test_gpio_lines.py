"""Lines through libgpiod: how they are asked for; the kernel behind it is not here."""

import asyncio

import gpiod
import pytest
from gpiod.line import Bias, Direction, Value

from hal.bus.gpio_lines import GpiodLines
from hal.drivers.gpio_input import LOOK_S, GpioInput
from hal.gpio_settings import InputLine, OutputLine
from tests.support import vloop
from tests.support.contract_hal import INPUT_CLAUSES, clause_name, listening

OUTPUTS = {"contactor": OutputLine(17), "lamp": OutputLine(4, active_low=True)}
INPUTS = {"mirror": InputLine(27, active_low=True, bias="pull_up"), "stop": InputLine(5)}


class Request:
    """What libgpiod gives for lines, as far as it is used."""

    def __init__(self, config: dict[int, gpiod.LineSettings]) -> None:
        self.config, self.is_released = config, False
        self.values = {line: one.output_value for line, one in config.items()}

    def set_value(self, line: int, value: Value) -> None:
        self.values[line] = value

    def get_values(self, lines: list[int]) -> list[Value]:
        return [self.values[line] for line in lines]

    def release(self) -> None:
        self.is_released = True


@pytest.fixture
def requests(monkeypatch) -> list[Request]:
    made: list[Request] = []

    def request_lines(path, config, consumer):
        if 99 in config:
            raise OSError("Device or resource busy")
        assert (path, consumer) == ("/dev/gpiochip0", "pilotwire")
        made.append(Request(config))
        return made[-1]

    monkeypatch.setattr(gpiod, "request_lines", request_lines)
    return made


def test_outputs_begin_inactive_and_inputs_have_their_bias(requests):
    GpiodLines("/dev/gpiochip0", OUTPUTS, INPUTS)
    driven, read = (request.config for request in requests)
    assert {one.direction for one in driven.values()} == {Direction.OUTPUT}
    assert {one.output_value for one in driven.values()} == {Value.INACTIVE}
    assert {line: one.active_low for line, one in driven.items()} == {17: False, 4: True}
    assert {one.direction for one in read.values()} == {Direction.INPUT}
    assert (read[27].bias, read[27].active_low) == (Bias.PULL_UP, True)
    assert (read[5].bias, read[5].active_low) == (Bias.AS_IS, False)


def test_lines_are_driven_and_read_by_name_until_they_are_let_go(requests):
    lines = GpiodLines("/dev/gpiochip0", OUTPUTS, INPUTS)
    lines.set("lamp", active=True)
    assert requests[0].values == {17: Value.INACTIVE, 4: Value.ACTIVE}
    lines.set("lamp", active=False)
    assert requests[0].values[4] == Value.INACTIVE
    requests[1].values[5] = Value.ACTIVE
    assert lines.get() == {"mirror": False, "stop": True}
    lines.close()
    assert all(request.is_released for request in requests)


def test_a_board_may_have_only_outputs_or_only_inputs(requests):
    assert GpiodLines("/dev/gpiochip0", OUTPUTS, {}).get() == {}
    GpiodLines("/dev/gpiochip0", {}, INPUTS).set("nothing", active=True)
    assert len(requests) == 2


def test_lines_that_can_be_had_only_in_part_are_let_go_again(requests):
    with pytest.raises(OSError, match="busy"):
        GpiodLines("/dev/gpiochip0", OUTPUTS, {"mirror": InputLine(99)})
    assert [request.is_released for request in requests] == [True]


class InputRig:
    """A line that a test moves."""

    def __init__(self) -> None:
        self.is_active = self.is_gone = False
        self.closed = 0
        self.input = GpioInput("/dev/gpiochip0", InputLine(5), requested=self.requested)

    def requested(self, chip, outputs, inputs):
        assert (chip, outputs, list(inputs)) == ("/dev/gpiochip0", {}, ["input"])
        if self.is_gone:
            raise OSError(chip)
        return self

    def set(self, name, *, active):
        raise AssertionError(name)

    def get(self):
        if self.is_gone:
            raise OSError("gone")
        return {"input": self.is_active}

    def close(self):
        self.closed += 1

    async def activate(self, *, active: bool) -> None:
        self.is_active = active

    async def lose(self) -> None:
        self.is_gone = True


@pytest.mark.parametrize("clause", INPUT_CLAUSES, ids=clause_name)
def test_an_input_keeps_the_contract(clause):
    rig = InputRig()
    vloop.run(clause(rig))
    assert rig.closed == 1


def test_an_input_that_bounces_is_active_until_it_stays_open():
    async def main():
        rig = InputRig()
        async with listening(rig) as (told, until):
            await until(lambda: told == [False])
            await rig.activate(active=True)
            await until(lambda: told[-1])
            for active in (False, True, False):
                await rig.activate(active=active)
                await asyncio.sleep(LOOK_S)
            assert told == [False, True]
            await until(lambda: not told[-1])

    vloop.run(main())


def test_an_input_that_comes_back_is_read_again():
    async def main():
        rig = InputRig()
        await rig.lose()
        async with listening(rig) as (told, until):
            await until(lambda: told == [True])
            rig.is_gone = False
            await until(lambda: told == [True, False])

    vloop.run(main())
