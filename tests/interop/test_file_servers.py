"""Files fetched and sent as the agent does it, with the file servers of the field: vsftpd and sshd.

A server is started for each connection, as inetd and systemd's sockets do, by whoever runs the
tests, on files of their directory. What the agent is told stands in an `agent.toml`. Where vsftpd
or sshd is missing this is left out; with PILOTWIRE_FILE_SERVERS=required in the environment they
must be there.
"""

import asyncio
import os
import pwd
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import asyncssh
import pytest
from msgspec.structs import replace

from agent import upkeep
from agent.config import load_config
from agent.runtime.transfers import Transfers
from agent.transfer.job import Failed, Finished, Reason
from tests.agent.test_config import SMALLEST, any_setting
from tests.runtime.test_updater import Life
from tests.support.ca import Authority

pytestmark = pytest.mark.interop

LIMIT_S = 60.0
CONTENT = bytes(range(256)) * 4096  # 1 MiB
PART = b"another's" * 1000
"""What lies here already; it stays where a server goes on with it, whatever it is."""

WHOLE = Finished(len(CONTENT))
PATH = f"{os.environ['PATH']}:/usr/sbin"  # where Debian has servers
VSFTPD, SSHD = (shutil.which(name, path=PATH) for name in ("vsftpd", "sshd"))
USER = pwd.getpwuid(os.getuid()).pw_name
PAM = (
    "yes" if os.getuid() else "no"
)  # without it only root can see that an account is not locked

VSFTPD_CONF = """\
run_as_launching_user=YES
local_enable=NO
anonymous_enable=YES
anon_root={shelf}
secure_email_list_enable=YES
email_password_file={directory}/passwords
delay_failed_login=0
write_enable=YES
anon_upload_enable=YES
xferlog_enable=YES
xferlog_std_format=NO
log_ftp_protocol=YES
vsftpd_log_file={directory}/vsftpd.log
"""
"""Who has no account logs in with a password of a file: nothing of this machine is needed."""

TLS_CONF = """\
ssl_enable=YES
require_ssl_reuse=YES
debug_ssl=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
rsa_cert_file={directory}/server.pem
rsa_private_key_file={directory}/server.key
"""

SSHD_CONF = """\
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized_keys
StrictModes no
UsePAM {pam}
AuthenticationMethods publickey
Subsystem sftp internal-sftp
ForceCommand internal-sftp
PidFile none
"""


def is_there() -> bool:
    found = VSFTPD is not None and SSHD is not None
    is_required = os.environ.get("PILOTWIRE_FILE_SERVERS") == "required"
    assert found or not is_required, "vsftpd or sshd is missing"
    return found


@asynccontextmanager
async def served(*command: str) -> AsyncIterator[int]:
    """Let a command serve each connection, on its standard input. Yields the port."""
    started: list[asyncio.subprocess.Process] = []

    async def accepting(listening: socket.socket) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listening)
            with connection:
                connection.setblocking(True)  # it is the server's from here on
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=connection, stdout=connection
                )
            started.append(process)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        task = asyncio.create_task(accepting(listening))
        try:
            yield listening.getsockname()[1]
            async with asyncio.timeout(LIMIT_S):
                await asyncio.gather(*(process.wait() for process in started))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for process in started:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


class Station:
    """What fetches and sends files for a station, as its `agent.toml` says."""

    def __init__(self, directory: Path, table: str = "", roots: tuple[Path, ...] = ()) -> None:
        directory.mkdir()
        self.image, self.log = directory / "image", directory / "log"
        self.log.write_bytes(CONTENT)
        config = directory / "agent.toml"
        config.write_text(f'{SMALLEST}\n[storage]\ndirectory = "state"\n[transfer]\n{table}\n')
        setup = replace(upkeep.files(load_config(config, any_setting)), roots=roots)
        self._life = Life(directory, 1)
        self._transfers = Transfers(setup, self._life.kernel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._life.store.close()

    async def fetch(self, url: str, part: bytes = b"") -> Finished | Failed:
        self.image.write_bytes(part)
        return await self._transfers.fetched(url, self.image, 1 << 30)

    async def send(self, url: str) -> Finished | Failed:
        return await self._transfers.sent(url, self.log, "CP1.tar.gz")


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Directory of a server: an image, and a place for logs."""
    (tmp_path / "shelf/logs").mkdir(parents=True)
    (tmp_path / "shelf/image.bin").write_bytes(CONTENT)
    return tmp_path / "shelf"


def vsftpd(shelf: Path, *more: str) -> list[str]:
    """Write vsftpd's configuration; return the command."""
    text = (VSFTPD_CONF + "\n".join(more)).format(directory=shelf.parent, shelf=shelf)
    (shelf.parent / "passwords").write_text("secret\n")
    (shelf.parent / "vsftpd.conf").write_text(text)
    return [str(VSFTPD), str(shelf.parent / "vsftpd.conf")]


def logged(shelf: Path) -> str:
    return (shelf.parent / "vsftpd.log").read_text()


def failed(said: Finished | Failed, reason: Reason = Reason.FAILED) -> str:
    assert isinstance(said, Failed), said
    assert said.reason is reason, said
    return said.info


async def both_ways(station: Station, base: str, shelf: Path) -> None:
    """Fetch an image of which a part is there, and send a log into a directory."""
    assert await station.fetch(f"{base}/image.bin", PART) == WHOLE
    assert station.image.read_bytes() == PART + CONTENT[len(PART) :]
    assert await station.send(f"{base}/logs/") == WHOLE
    assert (shelf / "logs/CP1.tar.gz").read_bytes() == CONTENT


if is_there():

    def test_files_go_both_ways_with_vsftpd(tmp_path: Path, shelf: Path) -> None:
        async def main() -> None:
            command = vsftpd(shelf)
            async with served(*command) as port, Station(tmp_path / "station") as station:
                await both_ways(station, f"ftp://ftp:secret@127.0.0.1:{port}", shelf)
                url = f"ftp://ftp:wrong@127.0.0.1:{port}/image.bin"
                assert "530" in failed(await station.fetch(url), Reason.DENIED)

        asyncio.run(main())

    @pytest.mark.parametrize("is_implicit", [False, True], ids=["explicit", "implicit"])
    def test_vsftpd_over_tls_sees_its_session_again_on_every_data_connection(
        tmp_path: Path, shelf: Path, is_implicit: bool
    ) -> None:
        """Nobody but who opened the control connection can take its data: vsftpd insists."""
        authority = Authority("files")
        authority.issue("files", names=["localhost"]).write(tmp_path, "server")
        root = authority.write(tmp_path, "root")
        command = vsftpd(shelf, TLS_CONF, f"implicit_ssl={'YES' if is_implicit else 'NO'}")

        async def main() -> None:
            async with served(*command) as port:
                table = f"implicit_ftps_ports = [{port}]" if is_implicit else ""
                async with Station(tmp_path / "station", table, (root,)) as station:
                    base = f"ftps://ftp:secret@localhost:{port}"
                    await both_ways(station, base, shelf)

        asyncio.run(main())
        assert logged(shelf).count(", reused,") == 2
        assert ('"AUTH TLS"' in logged(shelf)) is not is_implicit

    @pytest.mark.parametrize("is_implicit", [False, True], ids=["explicit", "implicit"])
    def test_no_password_is_told_to_a_vsftpd_with_a_wrong_certificate(
        tmp_path: Path, shelf: Path, is_implicit: bool
    ) -> None:
        authority = Authority("files")
        authority.issue("files", names=["files.example"]).write(tmp_path, "server")
        root = authority.write(tmp_path, "root")
        command = vsftpd(shelf, TLS_CONF, f"implicit_ssl={'YES' if is_implicit else 'NO'}")

        async def main() -> None:
            async with served(*command) as port:
                table = f"implicit_ftps_ports = [{port}]" if is_implicit else ""
                url = f"ftps://ftp:secret@localhost:{port}/image.bin"
                async with Station(tmp_path / "one", table, (root,)) as station:
                    assert "Hostname mismatch" in failed(await station.fetch(url))
                async with Station(tmp_path / "other", table) as station:
                    assert "certificate verify failed" in failed(await station.fetch(url))

        asyncio.run(main())
        assert logged(shelf).count("CONNECT") == 2
        assert "PASS" not in logged(shelf)

    def test_files_go_both_ways_with_an_sshd_that_is_known_and_with_no_other(
        tmp_path: Path, shelf: Path
    ) -> None:
        host, other, own = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(3))
        host.write_private_key(tmp_path / "host")
        (tmp_path / "host").chmod(0o600)
        own.write_private_key(tmp_path / "own")
        own.write_public_key(tmp_path / "authorized_keys")
        (tmp_path / "sshd_config").write_text(SSHD_CONF.format(directory=tmp_path, pam=PAM))
        hosts = tmp_path / "hosts"
        table = f'known_hosts = "{hosts}"\nssh_key = {{ file = "{tmp_path / "own"}" }}'

        async def main() -> None:
            command = (str(SSHD), "-i", "-e", "-f", str(tmp_path / "sshd_config"))
            async with served(*command) as port, Station(tmp_path / "cp", table) as station:
                base = f"sftp://{USER}@127.0.0.1:{port}{shelf}"

                def know(key: asyncssh.SSHKey) -> None:
                    hosts.write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode()}")

                unknown = failed(await station.fetch(f"{base}/image.bin"))
                assert f"{host.get_fingerprint()} is in no file of known hosts" in unknown
                know(other)
                wrong = failed(await station.fetch(f"{base}/image.bin"))
                assert f"{host.get_fingerprint()} is not the one that is known" in wrong
                assert station.image.read_bytes() == b""
                know(host)
                await both_ways(station, base, shelf)
                (tmp_path / "authorized_keys").write_text("")
                failed(await station.fetch(f"{base}/image.bin"), Reason.DENIED)

        asyncio.run(main())
