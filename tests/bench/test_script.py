from agent.bench.script import ANY, Behaviour, BootAnswer, Refusal, Silence, Twice, Verdict


def test_boot_answers_are_used_up_and_the_last_one_stays():
    behaviour = Behaviour()
    behaviour.boots = [BootAnswer("Pending", 1), BootAnswer("Rejected", 2)]
    statuses = [behaviour.boot_answer().status for _ in range(3)]
    assert statuses == ["Pending", "Rejected", "Rejected"]


def test_the_reaction_that_was_set_first_counts_until_it_is_used_up():
    behaviour = Behaviour()
    behaviour.on("Heartbeat", Twice(), times=2)
    behaviour.on(ANY, Silence())
    assert behaviour.reaction("Authorize") == Silence()
    reactions = [behaviour.reaction("Heartbeat") for _ in range(3)]
    assert reactions == [Twice(), Twice(), Silence()]


def test_without_a_script_there_is_no_reaction():
    behaviour = Behaviour()
    assert behaviour.reaction("Heartbeat") is None
    behaviour.on("Authorize", Refusal())
    assert behaviour.reaction("Heartbeat") is None
    behaviour.clear()
    assert behaviour.reaction("Authorize") is None


def test_a_transactions_verdict_is_the_tokens_own_unless_told_otherwise():
    behaviour = Behaviour()
    assert behaviour.transaction_verdict("A") == Verdict("Accepted")
    behaviour.verdicts["A"] = Verdict("Blocked")
    assert behaviour.transaction_verdict("A") == Verdict("Blocked")
    behaviour.transaction_verdicts["A"] = Verdict("Invalid")
    assert behaviour.transaction_verdict("A") == Verdict("Invalid")
    assert behaviour.verdict("A") == Verdict("Blocked")
