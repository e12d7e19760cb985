from agent.cli import main


def test_a_version_that_is_not_spoken_is_a_usage_error(capsys):
    assert main(["demo", "--once", "--ocpp", "1.5"]) == 2
    err = capsys.readouterr().err
    assert "invalid choice: '1.5'" in err
    assert all(version in err for version in ("1.6", "2.0.1"))


def test_a_directory_that_cannot_be_made_is_a_failure(place, capsys):
    (place / "file").write_text("")
    assert main(["demo", "--once", "--directory", str(place / "file" / "x")]) == 1
    assert str(place / "file") in capsys.readouterr().err
