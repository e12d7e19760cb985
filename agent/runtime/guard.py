"""A wall around protocol adapters: a defect in the code of one message costs that message only.

What a CSMS sends must neither end the conversation nor restart the agent, and a record that
cannot be encoded must not come back after every restart to do it again. Everything else in
the agent is allowed to fail loudly: see agent.runtime.shell.
"""

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from agent.ocppj.errors import RpcError, RpcErrorCode

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def guarded(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call an adapter's function.

    Raises:
        RpcError: the function raised one; InternalError when it raised anything else, which
            is logged and not told to the CSMS (1.6 reference 1.8, row 16).
    """
    try:
        return work(*args, **kwargs)
    except RpcError:
        raise
    except Exception as error:
        logger.exception("defect in the code of a message")
        raise RpcError(RpcErrorCode.INTERNAL_ERROR, "internal error") from error
