"""Proxies of the environment, real ones on loopback: who goes through them, and who does not."""

from urllib.parse import quote

import pytest

from agent.transfer import http
from agent.transfer.job import Job, Reason, TransferError
from agent.transfer.passage import Passage
from tests.transfer.servers import CONTENT, http_server, proxy, tls_files

LOGIN = "charger:s3cret/pass"
SHOWN = f"charger:{quote('s3cret/pass', safe='')}"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def site(tmp_path):
    root, certificate = tls_files(tmp_path)
    with http_server(certificate) as served:
        served.roots = (str(root),)
        yield served


def fetched(tmp_path, url, roots=()):
    path = tmp_path / "image"
    size = http.fetch(Job(url, str(path), roots=roots), Passage(lambda _: None))
    assert path.read_bytes() == CONTENT
    return size


def test_https_goes_through_a_tunnel_that_the_proxy_cannot_look_into(
    tmp_path, site, monkeypatch
):
    with proxy() as carrier:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{carrier.server_port}")
        assert fetched(tmp_path, f"{site.url}/good/image", site.roots) == len(CONTENT)
        assert carrier.seen == [("CONNECT", f"localhost:{site.server_port}")]


def test_the_certificate_behind_a_tunnel_is_that_of_the_server(tmp_path, site, monkeypatch):
    with proxy() as carrier:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{carrier.server_port}")
        with pytest.raises(TransferError, match="certificate verify failed"):
            fetched(tmp_path, f"{site.url}/good/image")
    assert site.seen == []


def test_a_log_is_sent_through_a_tunnel(tmp_path, site, monkeypatch):
    (tmp_path / "log").write_bytes(CONTENT)
    job = Job(
        f"{site.url}/logs/",
        str(tmp_path / "log"),
        is_upload=True,
        file_name="a.gz",
        roots=site.roots,
    )
    with proxy() as carrier:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{carrier.server_port}")
        assert http.send(job, Passage(lambda _: None)) == len(CONTENT)
        assert [command for command, _ in carrier.seen] == ["CONNECT"]
    assert site.files == {"/logs/a.gz": CONTENT}


def test_plain_http_is_carried_on(tmp_path, monkeypatch):
    with http_server() as served, proxy() as carrier:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{carrier.server_port}")
        assert fetched(tmp_path, f"{served.url}/good/image") == len(CONTENT)
        assert carrier.seen == [("GET", f"{served.url}/good/image")]


@pytest.mark.parametrize("name", ["localhost", "localhost:{port}", ".example,localhost", "*"])
def test_who_needs_no_proxy_is_asked_directly(tmp_path, site, monkeypatch, name):
    with proxy() as carrier:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{carrier.server_port}")
        monkeypatch.setenv("no_proxy", name.format(port=site.server_port))
        fetched(tmp_path, f"{site.url}/good/image", site.roots)
        assert carrier.seen == []


def test_a_proxy_is_told_who_asks(tmp_path, site, monkeypatch):
    with proxy(LOGIN) as carrier:
        monkeypatch.setenv("https_proxy", f"http://{SHOWN}@127.0.0.1:{carrier.server_port}")
        assert fetched(tmp_path, f"{site.url}/good/image", site.roots) == len(CONTENT)
    assert "proxy-authorization" not in {name.lower() for name in site.seen[0][2]}


def test_a_proxy_that_refuses_is_named_without_its_password(tmp_path, site, monkeypatch):
    with proxy("somebody:else") as carrier:
        monkeypatch.setenv("https_proxy", f"http://{SHOWN}@127.0.0.1:{carrier.server_port}")
        with pytest.raises(TransferError, match="407") as refused:
            fetched(tmp_path, f"{site.url}/good/image", site.roots)
    assert refused.value.reason is Reason.FAILED
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("text", ["http://", "http://[::1", "socks5://127.0.0.1:1"])
def test_a_proxy_that_is_none_is_told(tmp_path, site, monkeypatch, text):
    monkeypatch.setenv("https_proxy", text)
    with pytest.raises(TransferError) as refused:
        fetched(tmp_path, f"{site.url}/good/image", site.roots)
    assert "proxy" in str(refused.value).lower()
    assert site.seen == []
