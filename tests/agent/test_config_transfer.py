"""The table of what fetching and sending files needs to know, and what comes of it."""

import asyncssh
import pytest

from agent import upkeep
from agent.config import check_config, load_config
from agent.config_transfer import Transfer, hosts_files, serves_sftp
from agent.secret import Secret
from tests.agent.test_config import SMALLEST, any_setting, no_board_problems

KEY = asyncssh.generate_private_key("ssh-ed25519")
HOST = f"[files.example]:2222 {KEY.export_public_key().decode().strip()}"


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "agent.toml"
        path.write_text(f'{SMALLEST}\n[storage]\ndirectory = "state"\n[transfer]\n{text}\n')
        return path

    return written


def mistakes(path):
    return [problem.message for problem in check_config(path, any_setting, no_board_problems)]


def test_no_host_is_known_unless_the_file_says_so(write):
    config = load_config(write(""), any_setting)
    assert config.transfer == Transfer()
    assert upkeep.protocols(config) == ("FTP", "FTPS", "HTTP", "HTTPS")


def test_paths_are_relative_to_the_file(write, tmp_path):
    path = write('known_hosts = "hosts"\nssh_key = { file = "key" }')
    found = load_config(path, any_setting).transfer
    assert found.known_hosts == str(tmp_path / "hosts")
    assert found.ssh_key == Secret(file=str(tmp_path / "key"))
    storage = tmp_path / "state"
    assert hosts_files(found, storage) == (tmp_path / "hosts", storage / "known_hosts")


def test_sftp_is_offered_where_it_could_succeed(write, tmp_path):
    path = write('known_hosts = "hosts"')
    config = load_config(path, any_setting)
    assert "SFTP" not in upkeep.protocols(config)
    (tmp_path / "hosts").write_text(HOST)
    assert "SFTP" in upkeep.protocols(config)
    config = load_config(write('unknown_hosts = "learn"'), any_setting)
    assert "SFTP" in upkeep.protocols(config)


def test_a_host_that_was_learned_stays_known(tmp_path):
    assert not serves_sftp(Transfer(), tmp_path)
    (tmp_path / "known_hosts").write_text(HOST)
    assert serves_sftp(Transfer(), tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (HOST, None),
        (f"# ours\n\n@cert-authority *.example {HOST.partition(' ')[2]} a comment\n", None),
        ("files.example SHA256:abc\n", "hosts:1 must be HOST KIND KEY"),
        (f"{HOST}\nfiles.example\n", "hosts:2 must be HOST KIND KEY"),
        (None, "hosts cannot be read: No such file"),
    ],
)
def test_a_file_of_hosts_is_looked_at(write, tmp_path, content, says):
    path = write('known_hosts = "hosts"')
    if content is not None:
        (tmp_path / "hosts").write_text(content)
    found = mistakes(path)
    assert [says in message for message in found] == ([] if says is None else [True])


@pytest.mark.parametrize("form", ["openssh", "pkcs8-pem"])
def test_a_key_may_have_either_form(write, tmp_path, form):
    (tmp_path / "key").write_bytes(KEY.export_private_key(form))
    assert mistakes(write('ssh_key = { file = "key" }')) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('unknown_hosts = "ask"', '"refuse"'),
        ("hosts = 1", "hosts"),
        ("ssh_key = {}", "exactly one of file"),
        ("implicit_ftps_ports = [0]", "implicit_ftps_ports"),
        ("implicit_ftps_ports = [65536]", "implicit_ftps_ports"),
        (f"implicit_ftps_ports = {list(range(1, 18))}", "at most 16"),
        ('ssh_key = { text = "no key" }', "as ssh-keygen writes it"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(write, text, says):
    assert any(says in message for message in mistakes(write(text))), mistakes(write(text))


def test_the_key_is_read_when_it_is_needed(write, tmp_path, caplog):
    config = load_config(write('ssh_key = { file = "key" }'), any_setting)
    files = upkeep.files(config)
    assert files.ssh_key() is None
    assert "ssh_key: file" in caplog.text
    (tmp_path / "key").write_text("first")
    assert files.ssh_key() == "first"
    (tmp_path / "key").write_text("second")
    assert files.ssh_key() == "second"
    assert upkeep.files(load_config(write(""), any_setting)).ssh_key() is None
