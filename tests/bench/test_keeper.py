import asyncio
from contextlib import suppress

import pytest

from agent.bench.keeper import LedgerError, LedgerFile, wall_s
from agent.bench.ledger import Ledger
from tests.bench.station import connected, new_csms, start16
from tests.support.vloop import run


def test_without_a_file_the_ledger_is_empty(tmp_path):
    assert LedgerFile(tmp_path / "ledger.json").load() == Ledger()


def test_what_was_saved_is_loaded(tmp_path):
    file = LedgerFile(tmp_path / "ledger.json")
    file.save(Ledger(next_number=7))
    assert file.load() == Ledger(next_number=7)
    assert [one.name for one in tmp_path.iterdir()] == ["ledger.json"]


def test_another_file_is_refused_and_says_what_to_do(tmp_path):
    path = tmp_path / "ledger.json"
    path.write_text("[]")
    with pytest.raises(LedgerError, match="remove the file"):
        LedgerFile(path).load()
    with pytest.raises(LedgerError):
        LedgerFile(tmp_path).load()


def test_a_ledger_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(LedgerError, match="nowhere"):
        LedgerFile(tmp_path / "nowhere" / "ledger.json").save(Ledger())


def test_the_file_follows_the_csms_and_is_complete_at_the_end(tmp_path):
    file = LedgerFile(tmp_path / "ledger.json")

    async def main():
        csms = new_csms()
        keeping = asyncio.create_task(file.keep(csms))
        async with connected(csms, "ocpp1.6") as station:
            await station.call("StartTransaction", start16())
            await asyncio.sleep(1.0)
            assert len(file.load().transactions) == 1
        csms.ledger.next_number = 50
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping

    run(main())
    assert file.load().next_number == 50


def test_the_wall_clock_is_set():
    assert wall_s() > 1_700_000_000
