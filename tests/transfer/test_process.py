"""The transfer process against real servers: what comes, what goes, and what is refused."""

import asyncio
import stat
from urllib.parse import quote

import pytest

from agent.runtime.child import run_child
from agent.transfer.__main__ import _outcome
from agent.transfer.job import (
    MODULES,
    Failed,
    Finished,
    Job,
    Progressed,
    Reason,
    Said,
    protocols,
)
from agent.transfer.passage import Passage
from tests.transfer.servers import (
    CONTENT,
    PASSWORD,
    USER,
    ftp_server,
    http_server,
    sftp_server,
    tls_files,
)

LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"


@pytest.fixture
def tls(tmp_path):
    (tmp_path / "tls").mkdir()
    return tls_files(tmp_path / "tls")


@pytest.fixture
def site(tls):
    """An HTTPS server whose root the jobs know."""
    root, server = tls
    with http_server(server) as served:
        served.roots = (str(root),)
        yield served


async def transferred(job):
    """Do a job in a process of its own; return its last word."""
    return await run_child(
        "agent.transfer",
        job,
        Said,
        limit_s=60.0,
        is_last=lambda said: not isinstance(said, Progressed),
    )


def run(job):
    return asyncio.run(transferred(job))


def here(job):
    """Do a job in this process, where one of its own would only be another start."""
    return _outcome(job, Passage(lambda _: None))


def fetch(tmp_path, url, **more):
    path = tmp_path / "image"
    said = run(Job(url, str(path), **more))
    return said, path.read_bytes() if path.exists() else None


def failed(said, reason=Reason.FAILED):
    assert isinstance(said, Failed), said
    assert said.reason is reason, said
    return said.info


# --- HTTP(S) ------------------------------------------------------------------------------


def test_a_file_is_fetched_over_https(tmp_path, site):
    said, content = fetch(tmp_path, f"{site.url}/good/image", roots=site.roots)
    assert said == Finished(len(CONTENT))
    assert content == CONTENT
    assert stat.S_IMODE((tmp_path / "image").stat().st_mode) == 0o600


def test_a_download_goes_on_where_it_broke_off(tmp_path, site):
    said, part = fetch(tmp_path, f"{site.url}/breaking", roots=site.roots)
    failed(said)
    assert 0 < len(part) < len(CONTENT)
    said, content = fetch(tmp_path, f"{site.url}/breaking", roots=site.roots)
    assert said == Finished(len(CONTENT))
    assert content == CONTENT
    assert site.seen[-1][2]["Range"] == f"bytes={len(part)}-"


def test_a_part_of_another_version_is_not_gone_on_with(tmp_path, site):
    (tmp_path / "image").write_bytes(b"old" * 100)
    (tmp_path / "image.tag").write_text('"v0"')
    _, content = fetch(tmp_path, f"{site.url}/good/image", roots=site.roots)
    assert content == CONTENT


def test_a_part_that_nobody_has_named_is_not_gone_on_with(tmp_path, site):
    (tmp_path / "image").write_bytes(b"old" * 100)
    _, content = fetch(tmp_path, f"{site.url}/good/image", roots=site.roots)
    assert content == CONTENT
    assert "Range" not in site.seen[-1][2]


def test_a_redirect_is_followed(tmp_path, site):
    said, content = fetch(tmp_path, f"{site.url}/redirect", roots=site.roots)
    assert said == Finished(len(CONTENT))
    assert content == CONTENT


def test_redirects_have_an_end(tmp_path, site):
    said, _ = fetch(tmp_path, f"{site.url}/loop", roots=site.roots)
    assert "redirects" in failed(said)
    assert len(site.seen) == 6


def test_https_is_not_redirected_to_http(tmp_path, site):
    with http_server() as plain:
        site.elsewhere = f"{plain.url}/good/image"
        said, _ = fetch(tmp_path, f"{site.url}/elsewhere", roots=site.roots)
        assert failed(said, Reason.BAD) == "redirected from https to http"
        assert plain.seen == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://localhost/image"])
def test_http_is_redirected_to_nothing_but_http(tmp_path, site, target):
    site.elsewhere = target
    said, _ = fetch(tmp_path, f"{site.url}/elsewhere", roots=site.roots)
    failed(said, Reason.BAD)


def test_credentials_do_not_follow_to_another_host(tmp_path, site):
    with http_server() as first, http_server() as second:
        first.elsewhere = f"{second.url}/private"
        said, _ = fetch(tmp_path, first.url.replace("://", f"://{LOGIN}@") + "/elsewhere")
        failed(said, Reason.DENIED)
        assert "authorization" in first.seen[0][2]
        assert "authorization" not in second.seen[0][2]


def test_user_and_password_come_from_the_url_and_go_nowhere_else(tmp_path, site):
    url = site.url.replace("://", f"://{LOGIN}@")
    said, _ = fetch(tmp_path, f"{url}/private", roots=site.roots)
    assert said == Finished(len(CONTENT))
    said, _ = fetch(tmp_path, f"{url}/absent", roots=site.roots)
    info = failed(said)
    assert PASSWORD not in info
    assert quote(PASSWORD, safe="") not in info


def test_a_file_that_is_not_ours_to_fetch_is_denied(tmp_path, site):
    said, _ = fetch(tmp_path, f"{site.url}/private", roots=site.roots)
    failed(said, Reason.DENIED)


def test_a_length_that_is_a_lie_is_noticed(tmp_path, site):
    said, _ = fetch(tmp_path, f"{site.url}/lying", roots=site.roots)
    failed(said)


def test_a_file_that_says_it_is_too_large_is_not_begun(tmp_path, site):
    said, content = fetch(tmp_path, f"{site.url}/huge", roots=site.roots)
    failed(said, Reason.TOO_LARGE)
    assert content == b""


def test_an_endless_file_ends_at_the_limit_and_leaves_nothing(tmp_path, site):
    said, content = fetch(
        tmp_path, f"{site.url}/endless", roots=site.roots, most_bytes=3_000_000
    )
    failed(said, Reason.TOO_LARGE)
    assert content == b""


def test_nothing_is_unpacked_on_the_way(tmp_path, site):
    said, _ = fetch(tmp_path, f"{site.url}/bomb", roots=site.roots)
    failed(said, Reason.BAD)


def test_a_server_of_an_unknown_authority_is_not_spoken_to(tmp_path, site):
    said, _ = fetch(tmp_path, f"{site.url}/good/image")
    assert "TLS" in failed(said)
    assert site.seen == []


def test_a_server_with_another_name_is_not_spoken_to(tmp_path):
    root, certificate = tls_files(tmp_path, host="firmware.example")
    with http_server(certificate) as served:
        said, _ = fetch(tmp_path, f"{served.url}/good/image", roots=(str(root),))
        assert "TLS" in failed(said)
        assert served.seen == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"limit_s": 1}, "not done within 1 s"),
        ({"idle_s": 1}, "no byte has moved for 1 s"),
    ],
)
def test_a_server_that_is_silent_costs_its_time_limit(tmp_path, site, more, why):
    said, _ = fetch(tmp_path, f"{site.url}/silent", roots=site.roots, **more)
    assert failed(said) == why


def test_a_rate_holds_a_server_back_that_would_be_faster(tmp_path, site):
    said, part = fetch(
        tmp_path, f"{site.url}/good/image", roots=site.roots, bytes_per_s=10, limit_s=1
    )
    assert failed(said) == "not done within 1 s"
    assert len(part) < 100


def test_a_download_that_nobody_wants_any_more_ends(tmp_path, site):
    async def cancelled():
        job = Job(f"{site.url}/silent", str(tmp_path / "image"), roots=site.roots)
        task = asyncio.create_task(transferred(job))
        await asyncio.to_thread(site.asked.wait, 30.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


# --- what is no location ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", Reason.BAD),
        ("file://localhost/etc/passwd", Reason.UNSUPPORTED),
        ("gopher://localhost/", Reason.UNSUPPORTED),
        ("/etc/passwd", Reason.BAD),
        ("", Reason.BAD),
        ("https://", Reason.BAD),
        ("https://localhost:99999/", Reason.BAD),
        ("https://host/a b", Reason.BAD),
        ("ftp://host/a\r\nDELE b", Reason.BAD),
        ("https://[::1/", Reason.BAD),
    ],
)
def test_what_is_no_location_is_refused(tmp_path, url, reason):
    failed(here(Job(url, str(tmp_path / "image"))), reason)
    assert not (tmp_path / "image").exists()


def test_a_shell_in_a_location_is_part_of_a_name(tmp_path, site):
    url = f"{site.url}/$(touch${{IFS}}{tmp_path}/owned);`id`"
    said, _ = fetch(tmp_path, url, roots=site.roots)
    failed(said)
    assert not (tmp_path / "owned").exists()


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path, site):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "image").symlink_to(victim)
    said = run(Job(f"{site.url}/good/image", str(tmp_path / "image"), roots=site.roots))
    failed(said)
    assert victim.read_bytes() == b"precious"


# --- sending ------------------------------------------------------------------------------


def send(tmp_path, url, **more):
    path = tmp_path / "log"
    path.write_bytes(CONTENT)
    return run(Job(url, str(path), is_upload=True, file_name="CP1.tar.gz", **more))


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("/logs", "/logs/CP1.tar.gz"),
        ("/logs/", "/logs/CP1.tar.gz"),
        ("/", "/CP1.tar.gz"),
        ("", "/CP1.tar.gz"),
        ("/logs/mine.gz", "/logs/mine.gz"),
        ("/upload?key=secret", "/upload?key=secret"),
    ],
)
def test_a_log_is_put_into_a_directory_or_at_a_place(tmp_path, site, location, place):
    log = tmp_path / "log"
    log.write_bytes(CONTENT)
    job = Job(site.url + location, str(log), True, "CP1.tar.gz", roots=site.roots)
    assert here(job) == Finished(len(CONTENT))
    assert site.files == {place: CONTENT}


def test_a_server_that_takes_no_put_gets_a_post(tmp_path, site):
    said = send(tmp_path, f"{site.url}/postonly", roots=site.roots)
    assert said == Finished(len(CONTENT))
    assert site.files == {"/postonly": CONTENT}
    headers = site.seen[-1][2]
    assert headers["Content-Disposition"] == 'attachment; filename="CP1.tar.gz"'
    assert headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/denied/x.gz", Reason.DENIED),
        ("/bad/x.gz", Reason.BAD),
        ("/readonly/x.gz", Reason.UNSUPPORTED),
    ],
)
def test_why_a_log_was_not_taken_is_told(tmp_path, site, location, reason):
    failed(send(tmp_path, site.url + location, roots=site.roots), reason)


def test_nobody_at_home_is_a_failure(tmp_path):
    with http_server() as served:
        url = served.url
    failed(send(tmp_path, url))


# --- FTP(S) and SFTP ----------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path):
    """A server's directory with a file."""
    directory = tmp_path / "shelf"
    directory.mkdir()
    (directory / "image.bin").write_bytes(CONTENT)
    return directory


def test_a_file_is_fetched_over_ftp_and_gone_on_with(tmp_path, shelf):
    with ftp_server(shelf) as port:
        (tmp_path / "image").write_bytes(CONTENT[:1000])
        said, content = fetch(tmp_path, f"ftp://{LOGIN}@127.0.0.1:{port}/image.bin")
    assert said == Finished(len(CONTENT))
    assert content == CONTENT


def test_a_file_is_fetched_and_sent_over_ftps(tmp_path, shelf, tls):
    root, certificate = tls
    with ftp_server(shelf, certificate) as port:
        base = f"ftps://{LOGIN}@localhost:{port}"
        said, content = fetch(tmp_path, f"{base}/image.bin", roots=(str(root),))
        assert content == CONTENT, said
        assert send(tmp_path, f"{base}/", roots=(str(root),)) == Finished(len(CONTENT))
        said, _ = fetch(tmp_path, f"{base}/image.bin")
        assert "certificate" in failed(said).lower()
    assert (shelf / "CP1.tar.gz").read_bytes() == CONTENT


def test_why_ftp_refuses_is_told(tmp_path, shelf):
    with ftp_server(shelf) as port:
        said, _ = fetch(tmp_path, f"ftp://{USER}:wrong@127.0.0.1:{port}/image.bin")
        info = failed(said, Reason.DENIED)
        said, _ = fetch(tmp_path, f"ftp://{LOGIN}@127.0.0.1:{port}/absent.bin")
        failed(said, Reason.DENIED)
        said, _ = fetch(tmp_path, f"ftp://{LOGIN}@127.0.0.1:{port}/image.bin", most_bytes=9)
        failed(said, Reason.TOO_LARGE)
    assert "wrong" not in info


def test_a_command_in_a_location_is_not_given_to_ftp(tmp_path, shelf):
    with ftp_server(shelf) as port:
        said, _ = fetch(tmp_path, f"ftp://{LOGIN}@127.0.0.1:{port}/x%0D%0ADELE%20image.bin")
    failed(said)
    assert (shelf / "image.bin").exists()


def test_files_go_both_ways_over_sftp(tmp_path, shelf):
    async def both():
        async with sftp_server(shelf) as (port, key):
            base = f"sftp://{LOGIN}@127.0.0.1:{port}"
            hosts = tmp_path / "known_hosts"
            public = key.export_public_key().decode()
            hosts.write_text(f"[127.0.0.1]:{port} {public}")
            known = {"known_hosts": (str(hosts),)}
            (tmp_path / "image").write_bytes(CONTENT[:1000])
            got = await transferred(Job(f"{base}/image.bin", str(tmp_path / "image"), **known))
            log = Job(f"{base}/", str(tmp_path / "image"), True, "CP1.tar.gz", **known)
            put = await transferred(log)
            wrong = f"sftp://{USER}:wrong@127.0.0.1:{port}/image.bin"
            denied = await transferred(Job(wrong, str(tmp_path / "other"), **known))
            hosts.write_text(f"[127.0.0.1]:{port} {OTHER_KEY}\n")
            other = await transferred(Job(f"{base}/image.bin", str(tmp_path / "x"), **known))
            return got, put, denied, other

    got, put, denied, other = asyncio.run(both())
    assert got == put == Finished(len(CONTENT))
    assert (tmp_path / "image").read_bytes() == CONTENT
    assert (shelf / "CP1.tar.gz").read_bytes() == CONTENT
    failed(denied, Reason.DENIED)
    failed(other)


OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKfFO7sBh9kM9p7q4DbhfHbA3jrdhBf4SH5L1g4yRRzK"


def test_what_is_served_here_is_known():
    assert protocols() == ("FTP", "FTPS", "HTTP", "HTTPS", "SFTP")


def test_what_is_not_installed_is_not_served(monkeypatch):
    monkeypatch.setitem(MODULES, "SFTP", ("asyncssh_that_is_not_there",))
    assert protocols() == ("FTP", "FTPS", "HTTP", "HTTPS")
