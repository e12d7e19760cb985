"""What a simulated EVSE tells its listener: levels as they are, faults as they come and go."""

from collections.abc import Mapping

from hal.api import EvseListener
from hal.types import Fault, IdToken, MeterReading, PilotState


class Reports:
    """One listener at a time, and what it was told.

    A controller that `Fault.COMMUNICATION_FAULT` has made silent tells no level, and of the
    faults only this one; meter and reader are devices of their own and go on.

    Args:
        faults: what is broken, with a text for people; changed by the owner.

    Attributes:
        listener: who is told; None: nobody is.
        shown: the pilot and its connector as they were told last.
    """

    def __init__(self, faults: Mapping[Fault, str]) -> None:
        self.listener: EvseListener | None = None
        self.shown: tuple[PilotState, int] | None = None
        self._faults = faults
        self._told: set[Fault] = set()

    @property
    def is_silent(self) -> bool:
        """Return whether the controller does not speak."""
        return Fault.COMMUNICATION_FAULT in self._faults

    def faults(self) -> None:
        """Tell what has come and gone; a silent controller is only known to be silent."""
        if self.listener is None:
            return
        seen = set(self._faults)
        if self.is_silent:
            seen = self._told | {Fault.COMMUNICATION_FAULT}
        for fault in sorted(seen - self._told, key=_name):
            self.listener.fault_raised(fault, self._faults[fault])
        for fault in sorted(self._told - seen, key=_name):
            self.listener.fault_cleared(fault)
        self._told = seen

    def all_faults(self) -> None:
        """Tell a listener that may know what an earlier run told it, and nothing since."""
        known, self._told = self._told - self._faults.keys(), set()
        self.faults()
        for fault in sorted(known, key=_name):
            if self.listener is not None:
                self.listener.fault_cleared(fault)

    def pilot(self, pilot: PilotState, connector_id: int) -> None:
        """Tell the pilot state, and at which connector."""
        if speaker := self._speaker:
            self.shown = (pilot, connector_id)
            speaker.pilot_changed(pilot, connector_id)

    def outlet(self, *, closed: bool) -> None:
        """Tell what the mirror contact shows."""
        if speaker := self._speaker:
            speaker.outlet_changed(closed=closed)

    def cable(self, cable_a: float | None) -> None:
        """Tell the rating of the cable in A, None for none."""
        if speaker := self._speaker:
            speaker.cable_changed(cable_a)

    def lock(self, *, locked: bool) -> None:
        """Tell whether the plug is locked."""
        if speaker := self._speaker:
            speaker.lock_changed(locked=locked)

    def temperature(self, celsius: float) -> None:
        """Tell the temperature of the hottest sensor."""
        if speaker := self._speaker:
            speaker.temperature_read(celsius)

    def meter(self, reading: MeterReading) -> None:
        """Tell what the meter shows, or that it has failed."""
        if self.listener is None:
            return
        if Fault.POWER_METER_FAILURE in self._faults:
            self.listener.meter_failed("the simulated meter does not answer")
        else:
            self.listener.meter_read(reading)

    def token(self, id_token: IdToken) -> None:
        """Tell of a token before the reader; a failed reader does not notice."""
        if self.listener is not None and Fault.READER_FAILURE not in self._faults:
            self.listener.token_presented(id_token)

    @property
    def _speaker(self) -> EvseListener | None:
        return None if self.is_silent else self.listener


def _name(fault: Fault) -> str:
    return fault.value
