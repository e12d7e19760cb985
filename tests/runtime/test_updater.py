"""A whole update through kernel, store, helper processes and a real server; logs the same way."""

import asyncio
import contextlib
import gzip
import io
import json
import tarfile

import pytest
from msgspec.structs import replace

from agent.core import durable
from agent.core.effects import LogAnswer, Reply, Report, Restart, Verdict
from agent.core.events import (
    AuthorizationAnswered,
    BootAnswered,
    EvseDetected,
    LinkUp,
    LogRequested,
    MeterRead,
    OutletChanged,
    PilotChanged,
    PowerUp,
    TokenPresented,
    UpdateRequested,
)
from agent.core.orders import (
    FirmwareReported,
    FirmwareStatus,
    LogKind,
    LogOrder,
    LogReported,
    UpdateOrder,
    UploadStatus,
)
from agent.core.updates import Phase, Update
from agent.core.values import (
    AuthorizationStatus,
    EvseCapabilities,
    EvseSpec,
    RegistrationStatus,
    StationInfo,
    TokenInfo,
)
from agent.runtime.clock import SystemWorld
from agent.runtime.kernel import Kernel
from agent.runtime.transfers import FileSetup
from agent.runtime.updater import InstallerLostError, Setup, Updater
from agent.runtime.uploader import LogSetup, Uploader
from agent.security.log import Entry, SecurityLog
from agent.store.database import Store
from hal.types import PilotState
from tests.firmware.bundles import Station, bundle
from tests.firmware.pki import NOW_S, ec_key, leaf, signed_text
from tests.support.core import TAG, reading
from tests.transfer.servers import http_server, tls_files

S = FirmwareStatus
PROTOCOLS = ("HTTPS",)


class Still:
    """Hardware that has nothing to do."""

    def apply(self, targets):
        pass


class Life:
    """One boot of an agent without hardware and without a link."""

    def __init__(self, directory, boot, factory=None):
        self.store = Store.open(directory / "state")
        loaded = self.store.load()
        station = durable.restored(
            loaded.rows,
            loaded.records,
            info=StationInfo("CP1", "Example", "Wallbox One", None, "1.4.0"),
            specs=(EvseSpec(1, 1, 32.0, 3),),
            profiles=1,
            factory=factory or {},
            protocols=PROTOCOLS,
        )
        self.effects, self.told = [], asyncio.Event()
        self.kernel = Kernel(station, self.store, Still(), SystemWorld(boot), self.dispatch)
        for event in (
            PowerUp(),
            EvseDetected(1, EvseCapabilities(32.0, 3)),
            PilotChanged(1, PilotState.A),
        ):
            self.kernel.post(event)

    def dispatch(self, _, effects):
        self.effects += effects
        self.told.set()

    def link(self):
        self.kernel.post(LinkUp(0, "ocpp2.0.1", "ws://csms", 0))
        self.kernel.post(BootAnswered(RegistrationStatus.ACCEPTED, 300, NOW_S))

    def records(self, kind):
        reports = [effect.record for effect in self.effects if isinstance(effect, Report)]
        return [record.status for record in reports if isinstance(record, kind)]

    async def until(self, is_so):
        while not is_so():
            self.told.clear()
            await self.told.wait()

    @contextlib.asynccontextmanager
    async def running(self, service):
        tasks = [asyncio.ensure_future(self.kernel.run()), asyncio.ensure_future(service.run())]
        try:
            async with asyncio.timeout(120.0):
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.store.close()


@pytest.fixture
def station(tmp_path):
    return Station(tmp_path)


@pytest.fixture
def site(tmp_path):
    (tmp_path / "tls").mkdir()
    root, certificate = tls_files(tmp_path / "tls")
    with http_server(certificate) as served:
        served.root = root
        yield served


def updater(life, station, site, tmp_path, web_roots=None, **more):
    setup = Setup(
        "slots",
        tmp_path / "state/firmware",
        "Wallbox One",
        version="1.4.0",
        hardware="r2",
        slots=str(station.slots),
        roots=(station.root,),
        files=FileSetup(web_roots or (site.root,)),
        **more,
    )
    return Updater(setup, life.kernel, lambda: NOW_S)


def ordered(site, content, **more):
    site.images["/image/1.5.0"] = content
    signature = signed_text(ec_key("signer"), content)
    fields = {"certificate": leaf().decode(), "signature": signature, "retries": 0, **more}
    return UpdateOrder(7, f"{site.url}/image/1.5.0", **fields)


def test_an_update_from_the_order_to_the_confirmed_slot(tmp_path, station, site):
    async def first():
        life = Life(tmp_path, 1)
        async with life.running(updater(life, station, site, tmp_path)):
            life.link()
            await life.until(lambda: life.kernel.station.firmware.installer is not None)
            life.kernel.post(UpdateRequested(1, ordered(site, bundle())))
            await life.until(lambda: any(isinstance(item, Restart) for item in life.effects))
        return life.records(FirmwareReported)

    async def second():
        life = Life(tmp_path, 2)
        async with life.running(updater(life, station, site, tmp_path)):
            life.link()
            await life.until(lambda: life.records(FirmwareReported))
        return life.records(FirmwareReported)

    assert asyncio.run(first()) == [
        S.DOWNLOADING,
        S.DOWNLOADED,
        S.SIGNATURE_VERIFIED,
        S.INSTALLING,
        S.INSTALL_REBOOTING,
    ]
    assert station.current == "b"
    assert (station.slots / "trial").read_text() == "b a\n"
    assert asyncio.run(second()) == [S.INSTALLED]
    assert not (station.slots / "trial").exists()
    assert list((tmp_path / "state/firmware").iterdir()) == []


def test_while_a_system_is_on_trial_the_unit_can_see_it(tmp_path, station, site):
    """An agent that does not start cannot say that the machine has to be restarted."""
    mark = tmp_path / "state/firmware/trial"

    async def life(boot, is_over):
        life = Life(tmp_path, boot)
        async with life.running(updater(life, station, site, tmp_path, restarts_machine=True)):
            life.link()
            await life.until(lambda: life.kernel.station.firmware.installer is not None)
            if boot == 1:
                life.kernel.post(UpdateRequested(1, ordered(site, bundle())))
            await life.until(lambda: is_over(life))

    async def kept():
        life = Life(tmp_path, 2)
        await updater(life, station, site, tmp_path)._kept()
        await life.store.close()

    asyncio.run(life(1, lambda life: any(isinstance(item, Restart) for item in life.effects)))
    assert mark.exists()
    asyncio.run(kept())
    assert (station.slots / "trial").exists()  # it is not kept by having started
    asyncio.run(life(2, lambda life: life.records(FirmwareReported)))
    assert not mark.exists()


def test_a_boot_loader_that_counts_every_start_is_told_of_every_one(
    tmp_path, station, site, monkeypatch
):
    monkeypatch.setattr("agent.runtime.updater.COUNTING", {"slots"})
    (station.slots / "trial").write_text("a b\n")

    async def started():
        life = Life(tmp_path, 1)
        async with life.running(updater(life, station, site, tmp_path)):
            while (station.slots / "trial").exists():  # noqa: ASYNC110  another process's
                await asyncio.sleep(0.01)

    asyncio.run(started())


@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        (bundle(), {"signature": "AAAA"}, [S.DOWNLOADING, S.DOWNLOADED, S.INVALID_SIGNATURE]),
        (
            bundle(version="1.0.0"),
            {},
            [
                S.DOWNLOADING,
                S.DOWNLOADED,
                S.SIGNATURE_VERIFIED,
                S.INSTALL_VERIFICATION_FAILED,
            ],
        ),
    ],
)
def test_an_image_that_is_not_good_is_told_and_deleted(
    tmp_path, station, site, content, more, expected
):
    async def life():
        life = Life(tmp_path, 1)
        async with life.running(updater(life, station, site, tmp_path)):
            life.link()
            await life.until(lambda: life.kernel.station.firmware.installer is not None)
            life.kernel.post(UpdateRequested(1, ordered(site, content, **more)))
            await life.until(lambda: len(life.records(FirmwareReported)) == len(expected))
        return life.records(FirmwareReported)

    assert asyncio.run(life()) == expected
    assert station.is_untouched
    assert list((tmp_path / "state/firmware").iterdir()) == []


def test_an_image_that_is_not_there_is_a_failed_download(tmp_path, station, site):
    async def life():
        life = Life(tmp_path, 1)
        async with life.running(updater(life, station, site, tmp_path)):
            life.link()
            await life.until(lambda: life.kernel.station.firmware.installer is not None)
            order = UpdateOrder(None, f"{site.url}/absent", retries=0)
            life.kernel.post(UpdateRequested(1, order))
            await life.until(lambda: len(life.records(FirmwareReported)) == 2)
        return life.records(FirmwareReported)

    assert asyncio.run(life()) == [S.DOWNLOADING, S.DOWNLOAD_FAILED]


def test_a_download_that_pauses_goes_on_with_the_part_that_has_come(tmp_path, station, site):
    """The helper is ended while somebody charges; the next one asks for the rest."""

    async def life():
        life = Life(tmp_path, 1, {"FirmwareCtrlr.DownloadWhileCharging": "false"})
        async with life.running(updater(life, station, site, tmp_path)):
            life.link()
            await life.until(lambda: life.kernel.station.firmware.installer is not None)
            order = UpdateOrder(None, f"{site.url}/halting", retries=0)
            life.kernel.post(UpdateRequested(1, order))
            await asyncio.to_thread(site.asked.wait, 60.0)
            part = tmp_path / "state/firmware/image-1"
            while part.stat().st_size < 1_000_000:  # noqa: ASYNC110  it is the helper's file
                await asyncio.sleep(0.01)
            life.kernel.post(OutletChanged(1, closed=False))
            life.kernel.post(MeterRead(1, reading(1000.0)))
            life.kernel.post(PilotChanged(1, PilotState.C))
            life.kernel.post(TokenPresented(TAG, 1))
            accepted = TokenInfo(AuthorizationStatus.ACCEPTED)
            life.kernel.post(AuthorizationAnswered(1, TAG, accepted))
            await life.until(lambda: life.records(FirmwareReported)[-1:] == [S.DOWNLOAD_PAUSED])
            life.kernel.post(PilotChanged(1, PilotState.A))
            await life.until(lambda: S.DOWNLOADED in life.records(FirmwareReported))
        return life.records(FirmwareReported)

    assert asyncio.run(life())[:4] == [
        S.DOWNLOADING,
        S.DOWNLOAD_PAUSED,
        S.DOWNLOADING,
        S.DOWNLOADED,
    ]
    ranges = [headers.get("Range") for _, _, headers in site.seen]
    assert len(ranges) == 2
    assert ranges[0] is None
    assert int(ranges[1][len("bytes=") : -1]) >= 1_000_000


def test_an_installer_that_does_not_answer_yet_is_looked_for_again(
    tmp_path, station, site, caplog, monkeypatch
):
    monkeypatch.setattr("agent.runtime.updater.FIRST_WAIT_S", 0.0)
    (station.slots / "current").unlink()

    async def started():
        life = Life(tmp_path, 1)
        async with life.running(updater(life, station, site, tmp_path)):
            while "no firmware updates" not in caplog.text:  # noqa: ASYNC110  the log's
                await asyncio.sleep(0.01)
            (station.slots / "current").symlink_to("slots/a")
            await life.until(lambda: life.kernel.station.firmware.installer == "slots")

    asyncio.run(started())


def test_a_new_image_without_an_installer_ends_so_that_the_old_one_runs(
    tmp_path, station, site, monkeypatch
):
    monkeypatch.setattr("agent.runtime.updater.FIRST_WAIT_S", 0.0)
    monkeypatch.setattr("agent.runtime.updater.LOOKS_ON_TRIAL", 2)
    (station.slots / "current").unlink()

    async def ended():
        life = Life(tmp_path, 1)
        on_trial = Update(1, UpdateOrder(7, "https://host"), Phase.ACTIVATING, slot="b")
        firmware = replace(life.kernel.station.firmware, update=on_trial)
        life.kernel.station = replace(life.kernel.station, firmware=firmware)
        with pytest.raises(InstallerLostError, match="no link to a slot"):
            await updater(life, station, site, tmp_path).run()
        await life.store.close()

    asyncio.run(ended())


# --- logs ---------------------------------------------------------------------------------

SECRET = "correct horse battery"


def facts():
    status = {"csms": {"url": "wss://user:pw@host/"}, "note": f"password is {SECRET}"}
    return status, ({"name": "X", "value": SECRET},)


def sent(tmp_path, site, kind, place="/logs", retries=0):
    log = SecurityLog(tmp_path / "state")

    async def life():
        life = Life(tmp_path, 1)
        log.add(Entry("2027-01-15T08:00:00.000Z", "StartupOfTheDevice", critical=True))
        log.flush()
        (tmp_path / "agent.log").write_text("a line of the log\n")
        setup = LogSetup(
            tmp_path / "state",
            (SECRET,),
            FileSetup((site.root,)),
            log_files=(tmp_path / "agent.log",),
        )
        async with life.running(Uploader(setup, life.kernel, facts)):
            life.link()
            order = LogOrder(9, kind, f"{site.url}{place}", retries=retries, retry_interval_s=0)
            life.kernel.post(LogRequested(1, order))
            await life.until(lambda: len(life.records(LogReported)) == 2)
        (answer,) = [
            item.outcome
            for item in life.effects
            if isinstance(item, Reply) and isinstance(item.outcome, LogAnswer)
        ]
        return answer.file_name, life.records(LogReported)

    return asyncio.run(life())


def test_diagnostics_are_written_and_sent(tmp_path, site):
    name, statuses = sent(tmp_path, site, LogKind.DIAGNOSTICS)
    assert statuses == [UploadStatus.UPLOADING, UploadStatus.UPLOADED]
    content = site.files[f"/logs/{name}"]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == [
            "status.json",
            "settings.json",
            "machine.json",
            "journal.log",
            "trace.log",
            "security.log",
        ]
        text = b"".join(archive.extractfile(item).read() for item in archive.getmembers())
    assert b"StartupOfTheDevice" in text
    assert b"a line of the log" in text
    assert SECRET.encode() not in text
    assert b"user:pw" not in text
    assert list((tmp_path / "state/logs").iterdir()) == []


def test_the_security_log_is_written_and_sent(tmp_path, site):
    name, statuses = sent(tmp_path, site, LogKind.SECURITY)
    assert statuses == [UploadStatus.UPLOADING, UploadStatus.UPLOADED]
    lines = gzip.decompress(site.files[f"/logs/{name}"]).splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["StartupOfTheDevice"]


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ("/denied", UploadStatus.PERMISSION_DENIED),
        ("/bad", UploadStatus.BAD_MESSAGE),
        ("/readonly", UploadStatus.NOT_SUPPORTED_OPERATION),
    ],
)
def test_why_a_log_is_not_taken_is_told(tmp_path, site, place, status):
    assert sent(tmp_path, site, LogKind.SECURITY, place)[1] == [UploadStatus.UPLOADING, status]


def test_a_second_log_ends_the_first_in_the_middle(tmp_path, site):
    """N01.FR.12 and FR.20, with a server that does not take the first."""

    async def life():
        life = Life(tmp_path, 1)
        setup = LogSetup(tmp_path / "state", files=FileSetup((site.root,)))
        async with life.running(Uploader(setup, life.kernel, facts)):
            life.link()
            first = LogOrder(1, LogKind.DIAGNOSTICS, f"{site.url}/silent")
            life.kernel.post(LogRequested(1, first))
            await asyncio.to_thread(site.asked.wait, 60.0)
            second = LogOrder(2, LogKind.SECURITY, f"{site.url}/logs")
            life.kernel.post(LogRequested(2, second))
            await life.until(lambda: len(life.records(LogReported)) == 4)
        reports = [item.record for item in life.effects if isinstance(item, Report)]
        told = [(one.request_id, one.status) for one in reports if isinstance(one, LogReported)]
        replies = [
            item.outcome.verdict
            for item in life.effects
            if isinstance(item, Reply) and isinstance(item.outcome, LogAnswer)
        ]
        return told, replies

    told, replies = asyncio.run(life())
    assert told == [
        (1, UploadStatus.UPLOADING),
        (1, UploadStatus.ACCEPTED_CANCELED),
        (2, UploadStatus.UPLOADING),
        (2, UploadStatus.UPLOADED),
    ]
    assert replies == [Verdict.ACCEPTED, Verdict.ACCEPTED_CANCELED]
    assert len(site.files) == 1
    assert list((tmp_path / "state/logs").iterdir()) == []


def test_a_log_that_a_busy_server_refuses_is_sent_at_the_next_attempt(tmp_path, site):
    statuses = sent(tmp_path, site, LogKind.SECURITY, "/busy", retries=1)[1]
    assert statuses == [UploadStatus.UPLOADING, UploadStatus.UPLOADED]
    assert [command for command, _, _ in site.seen] == ["PUT", "PUT"]
