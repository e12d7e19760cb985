import asyncio

from agent.core.effects import Done, Reply, Verdict
from agent.runtime.requests import Requests

YES, NO = Done(Verdict.ACCEPTED), Done(Verdict.REJECTED)


def test_an_outcome_goes_to_who_asked_and_only_once():
    requests, heard = Requests(), []
    first, second = requests.opened(heard.append), requests.opened(heard.append)
    assert first != second
    requests.replied(Reply(second, YES))
    requests.replied(Reply(second, NO))
    assert heard == [YES]
    assert requests._open.keys() == {first}


def test_a_forgotten_request_hears_nothing_more_and_leaves_nothing_behind():
    requests, heard = Requests(), []
    request_id = requests.opened(heard.append)
    requests.forgotten(request_id)
    requests.forgotten(request_id)
    requests.replied(Reply(request_id, YES))
    assert not heard
    assert not requests._open


def test_an_id_is_never_given_twice():
    requests = Requests()
    ids = set()
    for _ in range(100):
        request_id = requests.opened(lambda _: None)
        requests.forgotten(request_id)
        ids.add(request_id)
    assert len(ids) == 100


def test_an_outcome_can_be_waited_for():
    async def told():
        requests = Requests()
        request_id, outcome = requests.awaited()
        requests.replied(Reply(request_id, YES))
        assert await outcome == YES

    asyncio.run(told())


def test_who_has_given_up_waiting_is_in_nobodys_way():
    async def told():
        requests = Requests()
        request_id, outcome = requests.awaited()
        outcome.cancel()
        requests.replied(Reply(request_id, YES))
        assert outcome.cancelled()

    asyncio.run(told())
