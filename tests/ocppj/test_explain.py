"""Payloads: what is taken as it is, what is mended, and why the rest is refused."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.explain import decode


class Inner(msgspec.Struct, rename="camel"):
    start_period: int
    limit: float = 0.0


class Outer(msgspec.Struct, rename="camel", kw_only=True):
    connector_id: Annotated[int, Meta(ge=0)]
    kind: Literal["Hard", "Soft"] = "Soft"
    text: Annotated[str, Meta(max_length=5)] | None = None
    is_on: bool | None = None
    either: int | str | None = None
    periods: Annotated[tuple[Inner, ...], Meta(min_length=1)] | None = None


def refused(payload, **options):
    with pytest.raises(RpcError) as caught:
        decode(payload, Outer, **options)
    return caught.value.code, caught.value.description


def test_a_fitting_payload_is_decoded():
    assert decode(msgspec.Raw(b'{"connectorId":1}'), Outer) == Outer(connector_id=1)


def test_unknown_members_are_ignored():
    assert decode(b'{"connectorId":1,"vendor":{"a":[1]}}', Outer) == Outer(connector_id=1)
    assert decode(b'{"connectorId":"1","vendor":{"a":[1]}}', Outer) == Outer(connector_id=1)


def test_an_optional_member_that_is_null_is_absent():
    assert decode(b'{"connectorId":1,"text":null,"periods":null}', Outer) == Outer(
        connector_id=1
    )
    assert decode(b'{"connectorId":1.0,"text":null,"isOn":null}', Outer) == Outer(
        connector_id=1
    )


@pytest.mark.parametrize("number", ["5.0", '"5"', '" 5 "', '"+5"'])
def test_a_harmless_way_to_write_an_integer_is_mended(number):
    assert decode(f'{{"connectorId":{number}}}'.encode(), Outer).connector_id == 5


@pytest.mark.parametrize("flag", ['"true"', '"True"', '" TRUE "'])
def test_a_boolean_written_as_text_is_mended(flag):
    assert decode(f'{{"connectorId":1,"isOn":{flag}}}'.encode(), Outer).is_on is True
    assert decode(b'{"connectorId":1,"isOn":"false"}', Outer).is_on is False


def test_a_number_written_as_text_is_mended_deep_inside():
    got = decode(b'{"connectorId":1,"periods":[{"startPeriod":"0","limit":"16.5"}]}', Outer)
    assert got.periods == (Inner(0, 16.5),)


def test_text_stays_text_where_both_are_allowed():
    assert decode(b'{"connectorId":"1","either":"5"}', Outer).either == "5"


def test_another_case_is_mended_only_on_request():
    assert decode(b'{"connectorId":1,"kind":"hARD"}', Outer, any_case=True).kind == "Hard"
    assert (
        refused(b'{"connectorId":1,"kind":"hard"}')[0]
        is RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
    )
    assert (
        refused(b'{"connectorId":1,"kind":"x"}', any_case=True)[0]
        is RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
    )


@pytest.mark.parametrize(
    ("payload", "code", "place"),
    [
        (b"{}", "OCCURRENCE_CONSTRAINT_VIOLATION", "$.connectorId"),
        (b'{"connectorId":null}', "TYPE_CONSTRAINT_VIOLATION", "$.connectorId"),
        (b'{"connectorId":1,"periods":[]}', "OCCURRENCE_CONSTRAINT_VIOLATION", "$.periods"),
        (
            b'{"connectorId":1,"periods":[{}]}',
            "OCCURRENCE_CONSTRAINT_VIOLATION",
            "$.periods[0].startPeriod",
        ),
        (b'{"connectorId":[]}', "TYPE_CONSTRAINT_VIOLATION", "$.connectorId"),
        (b'{"connectorId":"one"}', "TYPE_CONSTRAINT_VIOLATION", "$.connectorId"),
        (b'{"connectorId":1.5}', "TYPE_CONSTRAINT_VIOLATION", "$.connectorId"),
        (b'{"connectorId":true}', "TYPE_CONSTRAINT_VIOLATION", "$.connectorId"),
        (b'{"connectorId":1,"text":7}', "TYPE_CONSTRAINT_VIOLATION", "$.text"),
        (b'{"connectorId":1,"isOn":"maybe"}', "TYPE_CONSTRAINT_VIOLATION", "$.isOn"),
        (b'{"connectorId":1,"isOn":1}', "TYPE_CONSTRAINT_VIOLATION", "$.isOn"),
        (b'{"connectorId":1,"periods":{}}', "TYPE_CONSTRAINT_VIOLATION", "$.periods"),
        (b'{"connectorId":1,"periods":[1]}', "TYPE_CONSTRAINT_VIOLATION", "$.periods[0]"),
        (
            b'{"connectorId":1,"periods":[{"startPeriod":0,"limit":"much"}]}',
            "TYPE_CONSTRAINT_VIOLATION",
            "$.periods[0].limit",
        ),
        (b'{"connectorId":-1}', "PROPERTY_CONSTRAINT_VIOLATION", "$.connectorId"),
        (b'{"connectorId":"-1"}', "PROPERTY_CONSTRAINT_VIOLATION", "$.connectorId"),
        (b'{"connectorId":1,"text":"123456"}', "PROPERTY_CONSTRAINT_VIOLATION", "$.text"),
        (b'{"connectorId":1,"kind":"Warm"}', "PROPERTY_CONSTRAINT_VIOLATION", "$.kind"),
        (b'{"connectorId":' + b"9" * 5000 + b"}", "PROPERTY_CONSTRAINT_VIOLATION", "$"),
        (b"[]", "FORMAT_VIOLATION", "payload"),
        (b"null", "FORMAT_VIOLATION", "payload"),
        (b'"text"', "FORMAT_VIOLATION", "payload"),
        (b"{", "FORMAT_VIOLATION", "payload"),
        (b'{"connectorId":NaN}', "FORMAT_VIOLATION", "payload"),
        (b'{"connectorId":1,"text":"\xff"}', "FORMAT_VIOLATION", "payload"),
        (b'{"connectorId":"1","text":"\xff"}', "FORMAT_VIOLATION", "payload"),
        (b'{"connectorId":1,"text":"\\ud800"}', "FORMAT_VIOLATION", "payload"),
        (b'{"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "FORMAT_VIOLATION", "payload"),
        (
            b'{"connectorId":"1","deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "FORMAT_VIOLATION",
            "payload",
        ),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_with_code_and_place(payload, code, place):
    found, description = refused(payload)
    assert found is RpcErrorCode[code]
    assert place in description


def test_the_real_mistake_is_named_and_not_a_harmless_difference_before_it():
    code, description = refused(b'{"connectorId":"1","kind":"Warm"}')
    assert code is RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
    assert "$.kind" in description


def test_the_description_never_repeats_the_value():
    assert "secret" not in refused(b'{"connectorId":1,"text":"secret-token"}')[1]


class Holder(msgspec.Struct, rename="camel", kw_only=True):
    inner: Inner
    other: Inner | None = None
    number: int | None = None


def test_a_list_around_a_single_object_is_taken_off():
    got = decode(b'{"inner":[{"startPeriod":1}],"other":[{"startPeriod":2}]}', Holder)
    assert (got.inner, got.other) == (Inner(1), Inner(2))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"inner":[{"startPeriod":1},{"startPeriod":2}]}',
        b'{"inner":[]}',
        b'{"inner":{"startPeriod":1},"number":[1]}',
        b'[{"inner":{"startPeriod":1}}]',
    ],
)
def test_any_other_list_in_the_place_of_something_else_is_refused(payload):
    with pytest.raises(RpcError):
        decode(payload, Holder)
