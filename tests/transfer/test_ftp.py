"""FTPS from the first byte, certificates, and servers that repeat what they were told."""

import socket
import threading

import pytest

from agent.transfer import ftp
from agent.transfer.__main__ import _outcome
from agent.transfer.job import Failed, Job, Reason, TransferError
from agent.transfer.passage import Passage
from tests.transfer.servers import CONTENT, PASSWORD, USER, ftp_server, tls_files

SHOWN = PASSWORD.replace("/", "%2F").replace("@", "%40")
SECRET = "s3cret-of-the-url"


@pytest.fixture
def shelf(tmp_path):
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf/image.bin").write_bytes(CONTENT)
    return tmp_path / "shelf"


@pytest.fixture
def implicit(tmp_path, shelf, monkeypatch):
    """A server on the port of FTPS, which here is one that anybody may serve on."""
    (tmp_path / "tls").mkdir()
    root, certificate = tls_files(tmp_path / "tls")
    with ftp_server(shelf, certificate, is_implicit=True) as port:
        monkeypatch.setattr(ftp, "FTPS_PORT", port)
        yield (str(root),)


def through():
    return Passage(lambda _: None)


@pytest.mark.parametrize("port", ["", ":{port}"])
def test_tls_begins_with_the_connection_on_its_port(tmp_path, shelf, implicit, port):
    base = f"ftps://{USER}:{SHOWN}@localhost{port.format(port=ftp.FTPS_PORT)}"
    image = tmp_path / "image"
    image.write_bytes(CONTENT[:1000])
    job = Job(f"{base}/image.bin", str(image), roots=implicit)
    assert ftp.fetch(job, through()) == len(CONTENT)
    assert image.read_bytes() == CONTENT
    log = Job(f"{base}/", str(image), is_upload=True, file_name="CP1.gz", roots=implicit)
    assert ftp.send(log, through()) == len(CONTENT)
    assert (shelf / "CP1.gz").read_bytes() == CONTENT


def test_no_password_is_told_to_a_server_that_nobody_has_certified(tmp_path, implicit):
    job = Job(f"ftps://{USER}:{SHOWN}@localhost/image.bin", str(tmp_path / "image"))
    with pytest.raises(TransferError, match="certificate verify failed"):
        ftp.fetch(job, through())
    other = Job(f"ftps://{USER}:{SHOWN}@127.0.0.2/x", str(tmp_path / "image"), roots=implicit)
    with pytest.raises(TransferError, match="FTP"):
        ftp.fetch(other, through())


@pytest.fixture
def parrot():
    """A server that answers every command with a refusal which repeats it. Yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def served():
            connection, _ = listening.accept()
            with connection, connection.makefile("rwb", buffering=0) as lines:
                lines.write(b"220 hello\r\n")
                for line in lines:
                    known = b"331 go on" if line.startswith(b"USER") else b"530-no:\r\n530"
                    lines.write(known + b" \x1b[31m" + line.strip() + b"\r\n")

        thread = threading.Thread(target=served)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(30.0)


def test_what_a_server_repeats_of_a_password_is_told_nobody(tmp_path, parrot):
    url = f"ftp://{USER}:{SECRET}@127.0.0.1:{parrot}/image.bin?token={SECRET}"
    said = _outcome(Job(url, str(tmp_path / "image")), through())
    assert isinstance(said, Failed)
    assert said.reason is Reason.DENIED
    assert "530" in said.info
    assert SECRET not in said.info
    assert said.info.isprintable()


@pytest.mark.parametrize("scheme", ["ftp", "ftps", "http", "https", "sftp"])
@pytest.mark.parametrize("host", ["a" * 64, "x..y", "\u2028.example", "[::1%25lo]"])
def test_a_host_that_is_none_is_a_failure_like_any_other(tmp_path, scheme, host):
    url = f"{scheme}://u:{SECRET}@{host}:1/f?{SECRET}"
    said = _outcome(Job(url, str(tmp_path / "image")), through())
    assert isinstance(said, Failed)
    assert SECRET not in said.info
