"""SWUpdate's installer with programs that do what its own ones were seen to do.

`make updaters` does the same with SWUpdate itself and libubootenv.
"""

import io
import logging

import pytest
from msgspec.structs import replace

from agent.firmware import swupdate
from agent.firmware.__main__ import result
from agent.firmware.errors import DigestError, Refusal, UpdaterRefusedError
from agent.firmware.image import Image, Payload
from agent.firmware.installer import InstallerError
from agent.firmware.swupdate import Said, Swupdate, heard
from agent.firmware.task import Broken, Deed, Refused, SwupdateSetup, Well
from tests.firmware.bundles import Station, bundle
from tests.firmware.pki import ec_key, leaf, signed_text

PRINTS = """#!/bin/sh
[ -s {place}/environment ] || {{ echo 'Cannot read environment' >&2; exit 243; }}
cat {place}/environment
"""
SETS = """#!/bin/sh
echo "$@" >>{place}/written
while [ $# -gt 0 ]; do
  grep -v "^$1=" {place}/environment >{place}/next; echo "$1=$2" >>{place}/next
  mv {place}/next {place}/environment; shift 2
done
"""
FORGETS = "#!/bin/sh\n"
CLIENT = """#!/bin/sh
echo "$TMPDIR $RUNTIME_DIRECTORY $@" >>{place}/called
cat >{place}/taken
echo 'no input given, reading from STDIN...'
echo 'Status: 1 message: Software Update started !'
{more}
"""
WELL = "echo 'Status: 3 message: SWUPDATE successful !'"
ACTIVATES = """sed -i s/bootslot=a/bootslot=b/ {place}/environment
echo upgrade_available=1 >>{place}/environment"""
REFUSES = """echo 'Status: 2 message: [verify_signer_certs] : Failed to verify certificate 0'
echo 'Status: 4 message: ERROR : Authentication of all signatures failed'
echo 'Status: 4 message: Image invalid or corrupted. Not installing ...'
echo 'SWUpdate *failed* !'
exit 1"""
HANGS_UP = """#!/bin/sh
case $2 in
-d) cat >{place}/judged
    echo 'Status: 4 message: ERROR : HW compatibility not found'
    exit 1 ;;
esac
head -c 10 >/dev/null
echo 'swupdate_image_write failed: Connection reset by peer'
exit 1
"""
ABSENT = """#!/bin/sh
echo 'swupdate_async_start returns -1'
echo 'no input given, reading from STDIN...'
exit 1
"""


def member(name, content):
    """Return a member of a cpio archive, as `cpio -H crc` writes it."""
    sizes = [0] * 13
    sizes[6], sizes[11] = len(content), len(name) + 1
    text = b"070702" + b"".join(b"%08X" % size for size in sizes) + name + b"\0"
    text += b"\0" * (-len(text) % 4)
    return text + content + b"\0" * (-len(content) % 4)


JUDGED = member(b"sw-description", b"software = {};") + member(b"sw-description.sig", b"cms")
IMAGE = JUDGED + member(b"rootfs.gz", b"an image of SWUpdate's")
LARGE = JUDGED + member(b"rootfs.gz", b"x" * 500_000)


class Board:
    """A station whose slots are SWUpdate's, in a boot of its machine."""

    def __init__(self, directory):
        self.place, self.station, self.machine = directory, Station(directory), "boot-1"
        self.programs = directory / "programs"
        self.programs.mkdir()
        self.program("fw_printenv", PRINTS)
        self.program("fw_setenv", SETS)
        self.program("swupdate-client", CLIENT, more=WELL)
        self.has(bootslot="a")

    def program(self, name, text, **more):
        path = self.programs / name
        more = {key: value.format(place=self.place) for key, value in more.items()}
        path.write_text(text.format(place=self.place, **more))
        path.chmod(0o755)

    def has(self, **variables):
        lines = [f"{name}={value}\n" for name, value in variables.items()]
        (self.place / "environment").write_text("".join(lines))

    @property
    def environment(self):
        lines = (self.place / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def does(self, deed, content=IMAGE, **more):
        self.station.image.write_bytes(content)
        signature = signed_text(ec_key("signer"), content)
        fields = {"certificate": leaf().decode(), "signature": signature, **more}
        task = self.station.task(deed, installer="swupdate", machine=self.machine, **fields)
        return result(task)


@pytest.fixture
def board(tmp_path, monkeypatch):
    found = Board(tmp_path)
    monkeypatch.setattr(swupdate, "HEAD_START_S", 0.0)
    monkeypatch.setenv("PATH", f"{found.programs}:/usr/bin:/bin")
    return found


def test_an_image_goes_into_the_other_slot_and_does_not_start_yet(board, caplog):
    with caplog.at_level(logging.INFO):
        assert board.does(Deed.INSTALL) == Well("b")
    assert (board.place / "taken").read_bytes() == IMAGE
    sockets = "/run/swupdate /run/swupdate"
    assert (board.place / "called").read_text() == f"{sockets} -v -e stable,b -\n"
    assert board.environment["bootslot"] == "a"
    assert "SWUpdate: has taken 100 %" in caplog.text
    assert "SWUpdate: SWUPDATE successful !" in caplog.text


def test_the_configuration_names_slots_and_sockets(board):
    board.has(boot_part="2")
    setup = SwupdateSetup("/sockets", "boot_part", {"1": "prod,copy1", "2": "prod,copy2"})
    assert board.does(Deed.STATUS, swupdate=setup) == Well("2")
    assert board.does(Deed.INSTALL, swupdate=setup) == Well("1")
    assert (board.place / "called").read_text() == "/sockets /sockets -v -e prod,copy1 -\n"


def test_an_image_that_activates_itself_is_told_to_wait(board):
    board.program("swupdate-client", CLIENT, more=ACTIVATES)
    assert board.does(Deed.INSTALL) == Well("b")
    assert board.environment["bootslot"] == "a"
    assert board.environment["upgrade_available"] == "0"


def test_an_agent_that_died_within_an_installation_knows_what_runs(board):
    """The image has switched slots already, and nothing has put that right."""
    board.does(Deed.INSTALL)
    board.has(**{**board.environment, "bootslot": "b", "upgrade_available": "1"})
    assert board.does(Deed.STATUS) == Well("a")
    assert board.does(Deed.INSTALL) == Well("b")
    assert board.environment["bootslot"] == "a"


def test_the_new_slot_runs_only_after_a_restart_of_the_machine(board):
    board.does(Deed.INSTALL)
    assert board.does(Deed.ACTIVATE) == Well()
    on_trial = {"bootslot": "b", "upgrade_available": "1", "bootcount": "0", "ustate": "2"}
    assert board.environment == {"pilotwire_slot": "a boot-1", **on_trial}
    assert board.does(Deed.STATUS) == Well("a")
    assert board.does(Deed.ACTIVATE) == Well()
    assert board.environment == {"pilotwire_slot": "a boot-1", **on_trial}
    board.machine = "boot-2"
    assert board.does(Deed.STATUS) == Well("b")
    assert board.does(Deed.CONFIRM) == Well()
    kept = {"bootslot": "b", "upgrade_available": "0", "bootcount": "0", "ustate": "0"}
    assert board.environment == {"pilotwire_slot": "b boot-2", **kept}


def test_activation_is_one_write_so_that_no_power_cut_halves_it(board):
    board.does(Deed.ACTIVATE)
    assert len((board.place / "written").read_text().splitlines()) == 1


def test_what_does_not_prove_itself_is_left_for_the_old_one(board):
    board.does(Deed.ACTIVATE)
    board.machine = "boot-2"
    assert board.does(Deed.ROLL_BACK) == Well()
    assert board.does(Deed.STATUS) == Well("b")
    assert board.does(Deed.ROLL_BACK) == Well()
    board.machine = "boot-3"
    assert board.environment["bootslot"] == "a"
    assert board.does(Deed.STATUS) == Well("a", has_failed=True)


@pytest.mark.parametrize(
    "left",
    [
        {"bootslot": "a", "upgrade_available": "0", "ustate": "2"},
        {"bootslot": "a", "ustate": "3"},
        {"bootslot": "b", "upgrade_available": "1", "bootcount": "4", "bootlimit": "3"},
    ],
)
def test_a_slot_that_the_boot_loader_has_left_has_failed(board, left):
    board.has(**left)
    assert board.does(Deed.STATUS) == Well("a", has_failed=True)


@pytest.mark.parametrize("counted", [("3", "3"), ("4", "0"), ("", "3"), ("x", "3")])
def test_a_slot_within_its_starts_is_on_trial(board, counted):
    count, limit = counted
    trial = {"bootslot": "b", "upgrade_available": "1", "ustate": "2"}
    board.has(**trial, bootcount=count, bootlimit=limit)
    assert board.does(Deed.STATUS) == Well("b")


def test_what_swupdate_refuses_is_not_for_this_station(board):
    board.program("swupdate-client", CLIENT, more=REFUSES)
    text = "UpdaterRefusedError: SWUpdate: Authentication of all signatures failed"
    assert board.does(Deed.INSTALL) == Refused(Refusal.IMAGE, text)
    assert board.environment["bootslot"] == "a"


def test_a_daemon_that_hangs_up_is_asked_once_more_why(board):
    board.program("swupdate-client", HANGS_UP)
    text = "UpdaterRefusedError: SWUpdate: HW compatibility not found"
    assert board.does(Deed.INSTALL, LARGE) == Refused(Refusal.IMAGE, text)
    assert (board.place / "judged").read_bytes() == JUDGED


def test_a_beginning_that_is_not_refused_explains_nothing(board):
    """Cut off as it is, it always fails for want of the rest."""
    board.program("swupdate-client", HANGS_UP.replace("HW compatibility", "the rest"))
    said = board.does(Deed.INSTALL, LARGE)
    assert said == Broken("SWUpdate: swupdate_image_write failed: Connection reset by peer")


def test_a_daemon_that_is_not_there_is_told(board):
    board.program("swupdate-client", ABSENT)
    assert board.does(Deed.INSTALL) == Broken("SWUpdate: swupdate_async_start returns -1")


def test_a_client_that_says_nothing_has_failed_all_the_same(board):
    board.program("swupdate-client", "#!/bin/sh\necho 'SWUpdate was successful !'\nexit 1\n")
    assert board.does(Deed.INSTALL) == Broken("SWUpdate: swupdate-client ended with 1")


@pytest.mark.parametrize("name", ["swupdate-client", "fw_printenv"])
def test_a_program_that_is_not_there_is_named(board, name, monkeypatch):
    (board.programs / name).unlink()
    monkeypatch.setenv("PATH", str(board.programs))
    board.program("fw_setenv", "#!/bin/sh\n")
    if name == "swupdate-client":
        board.has(bootslot="a", pilotwire_slot="a boot-1")
        board.program(
            "fw_printenv", "#!/bin/sh\necho bootslot=a\necho 'pilotwire_slot=a boot-1'\n"
        )
    said = board.does(Deed.INSTALL)
    assert isinstance(said, Broken)
    assert said.info.startswith(f"{name}: ")
    assert "No such file" in said.info


def test_the_file_is_what_was_verified_or_nothing_was_installed(board):
    """Who writes into the open file between the check and the flash is found out."""
    path = board.station.image
    path.write_bytes(IMAGE)
    installer = Swupdate(SwupdateSetup(), "boot-1")
    with Image(path) as image:
        payload = Payload(image, 0, image.sha256().hex())
        path.write_bytes(IMAGE.replace(b"an image", b"AN IMAGE"))
        with pytest.raises(DigestError, match="changed"):
            installer.install(payload, None)
    assert board.environment["bootslot"] == "a"


def test_a_bundle_of_pilotwire_is_none_of_swupdates(board):
    refused = board.does(Deed.INSTALL, bundle())
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.IMAGE
    assert not (board.place / "called").exists()


@pytest.mark.parametrize(
    "content", [b"", b"something else", IMAGE[:200], IMAGE.replace(b"00000003", b"0000000x")]
)
def test_what_is_no_image_of_swupdates_does_not_reach_it(board, content):
    said = board.does(Deed.INSTALL, content)
    text = "UnreadableImageError: it is no image of SWUpdate's"
    assert said == Refused(Refusal.IMAGE, text)
    assert not (board.place / "called").exists()


@pytest.mark.parametrize("variables", [{"bootslot": "c"}, {"other": "a"}])
def test_a_slot_that_nobody_knows_runs_nothing(board, variables):
    board.has(**variables)
    said = board.does(Deed.STATUS)
    assert isinstance(said, Broken)
    assert said.info.endswith("not a or b")


def test_an_environment_that_cannot_be_read_is_told(board):
    (board.place / "environment").write_text("")
    assert board.does(Deed.STATUS) == Broken("fw_printenv: Cannot read environment")
    board.program("fw_printenv", "#!/bin/sh\nexit 3\n")
    assert board.does(Deed.STATUS) == Broken("fw_printenv: 3")


def test_a_write_that_is_not_read_back_is_none(board):
    """U-Boot's own fw_setenv takes one variable, and all the rest for its value."""
    board.program("fw_setenv", FORGETS)
    said = board.does(Deed.INSTALL)
    assert said == Broken("fw_setenv did not write it: is it that of libubootenv?")
    assert not (board.place / "called").exists()


def test_without_an_id_of_the_boot_nothing_is_written(board):
    board.machine = ""
    said = board.does(Deed.INSTALL)
    assert said == Broken("nobody tells which boot of the machine this is")
    assert not (board.place / "called").exists()


def test_the_first_mistake_of_the_daemon_is_the_reason():
    """Lines as SWUpdate 2022.12 wrote them for an image of another board."""
    lines = b"""no input given, reading from STDIN...
Status: 1 message: Software Update started !
Status: 2 message: [swupdate_verify_file] : Verified OK
Status: 4 message: ERROR : HW compatibility not found
Status: 4 message: ERROR : Compatible SW not found
Status: 4 message: Image invalid or corrupted. Not installing ...
SWUpdate *failed* !
"""
    said = heard(io.BytesIO(lines))
    assert said.own == ()
    assert str(said.mistake(1)) == "SWUpdate: HW compatibility not found"
    assert isinstance(said.mistake(1), UpdaterRefusedError)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("HASH mismatch : ab <--> cd", UpdaterRefusedError),
        ("No downgrading allowed: new version 1.0 older than 2.0", UpdaterRefusedError),
        ("Signature verification failed", UpdaterRefusedError),
        ("cannot write 16384 bytes: No space left on device", InstallerError),
        ("inflate failed (returned -3)", InstallerError),
    ],
)
def test_a_refusal_is_told_from_a_failure(line, kind):
    assert type(Said((line,)).mistake(1)) is kind
    assert type(replace(Said(), own=(line,)).mistake(1)) is InstallerError
