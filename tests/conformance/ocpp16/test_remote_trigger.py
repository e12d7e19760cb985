"""Remote trigger (10.6)."""

import pytest

from tests.conformance.ocpp16.script import CONNECTORS, Case, call, certify, status


def test_tc_054_trigger_message() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        triggered = {
            "MeterValues": call("MeterValues", connectorId=1, transactionId=None),
            "StatusNotification": status("Available"),
            "Heartbeat": call("Heartbeat"),
            "DiagnosticsStatusNotification": call(
                "DiagnosticsStatusNotification", status="Idle"
            ),
        }
        for message, wanted in triggered.items():
            scope = {"connectorId": 1} if "connectorId" in wanted.members else {}
            answer = await case.ask("TriggerMessage", requestedMessage=message, **scope)
            assert answer == {"status": "Accepted"}, message
            [frame] = await case.expect(wanted)
            if message == "MeterValues":
                [values] = frame.payload["meterValue"]
                contexts = {one["context"] for one in values["sampledValue"]}
                assert contexts == {"Trigger"}
        # This station has no installer, and therefore no firmware status to tell.
        answer = await case.ask("TriggerMessage", requestedMessage="FirmwareStatusNotification")
        assert answer == {"status": "NotImplemented"}

    certify(steps)


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
