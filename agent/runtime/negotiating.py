"""Plays vehicles that negotiate (ISO 15118) on a simulated board.

One tells its needs as soon as its transaction is open, looks at every offer that has another
number, and chooses the schedule that brings it most, within what it can take itself. It is
gone with its transaction.
"""

import asyncio

from agent.core.events import VehicleNeedsTold, VehicleScheduleChosen
from agent.core.smart_charging.needs import ChargingNeeds
from agent.core.smart_charging.profile import Period, Schedule
from agent.core.station import Station
from agent.runtime.kernel import Kernel


class Vehicles:
    """The vehicles of one station, one for each EVSE at most."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._playing: dict[int, _Vehicle] = {}

    def play(self, needs: VehicleNeedsTold) -> None:
        """Let the vehicle at an EVSE negotiate, now or once its transaction is open."""
        if self._observed not in self._kernel.observers:
            self._kernel.observers.append(self._observed)
        self._playing[needs.evse_id] = _Vehicle(needs)
        self._look(self._kernel.station)

    def _observed(self, _before: object, _batch: object, after: Station, _told: object) -> None:
        self._look(after)

    def _look(self, station: Station) -> None:
        for evse_id, vehicle in tuple(self._playing.items()):
            event = vehicle.next(station)
            if event is not None:
                self._kernel.post(event)
            if vehicle.is_gone:
                del self._playing[evse_id]
        if not self._playing:
            # The kernel is going through the list.
            asyncio.get_running_loop().call_soon(self._rest)

    def _rest(self) -> None:
        if not self._playing and self._observed in self._kernel.observers:
            self._kernel.observers.remove(self._observed)


class _Vehicle:
    """One vehicle, from its needs to its end.

    Attributes:
        is_gone: its transaction is over.
    """

    def __init__(self, needs: VehicleNeedsTold) -> None:
        self._needs = needs
        self._transaction_id = ""
        self._number = 0
        self.is_gone = False

    def next(self, station: Station) -> VehicleNeedsTold | VehicleScheduleChosen | None:
        """Return what it says now, None when it has nothing new to say."""
        evse_id = self._needs.evse_id
        evse = station.evses.get(evse_id)
        transaction = evse.transaction if evse else None
        if transaction is None or self._transaction_id not in {"", transaction.transaction_id}:
            self.is_gone = evse is None or self._transaction_id != ""
            return None
        if not self._transaction_id:
            self._transaction_id = transaction.transaction_id
            return self._needs
        talk = station.smart_charging.talks.get(evse_id)
        if talk is None or talk.waits or talk.number == self._number:
            return None
        self._number = talk.number
        best = max(talk.offers, key=lambda offer: taken_ma_s(offer, self._needs.needs))
        return VehicleScheduleChosen(evse_id, own(best, self._needs.needs))


def own(offer: Schedule, needs: ChargingNeeds) -> Schedule:
    """Return how a vehicle charges by an offer: within it, and within what it can take."""
    most_ma = needs.most_a * 1000
    periods = tuple(Period(one.start_s, min(one.limit, most_ma)) for one in offer.periods)
    return Schedule(offer.unit, periods, offer.schedule_id, duration_s=offer.duration_s)


def taken_ma_s(offer: Schedule, needs: ChargingNeeds) -> int:
    """Return how much a vehicle gets from an offer, in mA s per phase."""
    periods = own(offer, needs).periods
    ends = [*(period.start_s for period in periods[1:]), offer.duration_s or 0]
    return sum(
        period.limit * max(end_s - period.start_s, 0)
        for period, end_s in zip(periods, ends, strict=True)
    )
