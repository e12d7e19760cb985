"""Limits through the control socket."""

import pytest

from tests.runtime.test_control import PARAMS, REFUSED, story  # noqa: F401  a fixture


def test_a_limit_is_set_shown_and_cleared(story):  # noqa: F811
    async def told(rig, client):
        accepted = {"status": "accepted"}
        limit = {"origin": "ems", "limit_a": 10, "valid_s": 60}
        assert await client.call("limit.set", **limit) == accepted
        one = {"origin": "ems", "limit_w": 4200, "valid_s": 60, "evse_id": 1}
        assert await client.call("limit.set", **one) == accepted
        status = await client.call("status")
        assert status["limits"] == [{"origin": "ems", "limit_a": 10.0, "limit_w": None}]
        origins = [item["origin"] for item in status["evses"][0]["limits"]]
        assert "ems" in origins
        assert await client.call("limit.clear", origin="ems") == accepted
        assert (await client.call("status"))["limits"] == []

    story(told)


@pytest.mark.parametrize(
    ("params", "code", "says"),
    [
        ({"origin": "ems", "valid_s": 60}, PARAMS, "exactly one of limit_a and limit_w"),
        (
            {"origin": "ems", "valid_s": 60, "limit_a": 6, "limit_w": 6},
            PARAMS,
            "exactly one of limit_a and limit_w",
        ),
        ({"origin": "e m s", "valid_s": 60, "limit_a": 6}, PARAMS, "origin"),
        ({"origin": "ems", "valid_s": 0, "limit_a": 6}, PARAMS, "valid_s"),
        ({"origin": "ems", "valid_s": 60, "limit_a": -1}, PARAMS, "limit_a"),
        ({"origin": "ems", "limit_a": 6}, PARAMS, "valid_s"),
        ({"origin": "fuse", "valid_s": 60, "limit_a": 6}, REFUSED, "limit of the station"),
        ({"origin": "ems", "valid_s": 60, "limit_a": 6, "evse_id": 9}, REFUSED, "EVSEs 1 to 1"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(story, params, code, says):  # noqa: F811
    async def told(rig, client):
        found, reason = await client.refusal("limit.set", **params)
        assert found == code
        assert says in reason

    story(told)


def test_what_is_not_there_cannot_be_cleared(story):  # noqa: F811
    async def told(rig, client):
        assert await client.refusal("limit.clear", origin="ems") == (
            REFUSED,
            "no limit of ems is in force",
        )

    story(told)
