"""Bender isoCHA425 and isoCHA423: an isolation monitor on Modbus RTU.

It is polled twice a second and told nothing but to test itself: its thresholds are set by the
installer, and judged here is what it measures. A self test has been made when it was seen to
test and to have stopped doing so; one that is never seen has not been made.

Voltage is told if it has any. Without a good poll for `fail_after_s` it is lost
(`Fault.COMMUNICATION_FAULT`).
"""

import asyncio
from typing import Final

from hal.bus.modbus import ModbusPort
from hal.bus.turns import Priority
from hal.dc_api import IsolationListener, IsolationMonitor
from hal.dc_types import IsolationReading
from hal.errors import BusError, DeviceError, HalError
from hal.protocols import isocha
from hal.protocols.isocha import Measurement
from hal.types import Fault

POLL_S: Final = 0.5
FAIL_AFTER_S: Final = 3.0
TEST_S: Final = 30.0
BEGINS_S: Final = 5.0
"""How long a self test may take, and how soon it has to be seen (hardware reference 1.4; the
second has no source)."""

_READ_HOLDING: Final = 3
_COUNT: Final = isocha.VOLTAGE + isocha.WORDS - isocha.ISOLATION


class IsoCha(IsolationMonitor):
    """A monitor at one unit of a Modbus port."""

    def __init__(
        self,
        port: ModbusPort,
        unit: int = 3,
        *,
        poll_s: float = POLL_S,
        fail_after_s: float = FAIL_AFTER_S,
    ) -> None:
        """Say where the monitor is; nothing is sent yet.

        Args:
            port: the line that it is on; shared with other devices.
            unit: its address, 1 to 255; 3 when it leaves the maker.
            poll_s: from one poll to the next, more than 0.
            fail_after_s: how long without a good poll makes a loss, more than 0.

        Raises:
            ValueError: a time is not more than 0.
        """
        if poll_s <= 0 or fail_after_s <= 0:
            raise ValueError(f"poll_s {poll_s} and fail_after_s {fail_after_s} must be above 0")
        self._port, self._unit = port, unit
        self._poll_s, self._fail_after_s = poll_s, fail_after_s
        self._last: Measurement | None = None
        self._polled = asyncio.Condition()

    async def run(self, listener: IsolationListener) -> None:
        """Poll and report until cancelled; trouble is reported, never raised."""
        loop = asyncio.get_running_loop()
        well_at, is_lost, is_defective = loop.time(), None, False
        while True:
            due = loop.time() + self._poll_s
            try:
                isolation, volts = await self._measured()
            except HalError as error:
                await self._took(None)
                if not is_lost and loop.time() - well_at >= self._fail_after_s:
                    is_lost = True
                    listener.fault_raised(Fault.COMMUNICATION_FAULT, str(error))
            else:
                well_at = loop.time()
                if is_lost is not False:
                    is_lost = False
                    listener.fault_cleared(Fault.COMMUNICATION_FAULT)
                if isolation.alarm == isocha.DEVICE_ERROR and not is_defective:
                    is_defective = True
                    listener.fault_raised(
                        Fault.INTERNAL_ERROR, "the isolation monitor is defective"
                    )
                if (reading := _reading(isolation, volts)) is not None:
                    listener.isolation_read(reading)
                await self._took(isolation)
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def self_test(self) -> bool:
        """Let it test itself; see `IsolationMonitor.self_test`.

        Raises:
            BusError: it did not answer, or was not seen to test itself in time.
            DeviceError: it refused.
        """
        await self._port.write(
            self._unit,
            isocha.SELF_TEST,
            (isocha.TEST_WORD,),
            priority=Priority.COMMAND,
        )
        await self._until_testing(testing=True, within_s=BEGINS_S)
        last = await self._until_testing(testing=False, within_s=TEST_S)
        return last.alarm != isocha.DEVICE_ERROR

    async def _until_testing(self, *, testing: bool, within_s: float) -> Measurement:
        """Wait for a poll that shows a test, or the end of one.

        Raises:
            BusError: there was none in time.
        """
        try:
            async with asyncio.timeout(within_s), self._polled:
                while True:
                    await self._polled.wait()
                    if self._last is not None and self._last.is_testing is testing:
                        return self._last
        except TimeoutError:
            what = "begun" if testing else "ended"
            raise BusError(f"the self test has not {what} within {within_s:g} s") from None

    async def _took(self, item: Measurement | None) -> None:
        async with self._polled:
            self._last = item
            self._polled.notify_all()

    async def _measured(self) -> tuple[Measurement, Measurement]:
        """Return isolation and voltage.

        Raises:
            BusError: the line did not carry the exchange.
            DeviceError: it refused, or what is there is no isolation resistance.
        """
        words = await self._port.read(self._unit, _READ_HOLDING, isocha.ISOLATION, _COUNT)
        isolation = isocha.measurement(words[: isocha.WORDS])
        volts = isocha.measurement(words[-isocha.WORDS :])
        if isolation.unit != isocha.OHM:
            raise DeviceError(f"unit {isolation.unit} at {isocha.ISOLATION} is not that of Ω")
        return isolation, volts


def _reading(isolation: Measurement, volts: Measurement) -> IsolationReading | None:
    """Return what is surely known, None when there is no measurement."""
    ohms = isolation.at_least
    if ohms is None or isolation.alarm == isocha.DEVICE_ERROR:
        return None
    is_volts = volts.unit == isocha.VOLT and volts.validity == isocha.TRUE_VALUE
    return IsolationReading(
        resistance_ohm=ohms,
        voltage_v=volts.at_least if is_volts else None,
        is_alarm=isolation.alarm not in isocha.WARNINGS,
    )
