import pytest

from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.runtime.guard import guarded


def test_what_works_works():
    assert guarded(int, "17", base=8) == 15


def test_a_refusal_passes_as_it_is():
    def refuses():
        raise RpcError(RpcErrorCode.NOT_SUPPORTED, "no")

    with pytest.raises(RpcError, match="NotSupported: no"):
        guarded(refuses)


def test_a_defect_becomes_an_internal_error_that_says_nothing_and_is_logged(caplog):
    def fails():
        raise KeyError("secret")

    with pytest.raises(RpcError) as caught:
        guarded(fails)
    assert caught.value.code is RpcErrorCode.INTERNAL_ERROR
    assert caught.value.description == "internal error"
    assert "defect in the code of a message" in caplog.text
    assert "KeyError" in caplog.text


def test_a_cancellation_is_no_defect():
    def stops():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(stops)
