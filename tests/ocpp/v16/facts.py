"""A station as the 1.6 adapter sees it, and records to encode."""

import msgspec

from agent.core.effects import (
    Delivery,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from agent.core.values import (
    ChargingState,
    EvseSpec,
    IdToken,
    Measurand,
    Quantity,
    ReadingContext,
    Sample,
    Stamp,
    StationInfo,
    StopReason,
    Trigger,
)
from agent.core.variables import Settings
from agent.ocpp.adapter import View
from agent.ocpp.v16.adapter import Adapter16
from tests.support.schemas import validate

T0 = 1_768_471_200.0  # 2026-01-15T10:00:00Z
TX = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
TOKEN = IdToken("04A1B2C3D4E5F6")

ONE_EVSE = (EvseSpec(1, 1, 32.0, 3),)
ADAPTER = Adapter16()


class FixedView(View):
    """One station whose clock is the stamps' own wall time."""

    def __init__(
        self,
        specs=ONE_EVSE,
        deliveries=(),
        info=None,
        settings=None,
    ):
        self._settings = settings or Settings()
        self._info = info or StationInfo("CP001", "Acme", "EV22", "SN0001", "1.4.2")
        self._specs = tuple(specs)
        self._settings = settings or Settings()
        self._deliveries = {one.started.transaction_id: one for one in deliveries}

    @property
    def info(self):
        return self._info

    @property
    def specs(self):
        return self._specs

    @property
    def settings(self):
        return self._settings

    def told_s(self, stamp):
        return stamp.wall_s if stamp.wall_s is not None else T0

    def delivery(self, transaction_id):
        return self._deliveries.get(transaction_id)


VIEW = FixedView()
TWO = FixedView(specs=(EvseSpec(1, 2, 32.0, 3), EvseSpec(2, 1, 16.0, 1)))


def stamp(after_s=0.0):
    return Stamp(1, 100.0 + after_s, T0 + after_s)


def sample(after_s=0.0, context=ReadingContext.PERIODIC, *quantities):
    return Sample(
        stamp(after_s), context, quantities or (Quantity(Measurand.ENERGY_IMPORT, 12_345.0),)
    )


def started(**changes):
    fields = {
        "transaction_id": TX,
        "evse_id": 1,
        "connector_id": 1,
        "at": stamp(),
        "trigger": Trigger.AUTHORIZED,
        "charging_state": ChargingState.EV_CONNECTED,
        "id_token": TOKEN,
        "meter_start_wh": 12_345.9,
    }
    return TransactionStarted(**{**fields, **changes})


def updated(**changes):
    fields = {
        "transaction_id": TX,
        "evse_id": 1,
        "connector_id": 1,
        "seq_no": 1,
        "at": stamp(60),
        "trigger": Trigger.METER_VALUE_PERIODIC,
        "charging_state": ChargingState.CHARGING,
        "samples": (sample(60),),
    }
    return TransactionUpdated(**{**fields, **changes})


def ended(**changes):
    fields = {
        "transaction_id": TX,
        "evse_id": 1,
        "connector_id": 1,
        "seq_no": 2,
        "at": stamp(3600),
        "trigger": Trigger.STOP_AUTHORIZED,
        "charging_state": ChargingState.EV_CONNECTED,
        "stop_reason": StopReason.LOCAL,
        "meter_stop_wh": 15_000.7,
        "id_token": TOKEN,
    }
    return TransactionEnded(**{**fields, **changes})


def knowing(remote_id=4711, *, is_start_lost=False, settings=None, **changes):
    """A view of a station whose transaction the CSMS knows by this number."""
    return FixedView(
        settings=settings, deliveries=(Delivery(started(**changes), remote_id, is_start_lost),)
    )


def raw(text):
    return msgspec.Raw(text.encode() if isinstance(text, str) else text)


def sent(call):
    """Check a call against the official schema and return (action, payload)."""
    return call.action, validate("ocpp1.6", call.action, call.payload, response=False)


def told(record, view=VIEW):
    call = ADAPTER.encode_record(record, view, offline=False)
    return None if call is None else sent(call)


def said(message, view=VIEW):
    call = ADAPTER.encode_message(message, view)
    return None if call is None else sent(call)


def asked(action, payload, view=VIEW, request_id=9):
    return ADAPTER.decode(action, raw(payload), request_id, view)


def answer(incoming, outcome, view=VIEW):
    payload = ADAPTER.respond(incoming, outcome, view)
    return validate("ocpp1.6", incoming.action, payload, response=True)
