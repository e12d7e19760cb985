"""The life of every meter that is asked for its reading again and again."""

import asyncio
from abc import abstractmethod
from typing import Final

from hal.api import EvseListener, Meter
from hal.drivers.rhythm import together
from hal.errors import HalError
from hal.types import Fault, MeterReading

FORGETTING: Final = 0.9
"""How much of the longest wait counts a poll later."""


class PolledMeter(Meter):
    """A meter that is polled.

    When no poll has been good for `fail_after_s`, it is faulty until the next good one
    (`Fault.POWER_METER_FAILURE`).
    """

    def __init__(self, *, poll_s: float = 1.0, fail_after_s: float = 10.0) -> None:
        """Take how often to poll.

        Args:
            poll_s: from one reading to the next, more than 0. A poll begins as much earlier
                as those before it had to wait for the line, but not in half of the time.
            fail_after_s: how long without a good reading makes a fault, more than 0.

        Raises:
            ValueError: a time is not more than 0.
        """
        if poll_s <= 0 or fail_after_s <= 0:
            raise ValueError(f"poll_s {poll_s} and fail_after_s {fail_after_s} must be above 0")
        self._poll_s, self._fail_after_s = poll_s, fail_after_s

    async def run(self, listener: EvseListener) -> None:
        """Poll and report until cancelled; trouble is reported, never raised."""
        loop = asyncio.get_running_loop()
        well_at, waits_s = loop.time(), 0.0
        is_faulty: bool | None = None  # None: nothing is known yet
        while True:
            begun_at = loop.time()
            try:
                reading = await self._poll()
            except HalError as error:
                listener.meter_failed(str(error))
                if not is_faulty and loop.time() - well_at >= self._fail_after_s:
                    is_faulty = True
                    listener.fault_raised(Fault.POWER_METER_FAILURE, str(error))
            else:
                well_at = loop.time()
                if is_faulty is not False:
                    is_faulty = False
                    listener.fault_cleared(Fault.POWER_METER_FAILURE)
                listener.meter_read(reading)
            # The longest wait of late, so that a reading comes in time even after such a one.
            waits_s = max(loop.time() - begun_at, waits_s * FORGETTING)
            due = begun_at + max(self._poll_s - waits_s, self._poll_s / 2)
            due = together(due, begun_s=begun_at, every_s=self._poll_s)
            await asyncio.sleep(max(due - loop.time(), 0.0))

    @abstractmethod
    async def _poll(self) -> MeterReading:
        """Return one plausible reading.

        Raises:
            BusError: the line did not carry the exchange.
            DeviceError: the meter refused, or said what cannot be.
        """
