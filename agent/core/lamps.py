"""What the lamp of an EVSE tells people: a function of the same facts as its status.

faulted     a fault prevents charging, or nothing can be written down
off         inoperative, and no transaction is open
charging    energy flows
waiting     somebody has begun, and something is missing; or it pauses, or is over
available   free
"""

from agent.core.availability import phase
from agent.core.states import Active, Evse
from agent.core.values import SessionPhase
from hal.types import Light


def light(evse: Evse, *, storage_ok: bool, is_operative: bool) -> Light:
    """Return what to show at an EVSE."""
    if evse.inputs.blocking is not None or not storage_ok:
        return Light.FAULTED
    if not is_operative and not isinstance(evse.session, Active):
        return Light.OFF
    match phase(evse):
        case SessionPhase.FREE:
            return Light.AVAILABLE
        case SessionPhase.CHARGING:
            return Light.CHARGING
        case _:
            return Light.WAITING
