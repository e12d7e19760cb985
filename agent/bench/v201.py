"""The bench CSMS's side of OCPP 2.0.1.

The station names its transactions, and numbers what it tells of them: a sequence number that
was seen is the same event again. A transaction that began under 1.6 goes on here under the
CSMS's number as text.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from agent.bench.desk import (
    ENERGY,
    POWER,
    Asked,
    Desk,
    Payload,
    ProfileWish,
    SettingError,
    Wish,
    energy_of,
    periods_of,
    power_of,
)
from agent.bench.events import (
    HeartbeatReceived,
    MessageReceived,
    StationBooted,
    StatusTold,
    TokenJudged,
)
from agent.bench.ledger import Boot, Sample, SecurityEvent, Status, Transaction
from agent.bench.script import Verdict
from agent.core import variables
from agent.ocpp.v201 import messages as m
from agent.ocpp.v201.datatypes import MeterValue, SampledValue, Wire

PROTOCOL = "ocpp2.0.1"

_KILO = frozenset({"kWh", "kW"})
_NAME = re.compile(
    r"(?P<component>[^.\[\]]+)(\[(?P<component_instance>[^\]]+)\])?"
    r"\.(?P<variable>[^.\[\]]+)(\[(?P<variable_instance>[^\]]+)\])?"
)


_PURPOSES: Mapping[str, str] = {
    "station": "ChargingStationMaxProfile",
    "default": "TxDefaultProfile",
    "tx": "TxProfile",
}


class Clerk201:
    """Deals with OCPP 2.0.1."""

    subprotocol = PROTOCOL
    requests: Mapping[str, type[msgspec.Struct]] = m.STATION_REQUESTS
    responses: Mapping[str, type[msgspec.Struct]] = m.RESPONSES
    unchecked: Mapping[str, Payload] = {
        "FirmwareStatusNotification": {},
        "Get15118EVCertificate": {"status": "Failed", "exiResponse": ""},
        "GetCertificateStatus": {"status": "Failed"},
        "LogStatusNotification": {},
        "NotifyCustomerInformation": {},
        "NotifyDisplayMessages": {},
        "NotifyEvent": {},
        "NotifyMonitoringReport": {},
        "NotifyReport": {},
        "PublishFirmwareStatusNotification": {},
    }

    def take(self, request: msgspec.Struct, desk: Desk) -> Payload:
        """Enter a request in the ledger and return its answer."""
        match request:
            case m.BootNotificationRequest():
                return _boot(request, desk)
            case m.StatusNotificationRequest():
                return _status(request, desk)
            case m.AuthorizeRequest():
                return _authorize(request, desk)
            case m.TransactionEventRequest():
                return _transaction_event(request, desk)
            case m.HeartbeatRequest():
                desk.station.heartbeats += 1
                desk.tell(HeartbeatReceived(at_s=desk.now_s, identity=desk.identity))
                return {"currentTime": desk.now_text}
            case m.SecurityEventNotificationRequest():
                event = SecurityEvent(request.type, request.timestamp)
                desk.station.take_security_event(event)
                return _noted(request, "SecurityEventNotification", desk)
            case m.NotifyEVChargingNeedsRequest():
                _noted(request, "NotifyEVChargingNeeds", desk)
                return {"status": "Accepted"}
            case m.NotifyEVChargingScheduleRequest():
                _noted(request, "NotifyEVChargingSchedule", desk)
                return {"status": "Accepted"}
            case m.ReportChargingProfilesRequest():
                return _noted(request, "ReportChargingProfiles", desk)
            case m.NotifyChargingLimitRequest():
                return _noted(request, "NotifyChargingLimit", desk)
            case m.ClearedChargingLimitRequest():
                return _noted(request, "ClearedChargingLimit", desk)
            case m.MeterValuesRequest():
                return _noted(request, "MeterValues", desk)
            case m.ReservationStatusUpdateRequest():
                return _noted(request, "ReservationStatusUpdate", desk)
            case m.SignCertificateRequest():
                _noted(request, "SignCertificate", desk)
                return {"status": "Accepted" if desk.behaviour.signs else "Rejected"}
            case m.DataTransferRequest():
                _noted(request, "DataTransfer", desk)
                return {"status": "UnknownVendorId"}
            case _:
                raise AssertionError(f"no case for {type(request).__name__}")

    def remote_start(self, token: str, evse_id: int, remote_start_id: int) -> Asked:
        """Return RequestStartTransaction."""
        payload = {
            "idToken": {"idToken": token, "type": "ISO14443"},
            "remoteStartId": remote_start_id,
            "evseId": evse_id,
        }
        return Asked("RequestStartTransaction", payload)

    def remote_stop(self, entry: Transaction) -> Asked:
        """Return RequestStopTransaction."""
        return Asked("RequestStopTransaction", {"transactionId": entry.transaction_id})

    def reset(self, *, hard: bool) -> Asked:
        """Return Reset."""
        return Asked("Reset", {"type": "Immediate" if hard else "OnIdle"})

    def profile(self, wish: ProfileWish) -> Asked:
        """Return SetChargingProfile."""
        profile: Payload = {
            "id": wish.profile_id,
            "stackLevel": wish.level,
            "chargingProfilePurpose": _PURPOSES[wish.purpose],
            "chargingProfileKind": wish.kind,
            "chargingSchedule": [{"id": 1, **wish.schedule()}],
        }
        if wish.transaction is not None:
            profile["transactionId"] = wish.transaction.transaction_id
        payload = {"evseId": wish.evse_id, "chargingProfile": profile}
        return Asked("SetChargingProfile", payload)

    def clear_profiles(self, profile_id: int | None) -> Asked:
        """Return ClearChargingProfile."""
        payload = {} if profile_id is None else {"chargingProfileId": profile_id}
        return Asked("ClearChargingProfile", payload)

    def composite(self, evse_id: int, duration_s: int, unit: str) -> Asked:
        """Return GetCompositeSchedule."""
        payload = {"evseId": evse_id, "duration": duration_s, "chargingRateUnit": unit}
        return Asked("GetCompositeSchedule", payload)

    def composite_of(self, answer: Payload) -> tuple[tuple[int, float], ...]:
        """Return the periods in the answer to GetCompositeSchedule."""
        return periods_of(answer.get("schedule") or {"chargingSchedulePeriod": []})

    def send_list(
        self, version: int, entries: Mapping[str, Verdict | None], *, full: bool
    ) -> Asked:
        """Return SendLocalList."""
        payload: Payload = {
            "versionNumber": version,
            "updateType": "Full" if full else "Differential",
        }
        listed = [_listed(token, verdict) for token, verdict in entries.items()]
        if listed:
            payload["localAuthorizationList"] = listed
        return Asked("SendLocalList", payload)

    def list_version(self) -> Asked:
        """Return GetLocalListVersion."""
        return Asked("GetLocalListVersion", {})

    def list_version_of(self, answer: Payload) -> int:
        """Return the version in the answer to GetLocalListVersion."""
        return int(answer["versionNumber"])

    def reserve(self, wish: Wish) -> Asked:
        """Return ReserveNow."""
        payload: Payload = {
            "id": wish.reservation_id,
            "expiryDateTime": wish.expires_at,
            "idToken": {"idToken": wish.token, "type": "ISO14443"},
        }
        if wish.evse_id is not None:
            payload["evseId"] = wish.evse_id
        if wish.group is not None:
            payload["groupIdToken"] = {"idToken": wish.group, "type": "Central"}
        return Asked("ReserveNow", payload)

    def unlock(self, evse_id: int) -> Asked:
        """Return UnlockConnector for the EVSE's first connector."""
        return Asked("UnlockConnector", {"evseId": evse_id, "connectorId": 1})

    def trigger(self, message: str, evse_id: int | None) -> Asked:
        """Return TriggerMessage; a status is that of the EVSE's first connector."""
        payload: dict[str, Any] = {"requestedMessage": message}
        if evse_id is not None:
            payload["evse"] = {"id": evse_id}
            if message == "StatusNotification":
                payload["evse"]["connectorId"] = 1
        return Asked("TriggerMessage", payload)

    def get_setting(self, name: str) -> Asked:
        """Return GetVariables for `Component.Variable`, or for the name of a 1.6 key."""
        return Asked("GetVariables", {"getVariableData": [_address(name)]})

    def setting_of(self, name: str, answer: Payload) -> str:
        """Return the value in the answer to GetVariables.

        Raises:
            SettingError: it cannot be read.
        """
        result = answer["getVariableResult"][0]
        if result["attributeStatus"] != "Accepted":
            raise SettingError(name, result["attributeStatus"])
        return str(result.get("attributeValue", ""))

    def set_setting(self, name: str, value: str) -> Asked:
        """Return SetVariables for `Component.Variable`, or for the name of a 1.6 key."""
        data = {**_address(name), "attributeValue": value}
        return Asked("SetVariables", {"setVariableData": [data]})

    def setting_status(self, answer: Payload) -> str:
        """Return the status in the answer to SetVariables."""
        return str(answer["setVariableResult"][0]["attributeStatus"])


def samples_of(values: Iterable[MeterValue]) -> list[Sample]:
    """Return energy and power of meter values; single phases are left out."""
    return [_sample(value) for value in values]


def _sample(value: MeterValue) -> Sample:
    found: dict[str, Any] = {"context": "Sample.Periodic"}
    for one in value.sampled_value:
        if one.context is not None:
            found["context"] = one.context
        member = {ENERGY: "energy_wh", POWER: "power_w"}.get(one.measurand or ENERGY)
        if member and one.phase is None:
            found[member] = _scaled(one)
    return Sample(at=value.timestamp, **found)


def _scaled(value: SampledValue) -> float:
    unit = value.unit_of_measure
    if unit is None:
        return value.value
    # Multipliers beyond this are no electrical quantity, and would be no float either.
    exponent = max(-30, min(unit.multiplier or 0, 30))
    return value.value * 10.0**exponent * (1000 if unit.unit in _KILO else 1)


def _boot(request: m.BootNotificationRequest, desk: Desk) -> Payload:
    answer = desk.behaviour.boot_answer()
    station = request.charging_station
    boot = Boot(
        protocol=PROTOCOL,
        vendor=station.vendor_name,
        model=station.model,
        reason=request.reason,
        status=answer.status,
        serial_number=station.serial_number,
        firmware_version=station.firmware_version,
    )
    desk.station.take_boot(boot)
    desk.tell(
        StationBooted(
            at_s=desk.now_s,
            identity=desk.identity,
            vendor=boot.vendor,
            model=boot.model,
            status=boot.status,
            firmware_version=boot.firmware_version,
            reason=boot.reason,
        )
    )
    return {
        "status": answer.status,
        "currentTime": desk.now_text,
        "interval": answer.interval_s,
    }


def _status(request: m.StatusNotificationRequest, desk: Desk) -> Payload:
    status = Status(
        request.evse_id, request.connector_id, request.connector_status, request.timestamp
    )
    desk.station.take_status(status)
    desk.tell(
        StatusTold(
            at_s=desk.now_s,
            identity=desk.identity,
            connector_id=status.connector_id,
            status=status.status,
            evse_id=status.evse_id,
        )
    )
    return {}


def _authorize(request: m.AuthorizeRequest, desk: Desk) -> Payload:
    token = request.id_token.id_token
    verdict = desk.behaviour.verdict(token)
    desk.tell(
        TokenJudged(
            at_s=desk.now_s, identity=desk.identity, id_token=token, status=verdict.status
        )
    )
    return {"idTokenInfo": _info(verdict)}


def _transaction_event(request: m.TransactionEventRequest, desk: Desk) -> Payload:
    told_id = request.transaction_info.transaction_id
    entry = desk.station.by_id(told_id)
    if entry is None:
        fresh = Transaction(identity=desk.identity, transaction_id=told_id)
        entry = desk.station.add(fresh)
    entry.take_protocol(PROTOCOL)
    is_new = entry.take_seq_no(request.seq_no)
    samples = samples_of(request.meter_value or ())
    if is_new:
        _enter(request, entry, samples, desk)
    desk.show(
        entry,
        request.event_type.casefold(),
        trigger=request.trigger_reason,
        power_w=power_of(samples),
        is_repeated=not is_new,
    )
    key = ("TransactionEvent", entry.transaction_id, request.seq_no)
    # Whether an event counts as offline may change while it waits (E11.FR.07).
    told = msgspec.json.encode(replace(request, offline=None))
    token = request.id_token
    answer = {} if token is None else {"idTokenInfo": _info(desk.verdict(token.id_token))}
    before = None if is_new else desk.repeated(key, told)
    return desk.remember(key, told, answer) if before is None else before


def _enter(
    request: m.TransactionEventRequest, entry: Transaction, samples: list[Sample], desk: Desk
) -> None:
    if entry.ended_at is not None:
        desk.complain(f"transaction {entry.transaction_id} goes on after its end")
    if request.evse is not None:
        entry.evse_id = request.evse.id
        entry.connector_id = request.evse.connector_id or entry.connector_id
    if request.id_token is not None and entry.id_token is None:
        entry.id_token = request.id_token.id_token
    begin_wh = energy_of(samples, "Transaction.Begin")
    if request.event_type == "Started":
        if entry.started_at is not None:
            desk.complain(f"transaction {entry.transaction_id} started twice")
        entry.started_at, entry.first_seq_no = request.timestamp, request.seq_no
        entry.meter_start_wh = begin_wh
    # E01.FR.17: a start without an EVSE has no reading; the first one comes later.
    if entry.meter_start_wh is None and entry.started_at is not None:
        entry.meter_start_wh = begin_wh
    desk.enter_samples(entry, samples)
    if request.event_type == "Ended":
        entry.stop_token = request.id_token.id_token if request.id_token else None
        end_wh = energy_of(samples, "Transaction.End")
        entry.meter_stop_wh = entry.register_wh if end_wh is None else end_wh
        reason = request.transaction_info.stopped_reason or "Local"
        desk.enter_end(entry, request.timestamp, reason)


def _listed(token: str, verdict: Verdict | None) -> Payload:
    entry: Payload = {"idToken": {"idToken": token, "type": "ISO14443"}}
    return entry if verdict is None else {**entry, "idTokenInfo": _info(verdict)}


def _info(verdict: Verdict) -> Payload:
    info: Payload = {"status": verdict.status}
    if verdict.group is not None:
        info["groupIdToken"] = {"idToken": verdict.group, "type": "Central"}
    if verdict.expires_at is not None:
        info["cacheExpiryDateTime"] = verdict.expires_at
    return info


def _noted(request: Wire, action: str, desk: Desk) -> Payload:
    desk.tell(
        MessageReceived(
            at_s=desk.now_s,
            identity=desk.identity,
            action=action,
            payload=msgspec.to_builtins(request),
        )
    )
    return {}


def _address(name: str) -> Payload:
    known = variables.by_key(name)
    match = _NAME.fullmatch(known.name if known else name)
    if match is None:
        raise SettingError(name, "nothing: Component.Variable or a known 1.6 key is expected")
    component = {"name": match["component"]}
    if match["component_instance"]:
        component["instance"] = match["component_instance"]
    variable = {"name": match["variable"]}
    if match["variable_instance"]:
        variable["instance"] = match["variable_instance"]
    return {"component": component, "variable": variable}
