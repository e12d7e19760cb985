"""What hardware and link should be doing: a function of the station's state, never a command.

A restarted driver, a lost frame or a power cut needs no special care: whatever the hardware
does, it is brought back to the targets. `safer` is the meet of two targets: the kernel
applies it before the disk is written, so that lowering never waits and raising always does.
"""

from collections.abc import Mapping

from agent.core.setpoint import offered_a
from agent.core.states import Active, Authorized, Ending, Evse, Finished, Resuming
from agent.core.values import Value
from hal.types import Light


class EvseTarget(Value, frozen=True):
    """What one EVSE should be doing.

    Attributes:
        energize: contactor closed.
        offer_a: current offered by the pilot in A per phase, 0 for none.
        lock: plug held.
        phases: how many are to be connected; None: as they are.
        at_once: the contactor opens under load; otherwise the vehicle is asked first, by
            ending the offer, and the contactor follows within 6 s (IEC 61851-1).
        light: what its lamp shows.
    """

    energize: bool = False
    offer_a: float = 0.0
    lock: bool = False
    at_once: bool = False
    phases: int | None = None
    light: Light = Light.OFF

    def safer(self, other: "EvseTarget") -> "EvseTarget":
        """Return the meet: less energy, less current, a plug held by either.

        About the lamp the other decides: it harms nobody.
        """
        return EvseTarget(
            energize=self.energize and other.energize,
            offer_a=min(self.offer_a, other.offer_a),
            lock=self.lock or other.lock,
            at_once=self.at_once or other.at_once,
            phases=self.phases if self.phases == other.phases else None,
            light=other.light,
        )


class Targets(Value, frozen=True):
    """What everything outside should be doing.

    Attributes:
        evses: by id; an EVSE that is missing should do nothing.
        dial: index of the network profile to hold a link with; None: no link.
    """

    evses: Mapping[int, EvseTarget] = {}
    dial: int | None = None

    def safer(self, other: "Targets") -> "Targets":
        """Return the meet of two targets; about the link the other decides."""
        ids = self.evses.keys() | other.evses.keys()
        return Targets(
            evses={
                evse_id: self.of(evse_id).safer(other.of(evse_id)) for evse_id in sorted(ids)
            },
            dial=other.dial,
        )

    def of(self, evse_id: int) -> EvseTarget:
        """Return the target of one EVSE."""
        return self.evses.get(evse_id, NOTHING)


NOTHING = EvseTarget()


def evse_target(evse: Evse, *, storage_ok: bool, is_releasing: bool = False) -> EvseTarget:
    """Return what this EVSE should be doing.

    The contactor closes only for a vehicle that asks (C or D), within a transaction on
    durable record, without a fault (contract, promise 3). The plug is held before a
    transaction begins and as long as it is open, after its end until the contactor is known
    to be open, and beyond that while it is kept for its owner.

    Args:
        is_releasing: the CSMS wants the plug released, as soon as the contactor is open.
    """
    is_open = evse.inputs.is_closed is False
    offer = offered_a(evse, storage_ok=storage_ok)
    at_once = evse.inputs.blocking is not None or not evse.inputs.is_plugged
    phases = evse.supply.lines.phases
    match evse.session:
        case Active():
            return EvseTarget(
                energize=offer > 0.0 and evse.inputs.is_ready,
                offer_a=offer,
                lock=True,
                at_once=at_once,
                phases=phases,
            )
        case Ending(keeps_plug=keeps):
            is_held = not is_open or (keeps and not is_releasing)
            return EvseTarget(lock=is_held, at_once=at_once, phases=phases)
        case Authorized():
            is_held = evse.inputs.is_plugged and evse.inputs.has_lock and not is_releasing
            return EvseTarget(lock=is_held, at_once=at_once, phases=phases)
        case Finished(owner=owner):
            is_held = owner is not None and not is_releasing
            return EvseTarget(lock=is_held, at_once=at_once, phases=phases)
        case Resuming():
            return EvseTarget(lock=True, at_once=at_once, phases=phases)
        case _:
            return EvseTarget(at_once=at_once, phases=phases)
