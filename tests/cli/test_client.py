import fcntl
import json
import os
import select
import termios
import threading

import pytest

from agent.client import (
    LONGEST_LINE,
    MOST_WAITING,
    AgentAbsentError,
    BrokenLinkError,
    ClientError,
    ControlClient,
    ControlError,
)
from tests.cli.peer import Agent, RefusedError, Script


def notification(**params):
    return json.dumps({"jsonrpc": "2.0", "method": "event", "params": params}).encode() + b"\n"


ANSWER = b'{"jsonrpc":"2.0","id":1,"result":"done"}\n'


def test_a_request_returns_the_result_and_many_share_a_connection(serve):
    peer = serve(
        Agent, {"status": {"evses": []}, "settings.get": lambda params: params["name"]}
    )
    with ControlClient(peer.path) as agent:
        assert agent.call("status") == {"evses": []}
        assert agent.call("settings.get", {"name": "X"}) == "X"
    assert peer.requests == [("status", {}), ("settings.get", {"name": "X"})]


def test_a_refusal_carries_code_and_reason_and_leaves_the_connection_usable(serve):
    def refuse(_):
        raise RefusedError("no EVSE 7")

    peer = serve(Agent, {"sim.plug": refuse, "status": 1})
    with ControlClient(peer.path) as agent:
        with pytest.raises(ControlError) as caught:
            agent.call("sim.plug", {"evse_id": 7})
        assert (caught.value.code, caught.value.message) == (-32000, "no EVSE 7")
        assert isinstance(caught.value, ClientError)
        assert agent.call("status") == 1


def test_a_long_answer_arrives_whole(serve):
    peer = serve(Agent, {"settings.list": "x" * 500_000})
    with ControlClient(peer.path) as agent:
        assert agent.call("settings.list") == "x" * 500_000


def test_events_come_in_order_after_the_subscription(serve):
    sent = tuple({"at": None, "kind": "state", "n": n} for n in range(50))
    peer = serve(Agent, {}, sent)
    with ControlClient(peer.path) as agent:
        events = agent.events()
        assert tuple(next(events) for _ in sent) == sent
        with pytest.raises(BrokenLinkError, match="has hung up"):
            next(events)


def test_events_before_an_answer_are_kept(serve):
    reply = notification(kind="first") + ANSWER + notification(kind="second")
    peer = serve(Script, reply)
    with ControlClient(peer.path) as agent:
        events = agent.events()
        assert [next(events)["kind"], next(events)["kind"]] == ["first", "second"]


def test_events_without_an_answer_are_bounded(serve):
    peer = serve(Script, notification(kind="x") * (MOST_WAITING + 1), then="wait")
    with (
        ControlClient(peer.path) as agent,
        pytest.raises(BrokenLinkError, match="and no answer"),
    ):
        agent.call("status")


def test_an_answer_among_events_that_nobody_asked_for_ends_the_conversation(serve):
    peer = serve(Script, ANSWER + ANSWER, then="wait")
    with ControlClient(peer.path) as agent:
        events = agent.events()
        with pytest.raises(BrokenLinkError, match="nobody has asked"):
            next(events)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "has hung up"),
        (b'{"id":1,"res', "has hung up"),
        (b"hello\n", "no JSON-RPC message"),
        (b"[1]\n", "no JSON-RPC message"),
        (b"[" * 100_000 + b"\n", "no JSON-RPC message"),
        (b'{"id":7,"result":1}\n', "has answered request 7 instead of 1"),
        (b"x" * (LONGEST_LINE + 1), "a line of more than 1048576 bytes"),
    ],
)
def test_what_is_no_answer_ends_the_conversation_and_says_why(serve, reply, reason):
    peer = serve(Script, reply)
    with ControlClient(peer.path) as agent:
        with pytest.raises(BrokenLinkError, match=reason) as caught:
            agent.call("status")
        assert caught.value.path == peer.path
        with pytest.raises(BrokenLinkError, match="has hung up"):
            agent.call("status")


def test_a_silent_agent_is_given_up(serve):
    peer = serve(Script, b"", then="wait")
    with (
        ControlClient(peer.path, answer_s=0.05) as agent,
        pytest.raises(BrokenLinkError, match=r"has not answered within 0\.05 s"),
    ):
        agent.call("status")


class Halting(Script):
    """Sends the end of a line when all before it has been read."""

    def serve(self, connection):
        connection.rfile.readline()
        connection.wfile.write(self.reply[:-1])
        unread = b"one"
        while any(unread):
            unread = fcntl.ioctl(connection.request, termios.TIOCOUTQ, bytes(4))
        connection.wfile.write(self.reply[-1:])


def test_an_answer_may_come_in_pieces(serve):
    peer = serve(Halting, ANSWER)
    with ControlClient(peer.path) as agent:
        assert agent.call("status") == "done"


class Rude(Script):
    """Hangs up on a request that it has received and not read."""

    def __init__(self, path):
        super().__init__(path, b"")

    def serve(self, connection):
        select.select([connection.request], [], [])
        os.close(connection.request.detach())


def test_an_agent_that_hangs_up_on_a_request_has_hung_up(serve):
    peer = serve(Rude)
    with ControlClient(peer.path) as agent, pytest.raises(BrokenLinkError, match="has hung up"):
        agent.call("status")


class Deaf(Script):
    """Never reads what it is sent."""

    def __init__(self, path):
        self.over = threading.Event()
        super().__init__(path, b"")

    def serve(self, connection):
        self.over.wait()

    def close(self):
        self.over.set()
        super().close()


def test_an_agent_that_does_not_read_is_given_up(serve):
    peer = serve(Deaf)
    with (
        ControlClient(peer.path, answer_s=0.05) as agent,
        pytest.raises(BrokenLinkError, match="takes no request within"),
    ):
        agent.call("x", {"text": "x" * 1_000_000})


def test_a_request_that_is_too_long_is_not_sent(serve):
    peer = serve(Agent)
    with ControlClient(peer.path) as agent, pytest.raises(BrokenLinkError, match="are allowed"):
        agent.call("x", {"text": "x" * LONGEST_LINE})
    assert peer.requests == []


def test_without_a_socket_the_error_says_what_to_look_at(place):
    with pytest.raises(AgentAbsentError) as caught:
        ControlClient(place / "s")
    assert str(caught.value) == (
        f"no agent answers at {place / 's'}: is pilotwire running? (systemctl status pilotwire)"
    )


def test_a_socket_that_nobody_listens_on_is_an_absent_agent(serve, place):
    serve(Agent).close()
    assert (place / "s").exists()
    with pytest.raises(AgentAbsentError, match="is pilotwire running"):
        ControlClient(place / "s")


def test_a_socket_of_others_says_who_may_open_it(place):
    text = str(AgentAbsentError(place, PermissionError(13, "Permission denied")))
    assert text.startswith(f"{place} may not be opened: allowed are root and the members")


def test_a_path_too_long_for_a_socket_is_named_as_such(place):
    path = place / ("x" * 200)
    with pytest.raises(AgentAbsentError, match=r"is no control socket: .*too long"):
        ControlClient(path)
