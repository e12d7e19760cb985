import pytest

from agent.bench.keeper import wall_s
from agent.security.inspection import exposed, inspected, own_mistake, root_mistake
from tests.support.ca import Authority

SERIAL = "EX-0001"


@pytest.fixture(scope="module")
def ca():
    return Authority("root")


def test_a_file_of_roots_that_would_be_trusted_has_no_mistake(ca, tmp_path):
    assert root_mistake(ca.write(tmp_path, "root"), wall_s()) is None


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda ca: Authority("old", begins=-20, ends=-1), "it expired on"),
        (lambda ca: Authority("new", begins=1), "it is not valid before"),
        (lambda ca: ca.issue("csms"), "it is not a CA certificate"),
    ],
)
def test_a_root_that_would_not_be_trusted_is_named(ca, tmp_path, make, reason):
    path = make(ca).write(tmp_path, "root")
    assert root_mistake(path, wall_s()).startswith(f"{path}: {reason}")


def test_files_that_are_not_there_are_mistakes(tmp_path):
    assert "No such file" in root_mistake(tmp_path / "absent", wall_s())
    assert "No such file" in own_mistake(tmp_path / "absent", b"", SERIAL, wall_s())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"name": "EX-0002"}, "its common name is not the serial number"),
        ({"begins": -20, "ends": -1}, "it expired on"),
        ({"begins": 1}, "it is not valid before"),
        ({"kind": "RSA-1024"}, "its key must be"),
    ],
)
def test_the_stations_certificate_is_one_that_a_csms_would_take(ca, tmp_path, options, reason):
    issued = ca.issue(**{"name": SERIAL, **options})
    path = issued.write(tmp_path, "own")
    found = own_mistake(path, issued.key_pem.encode(), SERIAL, wall_s())
    assert found is None if reason is None else reason in found


def test_another_key_is_found(ca, tmp_path):
    path = ca.issue(SERIAL).write(tmp_path, "own")
    found = own_mistake(path, ca.key_pem.encode(), SERIAL, wall_s())
    assert found == f"{path}: the certificate does not belong to the private key"


@pytest.mark.parametrize(
    ("mode", "is_exposed"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)]
)
def test_a_secret_is_for_its_owner_and_group(tmp_path, mode, is_exposed):
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(mode)
    found = exposed(secret)
    assert found is not None if is_exposed else found is None
    assert exposed(tmp_path / "absent") is None


def test_every_file_is_looked_at_in_its_place(ca, tmp_path):
    issued = ca.issue(SERIAL)
    own, root = issued.write(tmp_path, "own"), ca.write(tmp_path, "root")
    named = [(("security", "csms_roots", 0), root), (("security", "client_certificate"), own)]
    key = issued.key_pem.encode()
    found = list(inspected(named, SERIAL, key, wall_s()))
    assert [where for where, _ in found] == [
        ("security", "csms_roots", 0),
        ("security", "client_certificate"),
    ]
    assert {message for _, message in found} == {None}
    assert len(list(inspected(named, SERIAL, b"", wall_s()))) == 1
