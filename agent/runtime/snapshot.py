"""The station as people and programs see it: the `status` of the control socket.

Connector statuses are the nine words of 1.6 whatever is spoken with the CSMS: they are the
ones that technicians know (contract, section 5).
"""

from collections.abc import Callable
from typing import Any

from agent.core import targets as core_targets
from agent.core.bounds import station_bounds
from agent.core.orders import FirmwareStatus
from agent.core.setpoint import limits
from agent.core.states import Active, Authorized, Evse
from agent.core.station import Station, targets
from agent.core.updates import Phase
from agent.core.values import ConnectorStatus, Stamp
from agent.ocpp.wire_time import to_text
from hal.types import Phases

Project = Callable[[ConnectorStatus], str]


def snapshot(station: Station, project: Project, now: Stamp) -> dict[str, Any]:
    """Return the status.

    Args:
        project: gives the 1.6 word for a connector's status.
        now: the present instant, undated.
    """
    info, up = station.info, station.connection.up
    registration = station.provisioning.registration
    entries = station.outbox.entries
    return {
        "station": {
            "identity": info.identity,
            "vendor": info.vendor,
            "model": info.model,
            "serial_number": info.serial_number,
            "firmware_version": info.firmware_version,
        },
        "csms": {
            "connected": up is not None,
            "url": up.url if up else None,
            "protocol": up.subprotocol if up else None,
            "registration": registration.value if registration else None,
            "security_profile": up.security_profile if up else None,
            "held": station.connection.is_held,
            "reason": station.connection.reason or None,
        },
        "outbox": {
            "queued": len(entries),
            "oldest_at": _text(station, entries[0].at) if entries else None,
            "transmissions": station.outbox.transmissions,
        },
        "tolerated": dict(station.tolerated),
        "storage": {"writes": station.storage_ok},
        "clock": {
            "at": clock(station, now),
            "known": station.timebase.offset_s is not None,
        },
        "evses": [_evse(station, evse, project, now) for evse in station.evses.values()],
        "limits": [
            {"origin": one.origin, "limit_a": one.limit_a, "limit_w": one.limit_w}
            for one in station_bounds(station.outside, station.site)
        ],
        "firmware": _firmware(station),
    }


def _firmware(station: Station) -> dict[str, Any]:
    """Return how far an update is, in the words that the CSMS is told."""
    update = station.firmware.update
    state = FirmwareStatus.IDLE if update is None else update.status or FirmwareStatus.IDLE
    return {
        "state": state.value,
        "slot": station.firmware.slot,
        "trial": update is not None and update.phase is Phase.TRIAL,
    }


def clock(station: Station, now: Stamp) -> str | None:
    """Return the present time as the station knows it, None when it does not."""
    return _text(station, station.timebase.dated(now))


def _text(station: Station, stamp: Stamp) -> str | None:
    wall = station.timebase.wall_s(stamp)
    return None if wall is None else to_text(wall)


def _evse(station: Station, evse: Evse, project: Project, now: Stamp) -> dict[str, Any]:
    inputs = evse.inputs
    target: core_targets.EvseTarget = targets(station).of(evse.spec.evse_id)
    session = evse.session
    return {
        "evse_id": evse.spec.evse_id,
        "pilot": inputs.pilot.value if inputs.pilot else None,
        "energized": inputs.is_closed is True,
        "setpoint_a": target.offer_a,
        "limits": [
            {"origin": limit.origin, "limit_a": limit.limit_a} for limit in limits(evse)
        ],
        "meter": _meter(evse, now),
        "faults": [
            {"fault": item.fault.value, "info": item.info, "since": _text(station, item.since)}
            for item in inputs.faults
        ],
        "connectors": [
            {
                "connector_id": status.connector_id,
                "status": project(status),
                "operative": status.is_operative,
            }
            for status in station.statuses()
            if status.evse_id == evse.spec.evse_id
        ],
        "authorized": session.id_token.value if isinstance(session, Authorized) else None,
        "vehicle": _vehicle(station, evse),
        "reservation": _reservation(station, evse),
        "transaction": _transaction(station, evse),
    }


def _vehicle(station: Station, evse: Evse) -> dict[str, Any] | None:
    """Return how far the negotiation with a vehicle is (ISO 15118), None without one."""
    charging, evse_id = station.smart_charging, evse.spec.evse_id
    talk = charging.talks.get(evse_id)
    if talk is None:
        return None
    return {
        "waits": talk.waits,
        "number": talk.number,
        "chosen": charging.chosen.get(evse_id),
        "offers": [
            {
                "schedule_id": offer.schedule_id,
                "starts_at": to_text(offer.start_s or 0),
                "duration_s": offer.duration_s,
                "periods": [[one.start_s, one.limit / 1000] for one in offer.periods],
            }
            for offer in talk.offers
        ],
    }


def _meter(evse: Evse, now: Stamp) -> dict[str, Any] | None:
    reading = evse.inputs.reading
    if reading is None:
        return None
    figures = {
        "energy_import_wh": reading.energy_import_wh,
        "power_w": reading.power_w,
        "current_a": _phases(reading.current_a),
        "voltage_v": _phases(reading.voltage_v),
        "stale": evse.inputs.fresh_reading(now) is None,
    }
    if reading.dc is not None:
        figures["dc"] = {
            "voltage_v": reading.dc.voltage_v,
            "current_a": reading.dc.current_a,
            "soc_pct": reading.soc_pct,
        }
    return figures


def _phases(values: Phases) -> list[float]:
    return [values.l1, values.l2, values.l3]


def _reservation(station: Station, evse: Evse) -> dict[str, Any] | None:
    """Return for whom the EVSE is kept free; of several holders the first."""
    item = next(iter(station.held.get(evse.spec.evse_id, ())), None)
    if item is None:
        return None
    return {
        "reservation_id": item.reservation_id,
        "id_token": item.id_token.value,
        "group": item.group,
        "expires_at": to_text(item.expires_wall_s),
        "any_evse": item.evse_id is None,
    }


def _transaction(station: Station, evse: Evse) -> dict[str, Any] | None:
    transaction = evse.transaction
    if transaction is None:
        return None
    reading = evse.inputs.reading
    register = max(
        transaction.last_wh, reading.energy_import_wh if reading else transaction.last_wh
    )
    return {
        "transaction_id": transaction.transaction_id,
        "remote_id": station.outbox.remote_ids.get(transaction.transaction_id),
        "id_token": transaction.id_token.value,
        "started_at": _text(station, transaction.started_at),
        "energy_wh": register - transaction.meter_start_wh,
        "charging_state": transaction.charging_state.value,
        "suspended": isinstance(evse.session, Active) and transaction.is_suspended,
    }
