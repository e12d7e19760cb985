import msgspec
import pytest

from agent.bench import strict
from agent.ocpp.v16 import messages as v16
from agent.ocpp.v201 import messages as v201
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.bench.station import NOON, event201, start16, values16

CODES = RpcErrorCode


def refused(payload, type_, *, extensible=False):
    raw = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    with pytest.raises(RpcError) as caught:
        strict.decode(raw, type_, extensible=extensible)
    return caught.value.code, caught.value.description


def test_a_right_payload_becomes_its_struct():
    raw = msgspec.json.encode(start16())
    request = strict.decode(raw, v16.StartTransactionRequest, extensible=False)
    assert request.meter_start == 1000


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(raw):
    code, _ = refused(raw, v16.HeartbeatRequest)
    assert code is CODES.FORMAT_VIOLATION


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"meterStart": "1000"}, CODES.TYPE_CONSTRAINT_VIOLATION),
        ({"meterStart": 1000.0}, CODES.TYPE_CONSTRAINT_VIOLATION),
        ({"connectorId": 0}, CODES.PROPERTY_CONSTRAINT_VIOLATION),
        ({"idTag": "x" * 21}, CODES.PROPERTY_CONSTRAINT_VIOLATION),
        ({"extra": 1}, CODES.FORMAT_VIOLATION),
        ({"customData": {"vendorId": "x"}}, CODES.FORMAT_VIOLATION),
        ({"reservationId": None}, CODES.PROPERTY_CONSTRAINT_VIOLATION),
        ({"timestamp": "today"}, CODES.PROPERTY_CONSTRAINT_VIOLATION),
    ],
)
def test_nothing_is_mended(change, code):
    assert refused(start16(**change), v16.StartTransactionRequest)[0] is code


def test_the_place_of_a_mistake_is_named():
    payload = values16(1, 10, "5")
    payload["meterValue"][0]["timestamp"] = "noon"
    _, text = refused(payload, v16.MeterValuesRequest)
    assert text.startswith("$.meterValue[0].timestamp 'noon' is no date and time")


def test_null_is_no_value_anywhere():
    event = event201("Started", 0, 1000)
    event["transactionInfo"]["chargingState"] = None
    _, text = refused(event, v201.TransactionEventRequest, extensible=True)
    assert text.startswith("$.transactionInfo.chargingState is null")


def test_a_vendors_own_data_is_free_in_201_and_text_in_16():
    raw = msgspec.json.encode({"vendorId": "x", "data": {"timestamp": None}})
    request = strict.decode(raw, v201.DataTransferRequest, extensible=True)
    assert request.data == {"timestamp": None}
    raw = {"vendorId": "x", "data": None}
    code, _ = refused(raw, v16.DataTransferRequest)
    assert code is CODES.PROPERTY_CONSTRAINT_VIOLATION


def test_custom_data_is_passed_over_in_201():
    event = event201("Started", 0, 1000, customData={"vendorId": "x", "null": None})
    raw = msgspec.json.encode(event)
    request = strict.decode(raw, v201.TransactionEventRequest, extensible=True)
    assert request.meter_value[0].timestamp.startswith(NOON[:10])
