"""RPC error codes and their spelling per version.

1.6 writes `FormationViolation` and `OccurenceConstraintViolation` and has no code for a
broken frame; 2.0.1 writes `FormatViolation` and `OccurrenceConstraintViolation` (OCPP-J 1.6
chapter 4.2.3 with its errata; OCPP 2.0.1 part 4, chapter 4.3).
"""

import enum


class RpcErrorCode(enum.Enum):
    """Why a call is answered with an error; the value is the 2.0.1 spelling."""

    FORMAT_VIOLATION = "FormatViolation"
    GENERIC_ERROR = "GenericError"
    INTERNAL_ERROR = "InternalError"
    MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"
    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    OCCURRENCE_CONSTRAINT_VIOLATION = "OccurrenceConstraintViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    PROTOCOL_ERROR = "ProtocolError"
    RPC_FRAMEWORK_ERROR = "RpcFrameworkError"
    SECURITY_ERROR = "SecurityError"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"


_SPELLED_16 = {
    RpcErrorCode.FORMAT_VIOLATION: "FormationViolation",
    RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION: "OccurenceConstraintViolation",
    RpcErrorCode.RPC_FRAMEWORK_ERROR: "FormationViolation",
    RpcErrorCode.MESSAGE_TYPE_NOT_SUPPORTED: "FormationViolation",
}


def spelled(code: RpcErrorCode, subprotocol: str) -> str:
    """Return the code as the version writes it."""
    if subprotocol == "ocpp1.6":
        return _SPELLED_16.get(code, code.value)
    return code.value


def is_known(code: str, subprotocol: str) -> bool:
    """Tell whether the version has a code that is spelled so."""
    return any(spelled(item, subprotocol) == code for item in RpcErrorCode)


class RpcError(Exception):
    """A call must be answered with an error, and nothing has changed.

    Attributes:
        code: which error.
        description: for people, at most 255 characters, without secrets.
    """

    def __init__(self, code: RpcErrorCode, description: str = "") -> None:
        super().__init__(f"{code.value}: {description}")
        self.code = code
        self.description = description[:255]
