"""Remote trigger (10.6)."""

import pytest

from tests.conformance.ocpp16.script import CONNECTORS, Case, certify


@pytest.mark.parametrize("message", ["MeterValues", "StatusNotification"])
def test_tc_055_trigger_message_rejected(message: str) -> None:
    async def steps(case: Case) -> None:
        await case.online()
        answer = await case.ask(
            "TriggerMessage", requestedMessage=message, connectorId=CONNECTORS + 1
        )
        assert answer == {"status": "Rejected"}
        await case.quiet()

    assert not certify(steps).wire.calls("MeterValues")
