"""The handlers of the independent CSMS, for 1.6 and for 2.0.1: what a backend would write.

Each keeps its books in the `Peer` that it belongs to. Heartbeats are wanted every second; a station may
be slower.
"""

from typing import Any

from ocpp.routing import after, on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call_result as result16
from ocpp.v16.enums import Action as Action16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call_result as result201
from ocpp.v201.enums import Action as Action201

from tests.interop.peer import Bill, Peer, now

HEARTBEAT_S = 1
ENERGY = "Energy.Active.Import.Register"


class Point16(ChargePoint16):
    """A charge point of 1.6."""

    desk: Peer

    @on(Action16.boot_notification)
    def on_boot(self, **_: Any) -> Any:
        self.desk.admit("BootNotification")
        return result16.BootNotification(now(), HEARTBEAT_S, "Accepted")

    @on(Action16.heartbeat)
    def on_heartbeat(self) -> Any:
        return result16.Heartbeat(now())

    @on(Action16.status_notification)
    def on_status(self, **_: Any) -> Any:
        return result16.StatusNotification()

    @on(Action16.data_transfer)
    def on_data(self, **_: Any) -> Any:
        return result16.DataTransfer("Accepted")

    @on(Action16.security_event_notification)
    def on_security(self, **_: Any) -> Any:
        return result16.SecurityEventNotification()

    @on(Action16.diagnostics_status_notification)
    def on_diagnostics(self, **_: Any) -> Any:
        return result16.DiagnosticsStatusNotification()

    @on(Action16.firmware_status_notification)
    def on_firmware(self, **_: Any) -> Any:
        return result16.FirmwareStatusNotification()

    @on(Action16.log_status_notification)
    def on_log(self, **_: Any) -> Any:
        return result16.LogStatusNotification()

    @on(Action16.authorize)
    def on_authorize(self, id_tag: str) -> Any:
        return result16.Authorize({"status": self._status(id_tag)})

    @on(Action16.start_transaction)
    def on_start(self, id_tag: str, meter_start: int, **_: Any) -> Any:
        self.desk.admit("StartTransaction")
        remote_id = 1000 + len(self.desk.bills)
        self.desk.bills[remote_id] = Bill(remote_id, id_tag, meter_start)
        return result16.StartTransaction(remote_id, {"status": self._status(id_tag)})

    @on(Action16.meter_values)
    def on_meter(self, meter_value: Any, transaction_id: int | None = None, **_: Any) -> Any:
        self.desk.admit("MeterValues")
        if transaction_id is not None:
            self.desk.bills[transaction_id].samples_wh += _registers(meter_value)
        return result16.MeterValues()

    @on(Action16.stop_transaction)
    def on_stop(
        self, transaction_id: int, meter_stop: int, reason: str = "Local", **_: Any
    ) -> Any:
        self.desk.admit("StopTransaction")
        bill = self.desk.bills[transaction_id]
        bill.stop_wh, bill.reason = meter_stop, reason
        return result16.StopTransaction()

    @after(Action16.stop_transaction)
    async def after_stop(self, **_: Any) -> None:
        await self.desk.changed()

    def _status(self, token: str) -> str:
        return "Blocked" if token in self.desk.blocked else "Accepted"


class Point201(ChargePoint201):
    """A charging station of 2.0.1."""

    desk: Peer

    @on(Action201.boot_notification)
    def on_boot(self, **_: Any) -> Any:
        self.desk.admit("BootNotification")
        return result201.BootNotification(now(), HEARTBEAT_S, "Accepted")

    @on(Action201.heartbeat)
    def on_heartbeat(self, **_: Any) -> Any:
        return result201.Heartbeat(now())

    @on(Action201.status_notification)
    def on_status(self, **_: Any) -> Any:
        return result201.StatusNotification()

    @on(Action201.notify_event)
    def on_event(self, **_: Any) -> Any:
        return result201.NotifyEvent()

    @on(Action201.notify_report)
    def on_report(self, **_: Any) -> Any:
        return result201.NotifyReport()

    @on(Action201.security_event_notification)
    def on_security(self, **_: Any) -> Any:
        return result201.SecurityEventNotification()

    @on(Action201.meter_values)
    def on_meter(self, **_: Any) -> Any:
        return result201.MeterValues()

    @on(Action201.data_transfer)
    def on_data(self, **_: Any) -> Any:
        return result201.DataTransfer("Accepted")

    @on(Action201.authorize)
    def on_authorize(self, id_token: Any, **_: Any) -> Any:
        return result201.Authorize({"status": self._status(id_token["id_token"])})

    @on(Action201.transaction_event)
    def on_transaction(
        self,
        event_type: str,
        seq_no: int,
        transaction_info: Any,
        meter_value: Any = (),
        id_token: Any = None,
        **more: Any,
    ) -> Any:
        self.desk.admit(event_type)
        remote_id = transaction_info["transaction_id"]
        registers = _registers(meter_value)
        bill = self.desk.bills.get(remote_id)
        if event_type == "Started":
            bill = Bill(remote_id, (id_token or {}).get("id_token", ""), registers[0])
            self.desk.bills[remote_id] = bill
        assert bill is not None, "an event of a transaction that was never started"
        bill.seq_nos.append(seq_no)
        bill.events.append({"event_type": event_type, "info": transaction_info, **more})
        if event_type == "Updated":
            bill.samples_wh += registers
        elif event_type == "Ended":
            bill.stop_wh = registers[-1]
            bill.reason = transaction_info.get("stopped_reason", "Local")
        if id_token is None:
            return result201.TransactionEvent()
        status = self._status(id_token["id_token"])
        return result201.TransactionEvent(id_token_info={"status": status})

    def _status(self, token: str) -> str:
        return "Blocked" if token in self.desk.blocked else "Accepted"


POINTS = {"ocpp1.6": Point16, "ocpp2.0.1": Point201}


def _registers(meter_value: Any) -> list[float]:
    """Return the energy registers in meter values, in Wh, in order."""
    found = []
    for item in meter_value:
        for sample in item["sampled_value"]:
            is_whole = "phase" not in sample
            if sample.get("measurand", ENERGY) == ENERGY and is_whole:
                unit = sample.get("unit") or sample.get("unit_of_measure", {}).get("unit", "Wh")
                found.append(float(sample["value"]) * (1000 if unit == "kWh" else 1))
    return found
