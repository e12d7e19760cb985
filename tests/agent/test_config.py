import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Csms, Firmware, Security, Station, check_config, load_config
from agent.pem import MAX_CERTIFICATES_BYTES
from agent.secret import MAX_SECRET_BYTES, Secret, SecretError, read_secret
from hal.files import FileProblems, Problem

SHIPPED = Path(__file__).parents[2] / "config" / "agent.toml"

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nTUlJ\n-----END EC PRIVATE KEY-----\n"

STATION = '[station]\nidentity = "CP001"\nvendor = "Example"\nmodel = "One"\n'
CSMS = '[[csms]]\nurl = "ws://h/ocpp"\nsecurity_profile = 1\npassword = { text = "p" }\n'
HARDWARE = '[hardware]\nboard = "boards/sim.toml"\n'
SMALLEST = STATION + CSMS + HARDWARE


def any_setting(name, value):
    return None


def even_settings(name, value):
    return None if value == 2 else f"{name} must be 2"


def no_board_problems(path):
    return []


@pytest.fixture
def write(tmp_path):
    def write_(content, name="agent.toml"):
        path = tmp_path / name
        path.write_text(content)
        return path

    return write_


@pytest.fixture
def refused(write):
    """Return the lines and messages with which a file is refused."""

    def refused_(content, check_setting=any_setting):
        path = write(content)
        with pytest.raises(FileProblems) as caught:
            load_config(path, check_setting)
        assert {problem.file for problem in caught.value.problems} == {str(path)}
        return [(problem.line, problem.message) for problem in caught.value.problems]

    return refused_


def with_csms(*lines):
    return STATION + HARDWARE + "[[csms]]\n" + "\n".join(lines) + "\n"


CSMS_LINE = (STATION + HARDWARE).count("\n") + 1
"""Line of `[[csms]]` in what `with_csms` returns; its keys follow."""

SCHEMES = "(0 and 1: ws://, 2 and 3: wss://)"
NEEDS_FLAG = "must be 1, 2 or 3 with ocpp2.0.1; 0 needs allow_unauthenticated = true"


def test_the_smallest_file_has_every_default(write):
    path = write(SMALLEST)
    config = load_config(path, any_setting)
    assert config.station == Station(identity="CP001", vendor="Example", model="One")
    assert config.csms == (
        Csms(url="ws://h/ocpp", security_profile=1, password=Secret(text="p")),
    )
    assert config.csms[0].protocols == ("ocpp2.0.1", "ocpp1.6")
    assert config.security == Security()
    assert config.firmware == Firmware(installer="none", command=())
    assert config.settings == {}
    assert config.storage_directory == Path("/var/lib/pilotwire")
    assert config.control_socket == Path("/run/pilotwire/control.sock")
    assert config.board == path.parent / "boards/sim.toml"


def test_the_shipped_file_passes_as_it_is():
    assert check_config(SHIPPED, any_setting, no_board_problems) == []
    config = load_config(SHIPPED, any_setting)
    assert config.board == SHIPPED.parent / "boards" / "sim.toml"
    assert config.settings == {"HeartbeatInterval": 300, "TxCtrlr.EVConnectionTimeOut": 60}


def test_the_shipped_file_passes_with_its_optional_lines_switched_on(write):
    text = SHIPPED.read_text()
    optional = re.compile(r"^# (\w+ += .*|\[\[csms\]\])$", re.MULTILINE)
    text, count = optional.subn(r"\1", text)
    text = text.replace('installer = "none"', 'installer = "command"')
    config = load_config(write(text), any_setting)
    assert count > 15
    assert [one.security_profile for one in config.csms] == [1, 2, 2]
    assert config.security.client_key is not None
    assert config.firmware.command == ("/usr/sbin/install-image", "--quiet")


def test_the_shipped_file_names_every_key():
    text = SHIPPED.read_text()
    for table in (Station, Csms, Security, Firmware, Secret):
        for key in table.__struct_fields__:
            assert re.search(rf"\b{key}\s+=|\b{key} =", text), f"{key} of {table.__name__}"


def test_paths_are_relative_to_the_file(write):
    path = write(
        with_csms('url = "wss://h"', "security_profile = 2", 'password = { file = "pw" }')
        + '[security]\ncsms_roots = ["a.pem", "/b.pem"]\nmanufacturer_roots = ["m.pem"]\n'
        'v2g_roots = ["v.pem"]\nmo_roots = ["o.pem"]\nclient_certificate = "c.pem"\n'
        'client_key = { file = "c.key" }\n'
        '[storage]\ndirectory = "state"\n[control]\nsocket = "s"\n'
    )
    here = path.parent
    config = load_config(Path(os.path.relpath(path)), any_setting)
    assert config.path.is_absolute()
    assert config.path.samefile(path)
    assert config.storage_directory.is_absolute()
    config = load_config(path, any_setting)
    assert config.storage_directory == here / "state"
    assert config.control_socket == here / "s"
    assert config.csms[0].password == Secret(file=str(here / "pw"))
    assert config.security == Security(
        csms_roots=(here / "a.pem", Path("/b.pem")),
        manufacturer_roots=(here / "m.pem",),
        v2g_roots=(here / "v.pem",),
        mo_roots=(here / "o.pem",),
        client_certificate=here / "c.pem",
        client_key=Secret(file=str(here / "c.key")),
    )


def test_all_mistakes_of_all_tables_are_reported_together(refused):
    text = """\
[station]
identity = "CP:001"
vendor = "Example"
modle = "One"
[[csms]]
url = "wss://h"
security_profile = 1
[[csms]]
url = "ws://h"
security_profile = 4
[settings]
A = 2
B = 3
C = [1]
[firmware]
installer = "slots"
command = ["/x"]
[control]
socket = 1
[colours]
"""
    found = refused(text, even_settings)
    assert [line for line, _ in found] == [1, 1, 1, 2, 4, 5, 6, 10, 13, 14, 17, 19, 20]
    text_of_all = "\n".join(message for _, message in found)
    for message in (
        "hardware.board is missing (a string)",
        "station.identity must match",
        "station.model is missing (a string)",
        "station.modle is not known here; did you mean model?",
        "csms[0].password is missing; security_profile 1 needs it",
        "csms[0].url must start with ws:// for security_profile 1",
        "csms[1].security_profile must be an integer (at least 0, at most 3)",
        "B must be 2",
        'firmware.command is only for installer = "command"',
        "control.socket must be a string, not an integer",
        "colours is not known here",
    ):
        assert message in text_of_all


@pytest.mark.parametrize(
    ("lines", "offset", "message"),
    [
        (['url = "wss://h"', "security_profile = 1", 'password = { text = "p" }'], 1,
         f"csms[0].url must start with ws:// for security_profile 1 {SCHEMES}"),
        (['url = "ws://h"', "security_profile = 2", 'password = { text = "p" }'], 1,
         f"csms[0].url must start with wss:// for security_profile 2 {SCHEMES}"),
        (['url = "ws://h"', "security_profile = 0"], 2,
         f"csms[0].security_profile {NEEDS_FLAG}"),
        (['url = "ws://h"', "security_profile = 1"], 0,
         "csms[0].password is missing; security_profile 1 needs it"),
        (['url = "wss://h"', "security_profile = 2"], 0,
         "csms[0].password is missing; security_profile 2 needs it"),
        (['url = "wss://h"', "security_profile = 3"], 2,
         "csms[0].security_profile is 3, which needs client_certificate in [security]"),
        (['url = "wss://h"', "security_profile = 2", "password = {}"], 3,
         "csms[0].password must have exactly one of file, credential and text"),
        (['url = "wss://h"', "security_profile = 2", 'password = {file = "f", text = "t"}'], 3,
         "csms[0].password must have exactly one of file, credential and text"),
        (['url = "ws://h"', "security_profile = 1", 'password = { text = "p" }',
          'protocols = ["ocpp1.6", "ocpp1.6"]'], 4,
         "csms[0].protocols must name each protocol once"),
        (['url = "ws://h"', "security_profile = 1", 'password = { text = "p" }',
          "protocols = []"], 4, "csms[0].protocols must have at least 1 members"),
        (['url = "ws://h"', "security_profile = 1", 'password = { text = "p" }',
          'protocols = ["ocpp1.5"]'], 4,
         'csms[0].protocols[0] must be one of "ocpp1.6", "ocpp2.0.1"'),
        (['url = "ws://h"', "security_profile = 1", 'password = { credential = "../x" }'], 3,
         "csms[0].password.credential must match ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}\\Z"),
    ],
)  # fmt: skip
def test_a_connection_profile_must_be_consistent(refused, lines, offset, message):
    assert refused(with_csms(*lines)) == [(CSMS_LINE + offset, message)]


@pytest.mark.parametrize(
    "lines",
    [
        ['url = "ws://h"', "security_profile = 0", 'protocols = ["ocpp1.6"]'],
        ['url = "ws://h"', "security_profile = 0", "allow_unauthenticated = true"],
        ['url = "ws://h"', "security_profile = 1", 'password = { credential = "p" }'],
        ['url = "wss://[::1]:9000/a?b=c"', "security_profile = 2", 'password = { text = "p" }'],
    ],
)
def test_a_consistent_connection_profile_is_taken(write, lines):
    assert len(load_config(write(with_csms(*lines)), any_setting).csms) == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://h", "must be ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH"),
        ("ws:///ocpp", "must be ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH"),
        ("ws://h:0", "must be ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH"),
        ("ws://h:65536", "must be ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH"),
        ("ws://[::1", "must be ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH"),
        ("ws://me:pw@h", "must not hold a user name; the identity and password are used"),
        ("ws://h/#a", "must not have a fragment (#)"),
        ("ws://h/a b", r"must match ^[!-~]+\Z"),
        ("ws://h/" + "a" * 506, "must have at most 512 characters"),
    ],
)
def test_a_url_must_be_one_that_can_be_dialled(refused, url, message):
    text = with_csms(f'url = "{url}"', "security_profile = 1", 'password = { text = "p" }')
    assert refused(text) == [(CSMS_LINE + 1, f"csms[0].url {message}")]


def test_two_connection_profiles_need_two_urls(refused):
    second = SMALLEST.count("\n") + 2
    assert refused(SMALLEST + CSMS) == [(second, "csms[1].url is already the url of csms[0]")]


def test_there_are_one_to_eight_connection_profiles(refused, write):
    assert refused(STATION + HARDWARE) == [(1, "csms is missing (an array)")]
    many = [CSMS.replace("//h", f"//h{index}") for index in range(9)]
    assert load_config(write(STATION + HARDWARE + "".join(many[:8])), any_setting)
    [(_, message)] = refused(STATION + HARDWARE + "".join(many))
    assert message == "csms must have at most 8 members"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("csms = 3\n" + STATION + HARDWARE, "csms must be an array, not an integer"),
        ("settings = 3\n" + SMALLEST, "settings must be an object, not an integer"),
        ("security = 3\n" + SMALLEST, "security must be an object, not an integer"),
    ],
)
def test_a_table_of_another_kind_is_one_mistake(refused, text, message):
    assert refused(text) == [(1, message)]


def test_a_client_certificate_and_its_key_go_together(refused, write):
    start = SMALLEST.count("\n") + 1
    together = "a certificate and its key go together"
    certificate = '[security]\nclient_certificate = "c.pem"\n'
    assert refused(SMALLEST + certificate) == [
        (start, f"security.client_key is missing; {together}")
    ]
    key = '[security]\nclient_key = { credential = "k" }\n'
    assert refused(SMALLEST + key) == [
        (start, f"security.client_certificate is missing; {together}")
    ]
    both = with_csms('url = "wss://h"', "security_profile = 3") + certificate + key[11:]
    assert load_config(write(both), any_setting).csms[0].security_profile == 3
    none = with_csms('url = "wss://h"', "security_profile = 3") + "[security]\ncsms_roots = 1\n"
    assert [message for _, message in refused(none)] == [
        "security.csms_roots must be an array, not an integer"
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('installer = "magic"',
         'installer must be one of "command", "none", "rauc", "slots", "swupdate"'),
        ('installer = "command"', 'command is missing; installer = "command" needs it'),
        ('installer = "command"\ncommand = ["sh"]', "command[0] must be an absolute path"),
        ('command = ["/bin/sh"]', 'command is only for installer = "command"'),
        ('swupdate = { slots = { a = "stable,a" } }',
         "swupdate.slots must have at least 2 members"),
    ],
)  # fmt: skip
def test_the_installer_must_be_known_and_complete(refused, lines, message):
    [(_, found)] = refused(f"{SMALLEST}[firmware]\n{lines}\n")
    assert found == f"firmware.{message}"


def test_the_socket_path_must_fit_into_an_address(refused, write):
    text = SMALLEST + '[control]\nsocket = "/NAME"\n'
    path = write(text.replace("NAME", "s" * 106))
    assert len(str(load_config(path, any_setting).control_socket)) == 107
    [(line, message)] = refused(text.replace("NAME", "s" * 107))
    assert message == "control.socket must have at most 107 bytes"
    assert line == text.count("\n")


def test_settings_are_judged_by_the_caller(refused, write):
    text = SMALLEST + '[settings]\nA = true\nB = 1\nC = 1.5\n"D.e" = "x"\n'
    seen = []

    def noting(name, value):
        seen.append((name, value))

    assert load_config(write(text), noting).settings == dict(seen)
    assert seen == [("A", True), ("B", 1), ("C", 1.5), ("D.e", "x")]
    start = SMALLEST.count("\n") + 1
    assert refused(text, even_settings) == [
        (start + 1, "A must be 2"),
        (start + 2, "B must be 2"),
        (start + 3, "C must be 2"),
        (start + 4, "D.e must be 2"),
    ]


def test_a_setting_that_is_no_finite_value_never_reaches_the_caller(refused):
    start = SMALLEST.count("\n") + 1
    found = refused(SMALLEST + "[settings]\nA = inf\nB.c = 1\nD = [2]\n", even_settings)
    choices = "must be true or false or an integer or a number or a string"
    assert sorted(found) == [
        (start + 1, "A must be a finite number"),
        (start + 2, 'B is a table; a setting with a dot in its name is quoted: "B.…"'),
        (start + 2, f"settings.B {choices}, not an object"),
        (start + 3, f"settings.D {choices}, not an array"),
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("identity", ""),
        ("identity", "a" * 49),
        ("identity", "CP:1"),
        ("identity", "CP 1"),
        ("identity", "CP/1"),
        ("identity", "CP1\\n"),
        ("vendor", ""),
        ("vendor", "a" * 51),
        ("model", "a" * 21),
        ("model", "a\\nb"),
        ("serial_number", "a" * 26),
        ("firmware_version", "a" * 51),
    ],
)
def test_the_station_cannot_call_itself_just_anything(refused, key, value):
    fields = {"identity": "CP001", "vendor": "Example", "model": "One", key: value}
    lines = "".join(f'{name} = "{text}"\n' for name, text in fields.items())
    found = refused(f"[station]\n{lines}{CSMS}{HARDWARE}")
    assert {line for line, _ in found} == {2 + list(fields).index(key)}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("identities")


@given(identity=st.text(st.sampled_from("aZ09*-_=+|@."), min_size=1, max_size=48))
def test_every_identifier_string_is_an_identity(directory, identity):
    path = directory / "agent.toml"
    path.write_text(SMALLEST.replace("CP001", identity))
    assert load_config(path, any_setting).station.identity == identity


def test_a_secret_is_never_shown():
    secret = Secret(text="hunter2hunter2")
    csms = Csms(url="ws://h", security_profile=1, password=secret)
    for shown in (repr(secret), str(secret), repr(csms), f"{secret}"):
        assert "hunter2" not in shown
    assert repr(Secret(file="/a")) == "Secret(file /a)"
    assert repr(Secret(credential="a")) == "Secret(credential a)"


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"pw", b"pw"),
        (b"pw\n", b"pw"),
        (b"pw\r\n", b"pw"),
        (b"pw\n\n", b"pw\n"),
        (b"pw\r", b"pw\r"),
        (b" pw ", b" pw "),
        (b"\xff\x00", b"\xff\x00"),
        (b"x" * MAX_SECRET_BYTES + b"\n", b"x" * MAX_SECRET_BYTES),
    ],
)
def test_a_secret_file_is_taken_as_it_is_but_for_one_line_end(
    tmp_path, monkeypatch, content, secret
):
    (tmp_path / "pw").write_bytes(content)
    assert read_secret(Secret(file="pw"), tmp_path) == secret
    assert read_secret(Secret(file=str(tmp_path / "pw")), Path("/")) == secret
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret(Secret(credential="pw"), Path("/")) == secret


def test_a_secret_in_the_text_is_utf8():
    assert read_secret(Secret(text="pä\n"), Path("/")) == "pä\n".encode()


def test_a_secret_that_cannot_be_had_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "long").write_bytes(b"x" * (MAX_SECRET_BYTES + 2))
    for secret, reason in (
        (Secret(file="none"), "file none cannot be read: No such file or directory"),
        (Secret(file="."), "file . cannot be read: Is a directory"),
        (Secret(file="empty"), "file empty is empty or too long: a secret has 1 to 16384 byte"),
        (Secret(file="long"), "file long is empty or too long"),
        (
            Secret(credential="c"),
            r"credential c cannot be read: \$CREDENTIALS_DIRECTORY is not",
        ),
        (Secret(), "a secret must have exactly one of file, credential and text"),
    ):
        with pytest.raises(SecretError, match=f"^{reason}"):
            read_secret(secret, tmp_path)


COMPLETE = (
    with_csms('url = "wss://h"', "security_profile = 3", 'password = { file = "pw" }')
    + "[security]\n"
    'csms_roots = ["roots.pem"]\n'
    'client_certificate = "client.pem"\n'
    'client_key = { file = "client.key" }\n'
)


@pytest.fixture
def complete(write):
    """Write a configuration and all that it names, each of it right."""
    write("secret\n", "pw")
    write("# two of them\n" + CERTIFICATE + CERTIFICATE, "roots.pem")
    write(CERTIFICATE.replace("\n", "\r\n"), "client.pem")
    write(
        "-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n" + KEY, "client.key"
    )
    return write(COMPLETE)


def checked(path, check_board=no_board_problems):
    found = check_config(path, any_setting, check_board)
    return [(problem.line, problem.message.replace(str(path.parent), "")) for problem in found]


def test_a_complete_station_passes_the_check(complete):
    assert checked(complete) == []


def test_the_check_goes_on_to_the_board_file(complete):
    seen = []
    problem = Problem("sim.toml", 3, "max_a is at most 80")

    def check_board(path):
        seen.append(path)
        return [problem]

    assert check_config(complete, any_setting, check_board) == [problem]
    assert seen == [complete.parent / "boards" / "sim.toml"]


def test_the_board_file_is_found_from_any_directory(complete, monkeypatch):
    monkeypatch.chdir(complete.parent)
    seen = []
    assert (
        check_config(Path("agent.toml"), any_setting, lambda path: seen.append(path) or [])
        == []
    )
    assert seen == [complete.parent / "boards" / "sim.toml"]


def test_mistakes_in_the_file_do_not_hide_those_of_the_board(write):
    path = write(HARDWARE + "a = 1\n")
    problem = Problem("sim.toml", 3, "max_a is at most 80")
    found = check_config(path, any_setting, lambda _: [problem])
    assert problem not in found  # which board it is cannot be trusted
    path = write("a = 1\n" + HARDWARE)
    found = check_config(path, any_setting, lambda _: [problem])
    assert found[-1] == problem
    assert len(found) == 4


def test_a_file_that_cannot_be_parsed_is_all_the_check_can_say(write, tmp_path):
    assert checked(tmp_path / "none.toml") == [
        (1, "the file cannot be read: No such file or directory")
    ]
    assert checked(write("a =")) == [(1, "the file is not valid TOML: Invalid value")]


PASSWORD_LINE, ROOTS_LINE = CSMS_LINE + 3, CSMS_LINE + 5


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("pw", PASSWORD_LINE,
         "csms[0].password: file pw cannot be read: No such file or directory"),
        ("roots.pem", ROOTS_LINE,
         "security.csms_roots[0]: /roots.pem cannot be read: No such file or directory"),
        ("client.pem", ROOTS_LINE + 1,
         "security.client_certificate: /client.pem cannot be read: No such file or directory"),
        ("client.key", ROOTS_LINE + 2,
         "security.client_key: file client.key cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_the_check_misses_what_is_not_there(complete, name, line, message):
    (complete.parent / name).unlink()
    assert checked(complete) == [(line, message)]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\x30\x82 no PEM",
        KEY,
        CERTIFICATE[:-10],
        CERTIFICATE + CERTIFICATE[:-10],
        CERTIFICATE.replace("TUlJ", "TUlJx"),
        CERTIFICATE.replace("TUlJ", "TU%J"),
        CERTIFICATE.replace("TUlJ", "T=UlJ"),
    ],
)
def test_the_check_knows_a_certificate_from_something_else(complete, content):
    (complete.parent / "roots.pem").write_text(content)
    message = "/roots.pem must hold whole certificates in PEM (-----BEGIN CERTIFICATE-----)"
    assert checked(complete) == [(ROOTS_LINE, f"security.csms_roots[0]: {message}")]


def test_the_check_does_not_read_certificates_without_end(complete):
    roots = complete.parent / "roots.pem"
    filler = "#" * (MAX_CERTIFICATES_BYTES - len(CERTIFICATE))
    roots.write_text(CERTIFICATE + filler)
    assert checked(complete) == []
    roots.write_text(CERTIFICATE + filler + "#")
    message = "/roots.pem is too large: certificates have at most 1048576 bytes"
    assert checked(complete) == [(ROOTS_LINE, f"security.csms_roots[0]: {message}")]


@pytest.mark.parametrize("content", ["x", CERTIFICATE, KEY.replace("EC", "ENCRYPTED")])
def test_the_check_knows_a_private_key_from_something_else(complete, content):
    (complete.parent / "client.key").write_text(content)
    message = "file client.key must be a private key in PEM that is not encrypted"
    assert checked(complete) == [(ROOTS_LINE + 2, f"security.client_key: {message}")]


def test_a_security_table_with_a_mistake_names_nothing_to_check(write):
    path = write(SMALLEST + '[security]\ncsms_roots = ["none.pem"]\nroots = []\n')
    [(_, message)] = checked(path)
    assert message.startswith("security.roots is not known here")


def test_credentials_are_checked_where_systemd_gives_them(write, tmp_path, monkeypatch):
    password = 'password = { credential = "pw" }'
    path = write(with_csms('url = "ws://h"', "security_profile = 1", password))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert checked(path) == []
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    message = "csms[0].password: credential pw cannot be read: No such file or directory"
    assert checked(path) == [(PASSWORD_LINE, message)]
    write("secret", "pw")
    assert checked(path) == []


def test_a_secret_without_a_place_is_one_mistake(write):
    path = write(with_csms('url = "ws://h"', "security_profile = 1", "password = {}"))
    message = "csms[0].password must have exactly one of file, credential and text"
    assert checked(path) == [(PASSWORD_LINE, message)]


def test_logs_of_a_machine_without_a_journal_are_relative_to_the_file(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_text(
        f'{SMALLEST}\n[storage]\nlog_files = ["agent.log.1", "/var/log/agent.log"]\n'
    )
    found = load_config(path, any_setting).log_files
    assert found == (tmp_path / "agent.log.1", Path("/var/log/agent.log"))
