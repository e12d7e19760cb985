"""Simulated devices of a DC outlet on their wire: an isolation monitor and a contactor.

Both are units on Modbus (`hal.sim.modbus_device`) that show what the outlet has, and change
it as they are told.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Literal, Self

from hal.protocols import isocha
from hal.protocols.isocha import Measurement
from hal.registers.map import RegisterMap
from hal.registers.map_file import BusNeeds, SerialDefaults
from hal.sim.dc_outlet import DcOutlet
from hal.sim.modbus_device import ModbusDeviceServer

TEST_S: Final = 4.0
"""How long a self test takes."""

RANGE_OHM: Final = 10e6
"""The most that the monitor measures."""

_R_F, _U_N = 71, 76  # channels of resistance and voltage
_COIL, _DISCRETE, _HOLDING = 1, 2, 3

_BLANK: Final = RegisterMap(
    id="blank",
    vendor="",
    model="",
    source="",
    verified="",
    phases=1,
    bus=BusNeeds(),
    serial=SerialDefaults(),
    points=(),
    identity=(),
    simulated={},
    max_power_w=0.0,
    lacks=(),
    probe=None,
    sunspec=None,
    evse=None,
)
"""A device without points: its registers are set."""

Framing = Literal["tcp", "rtu"]


class _Device:
    """A unit whose registers are made at each request."""

    def __init__(self, outlet: DcOutlet, unit: int, framing: Framing) -> None:
        self.outlet = outlet
        self.server = ModbusDeviceServer(_BLANK, unit=unit, framing=framing)
        self.server.on_request = self._shown
        self.server.on_write = self._written

    async def __aenter__(self) -> Self:
        await self.server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.server.stop()

    def _shown(self) -> None:
        """Bring the registers to what there is."""
        raise NotImplementedError

    def _written(self, table: int, address: int, words: Sequence[int]) -> None:
        """Do what was written."""
        raise NotImplementedError


class IsoChaDevice(_Device):
    """An isoCHA425.

    Attributes:
        alarm: what it shows beside the resistance (`hal.protocols.isocha`).
        is_deaf: it does not begin a self test when it is told to.
    """

    def __init__(self, outlet: DcOutlet, *, unit: int = 3, framing: Framing = "tcp") -> None:
        super().__init__(outlet, unit, framing)
        self.alarm = 0
        self.is_deaf = False
        self._tests_until = float("-inf")

    def _shown(self) -> None:
        ohms, is_testing = self.outlet.isolation_ohm, _now_s() < self._tests_until
        validity = isocha.BIGGER if ohms > RANGE_OHM else isocha.TRUE_VALUE
        resistance = Measurement(
            min(ohms, RANGE_OHM), isocha.OHM, validity, self.alarm, is_testing
        )
        volts = Measurement(self.outlet.outlet_v(), isocha.VOLT)
        self.server.set_words(isocha.ISOLATION, isocha.words_of(resistance, _R_F), fc=_HOLDING)
        self.server.set_words(isocha.VOLTAGE, isocha.words_of(volts, _U_N), fc=_HOLDING)

    def _written(self, table: int, address: int, words: Sequence[int]) -> None:
        is_test = (address, tuple(words)) == (isocha.SELF_TEST, (isocha.TEST_WORD,))
        if table == _HOLDING and is_test and not self.is_deaf:
            self._tests_until = _now_s() + TEST_S


class ContactorDevice(_Device):
    """An I/O module: coil 0 closes the contactor, discrete input 0 is its mirror contact."""

    def __init__(self, outlet: DcOutlet, *, unit: int = 1, framing: Framing = "tcp") -> None:
        super().__init__(outlet, unit, framing)

    def _shown(self) -> None:
        self.server.set_words(0, (int(self.outlet.contactor_closed),), fc=_DISCRETE)

    def _written(self, table: int, address: int, words: Sequence[int]) -> None:
        if (table, address) == (_COIL, 0):
            self.outlet.switch(closed=words[0] == 1)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
