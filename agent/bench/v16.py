"""The bench CSMS's side of OCPP 1.6.

The CSMS numbers transactions. A StartTransaction is the same one again when its connector,
instant, meter reading and idTag are: it gets the same number. Everything that a station must
deliver is answered normally even where it makes no sense, or the station would send it for
ever (OCPP 1.6 chapter 4.10); what is wrong with it is noted as a violation.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from agent.bench.desk import (
    ENERGY,
    POWER,
    Asked,
    Desk,
    Payload,
    ProfileWish,
    SettingError,
    Wish,
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
from agent.ocpp.v16 import messages as m

PROTOCOL = "ocpp1.6"
LOST = -1
"""Number of a transaction whose start was refused for good (1.6 errata)."""

_WORDS = frozenset({"Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"})
_EXTENDED = frozenset({"LogStatusNotification", "SignChargePointCertificate"})
_KILO = frozenset({"kWh", "kW"})


_PURPOSES: Mapping[str, str] = {
    "station": "ChargePointMaxProfile",
    "default": "TxDefaultProfile",
    "tx": "TxProfile",
}


class Clerk16:
    """Deals with OCPP 1.6."""

    subprotocol = PROTOCOL
    requests: Mapping[str, type[msgspec.Struct]] = m.STATION_REQUESTS
    responses: Mapping[str, type[msgspec.Struct]] = m.RESPONSES
    unchecked: Mapping[str, Payload] = {
        "DiagnosticsStatusNotification": {},
        "FirmwareStatusNotification": {},
        "LogStatusNotification": {},
        "SignedFirmwareStatusNotification": {},
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
            case m.StartTransactionRequest():
                return _start(request, desk)
            case m.MeterValuesRequest():
                return _meter_values(request, desk)
            case m.StopTransactionRequest():
                return _stop(request, desk)
            case m.HeartbeatRequest():
                desk.station.heartbeats += 1
                desk.tell(HeartbeatReceived(at_s=desk.now_s, identity=desk.identity))
                return {"currentTime": desk.now_text}
            case m.SecurityEventNotificationRequest():
                event = SecurityEvent(request.type, request.timestamp)
                desk.station.take_security_event(event)
                return _noted(request, "SecurityEventNotification", desk)
            case m.SignCertificateRequest():
                _noted(request, "SignCertificate", desk)
                return {"status": "Accepted" if desk.behaviour.signs else "Rejected"}
            case m.DataTransferRequest():
                _noted(request, "DataTransfer", desk)
                return {"status": "UnknownVendorId"}
            case _:
                raise AssertionError(f"no case for {type(request).__name__}")

    def remote_start(self, token: str, evse_id: int, remote_start_id: int) -> Asked:  # noqa: ARG002  1.6 has no id for it
        """Return RemoteStartTransaction; EVSEs have one connector each."""
        return Asked("RemoteStartTransaction", {"idTag": token, "connectorId": evse_id})

    def remote_stop(self, entry: Transaction) -> Asked:
        """Return RemoteStopTransaction."""
        return Asked("RemoteStopTransaction", {"transactionId": entry.number or LOST})

    def reset(self, *, hard: bool) -> Asked:
        """Return Reset."""
        return Asked("Reset", {"type": "Hard" if hard else "Soft"})

    def profile(self, wish: ProfileWish) -> Asked:
        """Return SetChargingProfile; EVSEs have one connector each."""
        profile: Payload = {
            "chargingProfileId": wish.profile_id,
            "stackLevel": wish.level,
            "chargingProfilePurpose": _PURPOSES[wish.purpose],
            "chargingProfileKind": wish.kind,
            "chargingSchedule": wish.schedule(),
        }
        if wish.transaction is not None:
            profile["transactionId"] = wish.transaction.number or LOST
        payload = {"connectorId": wish.evse_id, "csChargingProfiles": profile}
        return Asked("SetChargingProfile", payload)

    def clear_profiles(self, profile_id: int | None) -> Asked:
        """Return ClearChargingProfile."""
        return Asked("ClearChargingProfile", {} if profile_id is None else {"id": profile_id})

    def composite(self, evse_id: int, duration_s: int, unit: str) -> Asked:
        """Return GetCompositeSchedule."""
        payload = {"connectorId": evse_id, "duration": duration_s, "chargingRateUnit": unit}
        return Asked("GetCompositeSchedule", payload)

    def composite_of(self, answer: Payload) -> tuple[tuple[int, float], ...]:
        """Return the periods in the answer to GetCompositeSchedule."""
        schedule = answer.get("chargingSchedule") or {"chargingSchedulePeriod": []}
        return periods_of(schedule)

    def send_list(
        self, version: int, entries: Mapping[str, Verdict | None], *, full: bool
    ) -> Asked:
        """Return SendLocalList."""
        payload: Payload = {
            "listVersion": version,
            "updateType": "Full" if full else "Differential",
            "localAuthorizationList": [
                {"idTag": token} if verdict is None else _listed(token, verdict)
                for token, verdict in entries.items()
            ],
        }
        return Asked("SendLocalList", payload)

    def list_version(self) -> Asked:
        """Return GetLocalListVersion."""
        return Asked("GetLocalListVersion", {})

    def list_version_of(self, answer: Payload) -> int:
        """Return the version in the answer to GetLocalListVersion."""
        return int(answer["listVersion"])

    def reserve(self, wish: Wish) -> Asked:
        """Return ReserveNow; connector 0 stands for any."""
        payload: Payload = {
            "connectorId": wish.evse_id or 0,
            "expiryDate": wish.expires_at,
            "idTag": wish.token,
            "reservationId": wish.reservation_id,
        }
        if wish.group is not None:
            payload["parentIdTag"] = wish.group
        return Asked("ReserveNow", payload)

    def unlock(self, evse_id: int) -> Asked:
        """Return UnlockConnector; EVSEs have one connector each."""
        return Asked("UnlockConnector", {"connectorId": evse_id})

    def trigger(self, message: str, evse_id: int | None) -> Asked:
        """Return TriggerMessage, or ExtendedTriggerMessage for what only that one knows."""
        action = "ExtendedTriggerMessage" if message in _EXTENDED else "TriggerMessage"
        place = {} if evse_id is None else {"connectorId": evse_id}
        return Asked(action, {"requestedMessage": message, **place})

    def get_setting(self, name: str) -> Asked:
        """Return GetConfiguration for a key, or for the key of a 2.0.1 name."""
        return Asked("GetConfiguration", {"key": [_key(name)]})

    def setting_of(self, name: str, answer: Payload) -> str:
        """Return the value in the answer to GetConfiguration.

        Raises:
            SettingError: the key is unknown, or has no value.
        """
        for entry in answer.get("configurationKey") or []:
            if entry["key"].casefold() == _key(name).casefold() and "value" in entry:
                return str(entry["value"])
        is_unknown = bool(answer.get("unknownKey"))
        raise SettingError(name, "unknownKey" if is_unknown else "no value")

    def set_setting(self, name: str, value: str) -> Asked:
        """Return ChangeConfiguration for a key, or for the key of a 2.0.1 name."""
        return Asked("ChangeConfiguration", {"key": _key(name), "value": value})

    def setting_status(self, answer: Payload) -> str:
        """Return the status in the answer to ChangeConfiguration."""
        return str(answer["status"])


def samples_of(values: Iterable[m.MeterValue]) -> list[Sample]:
    """Return energy and power of meter values; signed ones and single phases are left out.

    Raises:
        ValueError: a value is no number.
    """
    return [_sample(value) for value in values]


def _sample(value: m.MeterValue) -> Sample:
    found: dict[str, Any] = {"context": "Sample.Periodic"}
    for one in value.sampled_value:
        if one.context is not None:
            found["context"] = one.context
        if one.format == "SignedData" or one.phase is not None:
            continue
        measurand = one.measurand or ENERGY
        member = {ENERGY: "energy_wh", POWER: "power_w"}.get(measurand)
        if member:
            found[member] = _number(one.value) * (1000 if one.unit in _KILO else 1)
    return Sample(at=value.timestamp, **found)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]!r} is no decimal number")
    return number


def _boot(request: m.BootNotificationRequest, desk: Desk) -> Payload:
    answer = desk.behaviour.boot_answer()
    boot = Boot(
        protocol=PROTOCOL,
        vendor=request.charge_point_vendor,
        model=request.charge_point_model,
        reason=None,
        status=answer.status,
        serial_number=request.charge_point_serial_number,
        firmware_version=request.firmware_version,
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
        )
    )
    return {
        "status": answer.status,
        "currentTime": desk.now_text,
        "interval": answer.interval_s,
    }


def _status(request: m.StatusNotificationRequest, desk: Desk) -> Payload:
    error = None if request.error_code == "NoError" else request.error_code
    status = Status(None, request.connector_id, request.status, request.timestamp, error)
    desk.station.take_status(status)
    desk.tell(
        StatusTold(
            at_s=desk.now_s,
            identity=desk.identity,
            connector_id=status.connector_id,
            status=status.status,
            error=error,
        )
    )
    return {}


def _authorize(request: m.AuthorizeRequest, desk: Desk) -> Payload:
    verdict = desk.behaviour.verdict(request.id_tag)
    info = _info(verdict)
    desk.tell(
        TokenJudged(
            at_s=desk.now_s,
            identity=desk.identity,
            id_token=request.id_tag,
            status=info["status"],
        )
    )
    return {"idTagInfo": info}


def _start(request: m.StartTransactionRequest, desk: Desk) -> Payload:
    told = msgspec.json.encode(request)
    entry = desk.station.by_start(
        request.timestamp, request.meter_start, request.id_tag, request.connector_id
    )
    is_repeated = entry is not None and PROTOCOL in entry.protocols
    if entry is None:
        entry = _opened(request, desk)
    entry.take_protocol(PROTOCOL)
    if entry.number is None:
        # Begun under 2.0.1: from here on registers are whole Wh, so the first one is as well.
        entry.number = desk.ledger.take_number()
        entry.meter_start_wh, entry.register_wh = float(request.meter_start), None
    key = ("StartTransaction", entry.number)
    desk.show(entry, "started", is_repeated=is_repeated)
    answer = {
        "transactionId": entry.number,
        "idTagInfo": _info(desk.verdict(request.id_tag)),
    }
    return (is_repeated and desk.repeated(key, told)) or desk.remember(key, told, answer)


def _opened(request: m.StartTransactionRequest, desk: Desk) -> Transaction:
    number = desk.ledger.take_number()
    return desk.station.add(
        Transaction(
            identity=desk.identity,
            transaction_id=str(number),
            number=number,
            connector_id=request.connector_id,
            id_token=request.id_tag,
            started_at=request.timestamp,
            meter_start_wh=float(request.meter_start),
        )
    )


def _meter_values(request: m.MeterValuesRequest, desk: Desk) -> Payload:
    samples = samples_of(request.meter_value)
    number = request.transaction_id
    if number is None or number == LOST:
        return _noted(request, "MeterValues", desk)
    entry = desk.station.by_number(number)
    if entry is None:
        desk.complain(f"transaction {number} is unknown here")
        return {}
    entry.take_protocol(PROTOCOL)
    known = {(sample.at, sample.context) for sample in entry.samples}
    is_repeated = all((sample.at, sample.context) in known for sample in samples)
    desk.enter_samples(entry, samples)
    desk.show(entry, "updated", power_w=power_of(samples), is_repeated=is_repeated)
    return {}


def _stop(request: m.StopTransactionRequest, desk: Desk) -> Payload:
    samples = samples_of(request.transaction_data or ())
    entry = _ending(request, desk)
    entry.take_protocol(PROTOCOL)
    is_repeated = entry.ended_at is not None
    if not is_repeated:
        desk.enter_samples(entry, samples)
        entry.meter_stop_wh = float(request.meter_stop)
        entry.stop_token = request.id_tag
        desk.enter_end(entry, request.timestamp, request.reason or "Local")
    elif (entry.ended_at, entry.meter_stop_wh) != (request.timestamp, request.meter_stop):
        desk.complain(f"transaction {entry.transaction_id} ended again, but differently")
    desk.show(entry, "ended", is_repeated=is_repeated)
    if request.id_tag is None:
        return {}
    return {"idTagInfo": _info(desk.verdict(request.id_tag))}


def _ending(request: m.StopTransactionRequest, desk: Desk) -> Transaction:
    """Return the entry that a StopTransaction closes; a new one when none is known."""
    number = request.transaction_id
    for entry in reversed(desk.station.transactions):
        is_same_end = (entry.ended_at, entry.meter_stop_wh) == (
            request.timestamp,
            request.meter_stop,
        )
        # Many lost starts share one number: only the same end makes them the same.
        if entry.number == number and (number != LOST or is_same_end):
            return entry
    if number != LOST:
        desk.complain(f"transaction {number} is unknown here")
    fresh = Transaction(identity=desk.identity, transaction_id=str(number), number=number)
    return desk.station.add(fresh)


def _info(verdict: Verdict) -> Payload:
    status = verdict.status if verdict.status in _WORDS else "Invalid"
    info = {"status": status}
    if verdict.group is not None:
        info["parentIdTag"] = verdict.group
    if verdict.expires_at is not None:
        info["expiryDate"] = verdict.expires_at
    return info


def _listed(token: str, verdict: Verdict) -> Payload:
    return {"idTag": token, "idTagInfo": _info(verdict)}


def _noted(request: m.Payload, action: str, desk: Desk) -> Payload:
    desk.tell(
        MessageReceived(
            at_s=desk.now_s,
            identity=desk.identity,
            action=action,
            payload=msgspec.to_builtins(request),
        )
    )
    return {}


def _key(name: str) -> str:
    variable = variables.by_name(name)
    return variable.key if variable and variable.key else name
