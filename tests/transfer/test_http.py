"""How a body comes: in chunks, torn, and byte by byte."""

import threading

import pytest

from agent.transfer import http
from agent.transfer.job import Job, Reason, TransferError
from agent.transfer.passage import Passage
from tests.transfer.servers import CONTENT, http_server


def fetched(tmp_path, url, passage=None):
    path = tmp_path / "image"
    http.fetch(Job(url, str(path)), passage or Passage(lambda _: None))
    return path.read_bytes()


def test_a_body_in_chunks_is_fetched_whole(tmp_path):
    with http_server() as site:
        assert fetched(tmp_path, f"{site.url}/chunked") == CONTENT


def test_a_body_that_ends_within_a_chunk_is_not_whole(tmp_path):
    with http_server() as site, pytest.raises(TransferError) as torn:
        fetched(tmp_path, f"{site.url}/torn")
    assert torn.value.reason is Reason.FAILED


def test_every_byte_of_a_slow_server_shows_that_it_moves(tmp_path):
    """A server is not given up for being slow: what has come is taken at once."""
    through, why = Passage(lambda _: None), []

    def fetch(url):
        with pytest.raises(TransferError) as error:
            fetched(tmp_path, url, through)
        why.append(error.value.reason)

    with http_server() as site:
        thread = threading.Thread(target=fetch, args=(f"{site.url}/dripping",))
        thread.start()
        for _ in b"ab":
            assert through.moved.wait(30.0)
            through.moved.clear()
            site.dripped.release()
    thread.join()
    assert why == [Reason.FAILED]
