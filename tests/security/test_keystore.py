import os

import pytest

from agent.core.trust import CertificateKind
from agent.security.keystore import NAME, Keystore

CSMS, STATION = CertificateKind.CSMS_ROOT, CertificateKind.STATION


def files(directory):
    return sorted(
        str(file.relative_to(directory / NAME))
        for file in (directory / NAME).rglob("*")
        if file.is_file()
    )


@pytest.fixture
def keystore(tmp_path):
    return Keystore(tmp_path)


def test_certificates_lie_by_kind_and_keys_beside_theirs(keystore, tmp_path):
    keystore.keep(CSMS, "aa", b"root")
    keystore.keep_pending("id", b"secret")
    keystore.keep_station("bb", b"chain", b"key")
    assert files(tmp_path) == [
        "csms-roots/aa.pem",
        "pending/id.key",
        "station/bb.key",
        "station/bb.pem",
    ]
    assert keystore.certificate(CSMS, "aa").read_bytes() == b"root"
    assert keystore.key("bb").read_bytes() == b"key"
    assert keystore.pending("id").read_bytes() == b"secret"


def test_nobody_but_the_owner_may_look(keystore, tmp_path):
    os.umask(0)
    keystore.keep_station("bb", b"chain", b"key")
    for path in (tmp_path / NAME).rglob("*"):
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o700


def test_what_is_dropped_is_gone_with_its_key(keystore, tmp_path):
    keystore.keep(CSMS, "aa", b"root")
    keystore.keep_pending("id", b"secret")
    keystore.keep_station("bb", b"chain", b"key")
    for _ in range(2):
        keystore.drop(CSMS, "aa")
        keystore.drop(STATION, "bb")
        keystore.drop_pending("id")
    assert files(tmp_path) == []


def test_tidying_removes_what_the_station_does_not_know(keystore, tmp_path):
    keystore.keep(CSMS, "aa", b"root")
    keystore.keep(CSMS, "orphan", b"root")
    keystore.keep_station("bb", b"chain", b"key")
    keystore.keep_station("cc", b"chain", b"key")
    keystore.keep_pending("old", b"secret")
    keystore.keep_pending("id", b"secret")
    (tmp_path / NAME / "csms-roots" / "aa.new").write_bytes(b"half")
    keystore.tidy(["csms-roots/aa", "station/bb"], "id")
    assert [name for name in files(tmp_path) if not name.endswith(".new")] == [
        "csms-roots/aa.pem",
        "pending/id.key",
        "station/bb.key",
        "station/bb.pem",
    ]
    keystore.tidy([], None)
    assert files(tmp_path) == []


def test_tidying_where_nothing_is_is_nothing(keystore):
    keystore.tidy(["csms-roots/aa"], None)
    assert keystore.missing(["csms-roots/aa"]) == ["csms-roots/aa"]
    assert keystore.files() == []


def test_a_file_that_is_lost_is_missed(keystore):
    keystore.keep(CSMS, "aa", b"root")
    assert keystore.missing(["csms-roots/aa", "csms-roots/bb"]) == ["csms-roots/bb"]
    assert [(kind, path.stem) for kind, path in keystore.files()] == [(CSMS, "aa")]


def test_a_write_that_fails_leaves_what_was_there(keystore, tmp_path, monkeypatch):
    keystore.keep(CSMS, "aa", b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        keystore.keep(CSMS, "aa", b"new")
    assert keystore.certificate(CSMS, "aa").read_bytes() == b"old"
    assert files(tmp_path) == ["csms-roots/aa.pem"]
