"""Settings over the wire, and what they do to the samples: when, and of what."""

import asyncio

import pytest

from agent.bench.desk import SettingError
from agent.core.variables import Access, Kind, Variable
from agent.ocpp.wire_time import from_text
from tests.support.lab import IDENTITY, VERSIONS, WALL_S, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def instants(lab: Lab, context: str) -> list[float]:
    """Return when the samples of the only bill were taken, seconds of this world."""
    [bill] = lab.bills
    return [
        round(from_text(one.at) - WALL_S, 3) for one in bill.samples if one.context == context
    ]


def test_a_setting_is_read_written_and_kept_over_a_power_cut(version: str) -> None:
    async def story(lab: Lab) -> None:
        csms = lab.csms
        await lab.start()
        await lab.online()
        assert await csms.get_setting(IDENTITY, "MeterValueSampleInterval") == "60"
        assert await csms.set_setting(IDENTITY, "MeterValueSampleInterval", "15") == "Accepted"
        assert await csms.get_setting(IDENTITY, "MeterValueSampleInterval") == "15"
        await lab.cut()
        await lab.start()
        await lab.online()
        assert await csms.get_setting(IDENTITY, "MeterValueSampleInterval") == "15"

    run(Lab(version), story)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MeterValueSampleInterval", "-1"),
        ("MeterValueSampleInterval", "often"),
        ("MeterValueSampleInterval", "1000000"),
        ("LocalPreAuthorize", "perhaps"),
        ("MeterValuesSampledData", "Energy.Active.Import.Register,Mood"),
        ("NumberOfConnectors", "5"),
    ],
)
def test_a_value_that_is_not_allowed_changes_nothing(
    version: str, name: str, value: str
) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        before = await lab.csms.get_setting(IDENTITY, name)
        assert await lab.csms.set_setting(IDENTITY, name, value) == "Rejected"
        assert await lab.csms.get_setting(IDENTITY, name) == before

    run(Lab(version), story)


def test_a_setting_that_nobody_knows_is_called_unknown(version: str) -> None:
    name = "Colour" if version == "ocpp1.6" else "Paint.Colour"

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        with pytest.raises(SettingError):
            await lab.csms.get_setting(IDENTITY, name)
        status = await lab.csms.set_setting(IDENTITY, name, "red")
        assert status == ("NotSupported" if version == "ocpp1.6" else "UnknownComponent")

    run(Lab(version), story)


def test_samples_lie_exactly_on_the_grid_of_the_transaction(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(3600)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version, settings={"MeterValueSampleInterval": 30}), story)
    check_bills(lab)
    [bill] = lab.bills
    assert bill.started_at is not None
    begun_s = from_text(bill.started_at) - WALL_S
    assert instants(lab, "Sample.Periodic") == [
        pytest.approx(begun_s + 30 * n, abs=0.001) for n in range(1, 121)
    ]


def test_a_new_interval_takes_effect_within_the_transaction(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(130)
        await lab.csms.set_setting(IDENTITY, "MeterValueSampleInterval", "10")
        await asyncio.sleep(45)
        await lab.csms.set_setting(IDENTITY, "MeterValueSampleInterval", "0")
        await asyncio.sleep(300)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    [bill] = lab.bills
    assert bill.started_at is not None
    begun_s = from_text(bill.started_at) - WALL_S
    taken = [round(at - begun_s) for at in instants(lab, "Sample.Periodic")]
    assert taken == [60, 120, 140, 150, 160, 170]


def test_aligned_samples_lie_exactly_on_the_quarter_of_the_hour(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await asyncio.sleep(1000)
        await lab.charging()
        await asyncio.sleep(2000)
        lab.unplug()
        await lab.delivered()

    settings = {"ClockAlignedDataInterval": 900, "MeterValueSampleInterval": 0}
    lab = run(Lab(version, settings=settings), story)
    check_bills(lab)
    assert instants(lab, "Sample.Clock") == [1800.0, 2700.0]
    idle = [
        value["timestamp"]
        for payload in lab.wire.payloads("MeterValues")
        if "transactionId" not in payload
        for value in payload["meterValue"]
    ]
    assert idle[0] == "2027-01-15T08:15:00.000Z"


def test_what_a_sample_holds_is_what_the_settings_name(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging(max_a=10.0)
        await asyncio.sleep(35)
        lab.unplug()
        await lab.delivered()

    settings = {
        "MeterValueSampleInterval": 30,
        "MeterValuesSampledData": "Power.Active.Import,Current.Import,Current.Offered,Voltage",
    }
    lab = run(Lab(version, settings=settings), story)
    action = "MeterValues" if version == "ocpp1.6" else "TransactionEvent"
    [sampled] = [
        value["sampledValue"]
        for payload in lab.wire.payloads(action)
        for value in payload.get("meterValue", ())
        if value["sampledValue"][0].get("context", "Sample.Periodic") == "Sample.Periodic"
    ]
    found = {(one["measurand"], one.get("phase")): float(one["value"]) for one in sampled}
    phases = ("L1", "L2", "L3")
    assert found == {
        ("Power.Active.Import", None): 6900.0,
        **{("Current.Import", phase): 10.0 for phase in phases},
        ("Current.Offered", None): 32.0,
        **{("Voltage", f"{phase}-N"): 230.0 for phase in phases},
    }


ROWS = Variable("CustomKeys", "Rows", Kind.INTEGER, "3", "Rows.", key="Rows", maximum=9)
LONG = "ü" * 500
MOTTO = Variable(
    "CustomKeys", "Motto", Kind.STRING, "", "What it says.", key="Motto", maximum=500
)
PIN = Variable(
    "CustomKeys", "Pin", Kind.STRING, "", "Secret.", key="Pin", access=Access.WRITE_ONLY
)


def test_the_operators_own_setting_is_one_like_any_other(version: str) -> None:
    prefix = "" if version == "ocpp1.6" else "CustomKeys."

    async def story(lab: Lab) -> None:
        csms = lab.csms
        await lab.start()
        await lab.online()
        assert await csms.get_setting(IDENTITY, prefix + "Rows") == "3"
        assert await csms.set_setting(IDENTITY, prefix + "Rows", "7") == "Accepted"
        assert await csms.set_setting(IDENTITY, prefix + "Rows", "10") == "Rejected"
        assert await csms.set_setting(IDENTITY, prefix + "Pin", "0000") == "Accepted"
        assert await csms.set_setting(IDENTITY, prefix + "Motto", LONG) == "Accepted"
        await lab.cut()
        await lab.start()
        await lab.online()
        assert await csms.get_setting(IDENTITY, prefix + "Rows") == "7"
        assert await csms.get_setting(IDENTITY, prefix + "Motto") == LONG
        with pytest.raises(SettingError):
            await csms.get_setting(IDENTITY, "CustomKeys.Columns")

    run(Lab(version, custom=(ROWS, PIN, MOTTO)), story)


def test_the_wiring_of_each_connector_is_known_to_the_board(version: str) -> None:
    name = "ConnectorPhaseRotation"

    async def story(lab: Lab) -> None:
        csms = lab.csms
        await lab.start()
        await lab.online()
        assert await csms.get_setting(IDENTITY, name) == "0.Unknown,1.Unknown,2.Unknown"
        assert await csms.set_setting(IDENTITY, name, "0.RST, 1.str,2.TRS") == "Accepted"
        assert await csms.get_setting(IDENTITY, name) == "0.RST,1.STR,2.TRS"
        for wrong in ("3.RST", "1.RST,1.STR", "1.RSR", "RST", "1"):
            assert await csms.set_setting(IDENTITY, name, wrong) == "Rejected"
        assert await csms.get_setting(IDENTITY, name) == "0.RST,1.STR,2.TRS"

    run(Lab(version, evses=2), story)


@pytest.mark.parametrize("signs", [True, False], ids=["signs", "signs nothing"])
def test_a_bill_can_be_proven_where_the_meter_signs(version: str, signs: bool) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(150)
        lab.unplug()
        await lab.delivered()

    wanted = {
        "SampledDataCtrlr.SignReadings": True,
        "StopTxnSampledData": "Energy.Active.Import.Register",
    }
    lab = run(Lab(version, settings=wanted, signs=signs), story)
    check_bills(lab)
    assert sum(proofs(lab, version)) == (2 if signs else 0)


def proofs(lab: Lab, version: str) -> list[int]:
    """Return how many signed values each message of the bill's begin or end carries."""
    if version == "ocpp1.6":
        [stop] = lab.wire.payloads("StopTransaction")
        values = [one["sampledValue"] for one in stop["transactionData"]]
        return [sum(v.get("format") == "SignedData" for v in group) for group in values]
    events = lab.wire.payloads("TransactionEvent")
    ends = [one for one in events if one["eventType"] == "Ended"]
    groups = [group for one in ends for group in one.get("meterValue", [])]
    return [sum("signedMeterValue" in v for v in one["sampledValue"]) for one in groups]


def test_the_public_key_of_a_meter_that_signs_can_be_read(version: str) -> None:
    name = "MeterPublicKey1" if version == "ocpp1.6" else "FiscalMetering.PublicKey[1]"

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await asyncio.sleep(5)
        signed = lab.evse().reading().signed
        assert signed is not None
        assert await lab.csms.get_setting(IDENTITY, name) == signed.public_key
        assert await lab.csms.set_setting(IDENTITY, name, "00") == "Rejected"
        if version == "ocpp1.6":
            told = await lab.csms.request(IDENTITY, "GetConfiguration", {})
            assert isinstance(told, dict)
            assert name in {item["key"] for item in told["configurationKey"]}

    run(Lab(version, signs=True), story)
