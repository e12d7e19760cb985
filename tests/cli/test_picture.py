import msgspec
import pytest

from agent.commands.picture import picture

STATUS = {
    "station": {"identity": "CP001", "vendor": "Example", "model": "Wallbox One",
                "serial_number": "EX-0001", "firmware_version": "1.0.0"},
    "csms": {"connected": True, "url": "wss://csms.example.com/ocpp", "protocol": "ocpp2.0.1",
             "registration": "Accepted", "security_profile": 2},
    "outbox": {"queued": 0, "oldest_at": None},
    "evses": [{
        "evse_id": 1, "pilot": "C", "energized": True, "setpoint_a": 16.0,
        "limits": [{"origin": "hardware", "limit_a": 32.0}, {"origin": "profile", "limit_a": 16.0}],
        "meter": {"energy_import_wh": 12345.6, "power_w": 11040.0,
                  "current_a": [16.0, 16.0, 15.9], "voltage_v": [230, 231, 229]},
        "faults": [],
        "connectors": [{"connector_id": 1, "status": "Charging", "operative": True}],
        "reservation": None,
        "transaction": {"transaction_id": "a1b2", "remote_id": None, "id_token": "04A1B2C3",
                        "started_at": "2027-01-15T08:00:00Z", "energy_wh": 345.6},
    }],
    "firmware": {"state": "Idle", "slot": None, "trial": False},
}  # fmt: skip


def changed(**members):
    return {**STATUS, **members}


def with_evse(**members):
    return changed(evses=[{**STATUS["evses"][0], **members}])


def lines(result):
    return picture(result).splitlines()


def test_the_picture_of_the_contract_s_snapshot():
    assert (
        picture(STATUS)
        == """\
station   CP001, Example Wallbox One, serial EX-0001
firmware  1.0.0
CSMS      connected, Accepted, ocpp2.0.1, security profile 2, wss://csms.example.com/ocpp
outbox    empty

EVSE 1  pilot C (vehicle wants energy), outlet energized
        connector 1   Charging
        setpoint      16.0 A
        limits         32.0 A  hardware
                       16.0 A  profile   <
        meter         12346 Wh, 11040 W, 16.0 16.0 15.9 A, 230 231 229 V
        faults        none
        transaction   346 Wh so far
                      token 04A1B2C3, since 2027-01-15T08:00:00Z
                      id a1b2"""
    )


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({"csms": {"connected": False, "held": True}},
         "CSMS      not connected, held down by csms.disconnect"),
        ({"csms": {"connected": False, "reason": "refused"}}, "CSMS      not connected, refused"),
        ({"csms": {"connected": True}}, "CSMS      connected, not registered yet"),
        ({"outbox": {"queued": 3, "oldest_at": "2027-01-15T08:00:00Z"}},
         "outbox    3 waiting, the oldest of 2027-01-15T08:00:00Z"),
        ({"outbox": {"queued": 3, "oldest_at": None}}, "outbox    3 waiting"),
        ({"storage": {"writes": False}}, "storage   CANNOT WRITE: no transaction starts"),
        ({"clock": {"at": None, "known": False}}, "clock     not set since power-up"),
        ({"clock": {"at": "2027-01-15T08:00:00Z", "known": True}},
         "clock     2027-01-15T08:00:00Z"),
        ({"firmware": {"state": "Installing", "slot": "B", "trial": True}},
         "firmware  1.0.0, update Installing, slot B, on trial: rolled back unless it proves itself"),
        ({"station": {"identity": "X", "vendor": "V", "model": "M"}}, "station   X, V M"),
        ({"station": {"identity": "X", "vendor": "V", "model": "M"}}, "firmware  version not told"),
        ({"station": {"identity": "X", "vendor": "V\x1b[2J", "model": "M"}}, r"station   X, V\x1b[2J M"),
        ({"news": "of a later version"}, "outbox    empty"),
    ],
)  # fmt: skip
def test_lines_of_the_station(members, line):
    assert line in lines(changed(**members))


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({"pilot": None, "energized": False}, "EVSE 1  pilot not read yet, outlet off"),
        ({"pilot": "Z"}, "EVSE 1  pilot Z (unknown state), outlet energized"),
        ({"connectors": [{"connector_id": 2, "status": "Unavailable", "operative": False}]},
         "        connector 2   Unavailable, inoperative"),
        ({"limits": []}, "        limits        none"),
        ({"meter": None}, "        meter         not read yet"),
        ({"meter": {**STATUS["evses"][0]["meter"], "stale": True}},
         "        meter         12346 Wh, 11040 W, 16.0 16.0 15.9 A, 230 231 229 V, STALE"),
        ({"meter": {**STATUS["evses"][0]["meter"],
                    "dc": {"voltage_v": 402.4, "current_a": 27.4, "soc_pct": 40.0}}},
         "        meter         12346 Wh, 11040 W, 402 V DC 27.4 A, battery 40 %"),
        ({"meter": {**STATUS["evses"][0]["meter"],
                    "dc": {"voltage_v": 402.4, "current_a": 27.4, "soc_pct": None}}},
         "        meter         12346 Wh, 11040 W, 402 V DC 27.4 A"),
        ({"faults": [{"fault": "GroundFailure", "info": "30 mA", "since": "2027-01-15T08:00:00Z"}]},
         "        faults        GroundFailure: 30 mA (since 2027-01-15T08:00:00Z)"),
        ({"faults": [{"fault": "GroundFailure"}, {"fault": "OtherError"}]},
         "                      OtherError"),
        ({"transaction": None}, "        transaction   none"),
        ({"transaction": None, "authorized": "04A1"},
         "        transaction   none yet; authorized for 04A1"),
        ({"reservation": {"id": 7}}, '        reservation   {"id":7}'),
        ({"transaction": {"transaction_id": "t", "id_token": "04A1", "remote_id": 17,
                          "charging_state": "Charging"}},
         "        transaction   0 Wh so far, Charging"),
        ({"transaction": {"transaction_id": "t", "id_token": "04A1", "remote_id": 17}},
         "                      id t, 17 at the CSMS"),
        ({"transaction": {"transaction_id": "t", "id_token": "04A1"}},
         "                      token 04A1"),
    ],
)  # fmt: skip
def test_lines_of_an_evse(members, line):
    assert line in lines(with_evse(**members))


def test_every_limit_that_decides_is_marked():
    equal = [{"origin": "board", "limit_a": 16}, {"origin": "cable", "limit_a": 16}]
    marked = [line for line in lines(with_evse(limits=equal)) if line.endswith("<")]
    assert len(marked) == 2


@pytest.mark.parametrize(("limit_a", "count"), [(5.9, 1), (6.0, 0), (32.0, 0)])
def test_without_an_offer_a_limit_decides_only_if_it_is_below_the_least_offer(limit_a, count):
    limits = [{"origin": "hardware", "limit_a": 32.0}, {"origin": "board", "limit_a": limit_a}]
    shown = lines(with_evse(setpoint_a=0.0, limits=limits))
    assert "        setpoint      0.0 A, nothing is offered" in shown
    assert sum(line.endswith("<") for line in shown) == count


def test_an_origin_that_is_not_clear_to_everybody_is_explained():
    limits = [{"origin": "hardware", "limit_a": 32.0}, {"origin": "share", "limit_a": 16.0}]
    shown = lines(with_evse(limits=limits))
    assert "16.0 A  share     its part of what the station may draw  <" in "\n".join(shown)


def test_every_evse_is_shown():
    result = changed(evses=[{**STATUS["evses"][0], "evse_id": number} for number in (1, 2)])
    assert [line[:6] for line in lines(result) if line.startswith("EVSE")] == [
        "EVSE 1",
        "EVSE 2",
    ]


@pytest.mark.parametrize("result", [None, {}, changed(evses=[{}]), changed(outbox=True)])
def test_what_is_no_status_is_refused(result):
    with pytest.raises(msgspec.ValidationError):
        picture(result)


def test_a_line_shows_what_it_has_seen_and_how_busy_it_is():
    counters = {"connects": 1, "requests": 120, "timeouts": 3, "late": 0, "load": 0.254}
    result = changed(ports={"bus": counters, "new": dict.fromkeys(counters, 0)})
    assert lines(result)[-2:] == [
        "port bus  1 connects, 120 requests, 3 timeouts, busy 25% of the time",
        "port new  not used yet",
    ]
