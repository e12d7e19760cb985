import pytest

from agent.core.effects import Done, Verdict
from agent.core.events import UnlockRequested
from agent.ocpp.v201.adapter import Adapter201
from tests.ocpp.v201.facts import Facts, answer, asked


def test_a_connector_is_released_unless_somebody_charges_there():
    """F05.FR.02."""
    incoming = asked("UnlockConnector", {"evseId": 2, "connectorId": 1})
    assert incoming.request == UnlockRequested(7, 2, 1, stops=False)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Done(Verdict.ACCEPTED), "Unlocked"),
        (Done(Verdict.REJECTED), "UnlockFailed"),
        (Done(Verdict.NOT_SUPPORTED, "FixedCable"), "UnlockFailed"),
        (Done(Verdict.OCCUPIED, "TxInProgress"), "OngoingAuthorizedTransaction"),
        (Done(Verdict.UNKNOWN_EVSE, "UnknownConnectorId"), "UnknownConnector"),
    ],
)
def test_a_verdict_becomes_a_status(outcome, word):
    """F05.FR.03 to 06."""
    incoming = asked("UnlockConnector", {"evseId": 1, "connectorId": 1})
    told = answer("UnlockConnector", Adapter201().respond(incoming, outcome, Facts()))
    assert told["status"] == word
    assert told.get("statusInfo", {}).get("reasonCode", "") == outcome.reason
