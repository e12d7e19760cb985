"""What is plugged into the connectors of a simulated EVSE: a vehicle, or the cable it left."""

from msgspec import structs

from hal.sim.vehicle import SimRefused, Vehicle

USUAL_CABLE_A = 32.0
"""Rating of a cable that a vehicle leaves behind, if it did not say another."""


class Plugs:
    """The connectors of one EVSE; at most one of them holds something.

    Args:
        connectors: how many there are, numbered from 1.
        is_tethered: the cable is fixed, so that no vehicle can leave it behind.

    Attributes:
        vehicle: what is plugged in.
        connector_id: where, or where it was last.
    """

    def __init__(self, connectors: int, *, is_tethered: bool) -> None:
        self.vehicle: Vehicle | None = None
        self.connector_id = 1
        self._connectors, self._is_tethered = connectors, is_tethered
        self._left_a: float | None = None

    @property
    def cable_a(self) -> float | None:
        """Return the rating that a socket's proximity pilot shows, A; None for no cable."""
        if self._is_tethered:
            return None
        return self.vehicle.ampacity_a if self.vehicle else self._left_a

    def plug(self, connector_id: int, vehicle: Vehicle) -> None:
        """Plug a vehicle in; a cable that is there already is the one it takes.

        Raises:
            SimRefused: no such connector, or something is plugged already; nothing changed.
        """
        self._require(connector_id)
        if self.vehicle is not None:
            raise SimRefused(f"a vehicle is plugged into connector {self.connector_id} already")
        if self._left_a is not None and connector_id != self.connector_id:
            raise SimRefused(f"a cable is plugged into connector {self.connector_id} already")
        if self._left_a is not None:
            vehicle = structs.replace(vehicle, ampacity_a=self._left_a)
        self.vehicle, self.connector_id, self._left_a = vehicle, connector_id, None

    def unplug(self, connector_id: int, *, leaves_cable: bool) -> None:
        """Take away what is there, at the vehicle's end if the cable is to stay.

        Raises:
            SimRefused: no such connector, or nothing is plugged into it; nothing changed.
        """
        self._require(connector_id)
        is_here = self.connector_id == connector_id
        if not is_here or (self.vehicle is None and self._left_a is None):
            raise SimRefused(f"nothing is plugged into connector {connector_id}")
        rating_a = (self.vehicle.ampacity_a if self.vehicle else self._left_a) or USUAL_CABLE_A
        self._left_a = rating_a if leaves_cable and not self._is_tethered else None
        self.vehicle = None

    def set_ready(self, *, ready: bool) -> None:
        """Let the vehicle want energy or not.

        Raises:
            SimRefused: no vehicle is plugged.
        """
        if self.vehicle is None:
            raise SimRefused("no vehicle is plugged")
        self.vehicle = structs.replace(self.vehicle, ready=ready)

    def _require(self, connector_id: int) -> None:
        if not 1 <= connector_id <= self._connectors:
            raise SimRefused(f"connector {connector_id}: there are 1 to {self._connectors}")
