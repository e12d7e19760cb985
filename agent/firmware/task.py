"""What the installer's process is told and says: the contract with the agent."""

import enum
from typing import Final

from msgspec import field

from agent.firmware.errors import Refusal
from hal.types import Value

SWUPDATE_SLOTS: Final = {"a": "stable,a", "b": "stable,b"}


class Deed(enum.Enum):
    """What to do."""

    STATUS = "status"
    CHECK = "check"
    VERIFY = "verify"
    INSTALL = "install"
    ACTIVATE = "activate"
    CONFIRM = "confirm"
    ROLL_BACK = "roll back"


class SwupdateSetup(Value, frozen=True):
    """What the configuration says of SWUpdate.

    Attributes:
        sockets: directory of the daemon's sockets.
        variable: of the boot loader; names the slot that starts next.
        slots: its two values, and what SWUpdate is to select to write into that slot.
    """

    sockets: str = "/run/swupdate"
    variable: str = "bootslot"
    slots: dict[str, str] = field(default_factory=lambda: dict(SWUPDATE_SLOTS))


class Task(Value, frozen=True):
    """One step of an update.

    Attributes:
        installer: "slots", "rauc", "swupdate" or "command".
        slots: directory of plain slots.
        command: the manufacturer's program.
        swupdate: how SWUpdate is set up.
        machine: id of the machine's boot, empty where nobody tells it.
        image: path of the image; for VERIFY and INSTALL.
        certificate, signature: of the request; for CHECK, VERIFY and INSTALL.
        roots: PEM files of the manufacturer's roots.
        crls: PEM files of revocation lists; one that is not there revokes nothing.
        at_s: the trusted time, UTC seconds; None when it is not known.
        product, hardware, version: what the image has to fit.
    """

    deed: Deed
    installer: str
    slots: str = ""
    command: tuple[str, ...] = ()
    swupdate: SwupdateSetup = SwupdateSetup()
    machine: str = ""
    image: str = ""
    certificate: str | None = None
    signature: str | None = None
    roots: tuple[str, ...] = ()
    crls: tuple[str, ...] = ()
    at_s: float | None = None
    product: str = ""
    hardware: str = ""
    version: str = ""
    allows_downgrade: bool = False
    most_bytes: int = 1 << 30


class Well(Value, frozen=True, tag="done", tag_field="is"):
    """It is done.

    Attributes:
        slot: installed into, or that runs.
        version: of the image.
    """

    slot: str | None = None
    has_failed: bool = False
    version: str | None = None


class Refused(Value, frozen=True, tag="refused", tag_field="is"):
    """The image or its certificate is not as it must be."""

    refusal: Refusal
    info: str


class Broken(Value, frozen=True, tag="broken", tag_field="is"):
    """It could not be done."""

    info: str


Result = Well | Refused | Broken
