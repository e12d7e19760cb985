"""Whom the station speaks SFTP to, and how it proves itself: a real server on loopback."""

import asyncio
import stat

import asyncssh
import pytest

from agent.transfer import sftp
from agent.transfer.job import Job, Reason, TransferError
from agent.transfer.passage import Passage
from tests.transfer.servers import CONTENT, PASSWORD, USER, sftp_server

SERVED = CONTENT[:10_000]
LOGIN = f"{USER}:{PASSWORD.replace('/', '%2F')}"


@pytest.fixture
def shelf(tmp_path):
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf/image.bin").write_bytes(SERVED)
    return tmp_path / "shelf"


def fetched(tmp_path, port, login=LOGIN, **more):
    """Return what to await for the content of a file."""

    def fetch():
        path = tmp_path / "image"
        path.unlink(missing_ok=True)
        url = f"sftp://{login}@127.0.0.1:{port}/image.bin"
        sftp.fetch(Job(url, str(path), **more), Passage(lambda _: None))
        return path.read_bytes()

    return asyncio.to_thread(fetch)


def test_a_host_that_nobody_knows_is_refused_and_its_key_named(tmp_path, shelf):
    async def asked():
        async with sftp_server(shelf) as (port, key):
            with pytest.raises(TransferError) as refused:
                await fetched(tmp_path, port, known_hosts=(str(tmp_path / "absent"),))
            return key.get_fingerprint(), refused.value

    fingerprint, error = asyncio.run(asked())
    assert fingerprint in str(error)
    assert "in no file of known hosts for host 127.0.0.1" in str(error)
    assert error.reason is Reason.FAILED


def test_the_first_key_is_learned_and_another_one_is_refused_for_ever(tmp_path, shelf):
    learned = tmp_path / "known_hosts"

    async def asked():
        more = {"learned_hosts": str(learned)}
        async with sftp_server(shelf) as (port, _):
            first = await fetched(tmp_path, port, **more)
            kept = learned.read_text()
            second = await fetched(tmp_path, port, **more)
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        assert learned.read_text() == kept
        async with sftp_server(shelf) as (port, _):
            learned.write_text(f"[127.0.0.1]:{port} {other}")
            with pytest.raises(TransferError, match="not the one that is known"):
                await fetched(tmp_path, port, **more)
        assert learned.read_text().count("\n") == 1
        return first, second, kept

    first, second, kept = asyncio.run(asked())
    assert first == second == SERVED
    assert kept.startswith("[127.0.0.1]:")
    assert kept.count("\n") == 1
    assert stat.S_IMODE(learned.stat().st_mode) == 0o600


def test_a_host_is_not_learned_that_a_file_knows_otherwise(tmp_path, shelf):
    learned, known = tmp_path / "learned", tmp_path / "known"

    async def asked():
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        async with sftp_server(shelf) as (port, _):
            known.write_text(f"[127.0.0.1]:{port} {other}")
            more = {"known_hosts": (str(known),), "learned_hosts": str(learned)}
            with pytest.raises(TransferError, match="not the one that is known"):
                await fetched(tmp_path, port, **more)

    asyncio.run(asked())
    assert not learned.exists()


def test_a_key_takes_the_place_of_the_password(tmp_path, shelf):
    own = asyncssh.generate_private_key("ssh-ed25519")
    other = asyncssh.generate_private_key("ssh-ed25519")
    texts = [key.export_private_key().decode() for key in (own, other)]
    pem = own.export_private_key("pkcs8-pem").decode()

    async def asked():
        more = {"learned_hosts": str(tmp_path / "known_hosts")}
        async with sftp_server(shelf, [own.convert_to_public()]) as (port, _):
            assert await fetched(tmp_path, port, USER, ssh_key=texts[0], **more) == SERVED
            assert await fetched(tmp_path, port, USER, ssh_key=pem, **more) == SERVED
            with pytest.raises(TransferError) as refused:
                await fetched(tmp_path, port, USER, ssh_key=texts[1], **more)
            assert refused.value.reason is Reason.DENIED
            with pytest.raises(TransferError, match="SFTP") as broken:
                await fetched(tmp_path, port, USER, ssh_key="no key", **more)
            assert broken.value.reason is Reason.FAILED

    asyncio.run(asked())


def test_an_account_of_the_station_itself_is_not_used(tmp_path, shelf, monkeypatch):
    """What lies in ~/.ssh is somebody else's, known hosts and keys alike."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    own = asyncssh.generate_private_key("ssh-ed25519")
    own.write_private_key(home / ".ssh/id_ed25519")

    async def asked():
        async with sftp_server(shelf, [own.convert_to_public()]) as (port, key):
            public = key.export_public_key().decode()
            (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
            with pytest.raises(TransferError, match="in no file of known hosts"):
                await fetched(tmp_path, port, USER)
            more = {"learned_hosts": str(tmp_path / "known_hosts")}
            with pytest.raises(TransferError) as refused:
                await fetched(tmp_path, port, USER, **more)
            assert refused.value.reason is Reason.DENIED

    asyncio.run(asked())
