"""``nodetool users``."""

import json
import sys

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from nodetool_site import cli
from storage.api_tokens import look_up
from storage.models import ApiToken, User
from storage.services import store_asset

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(capsys):
    """Call the command; return what it wrote to stdout."""

    def call(*arguments: str) -> str:
        call_command("users", *arguments)
        return capsys.readouterr().out

    return call


@pytest.fixture
def main(capsys):
    """Run it as from a command line; return exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            cli.main(["users", *arguments])
        return (stop.value.code, *capsys.readouterr())

    return call


def test_an_added_user_gets_a_token_that_works(run):
    document = json.loads(run("add", "alice", "--json"))

    user = User.objects.get(username="alice")
    assert document["id"] == user.pk
    assert document["token"].startswith("nt_")
    assert look_up(document["token"].encode()).user_id == user.pk
    assert not user.has_usable_password()
    assert not user.is_staff


def test_a_token_is_shown_once(run):
    added = run("add", "alice")
    token = added.split()[-1]

    assert added.count("nt_") == 1
    assert look_up(token.encode())
    assert token not in run("list")
    assert token not in run("list", "--json")


def test_list_shows_everybody(run):
    assert run("list") == "No users found.\n"
    assert json.loads(run("list", "--json")) == {"users": []}
    for name in ("zoe", "alice"):
        run("add", name)

    title, *rows = run("list").splitlines()
    users = json.loads(run("list", "--json"))["users"]

    assert title == "Users"
    assert [row.split()[1] for row in rows] == ["Name", "alice", "zoe"]
    assert [user["username"] for user in users] == ["alice", "zoe"]
    assert users[0]["tokens"][0]["prefix"].startswith("nt_")


def test_reset_token_revokes_the_old_ones(run):
    old = json.loads(run("add", "alice", "--json"))["token"]

    new = json.loads(run("reset-token", "alice", "--json"))["token"]

    assert look_up(old.encode()) is None
    assert look_up(new.encode())
    assert ApiToken.objects.count() == 1


def test_a_removed_user_is_gone_with_their_tokens(run):
    token = json.loads(run("add", "alice", "--json"))["token"]
    user = User.objects.get(username="alice")
    store_asset(user.pk, b"x", name="a", content_type="text/plain")

    assert "removed" in run("remove", "alice", "--yes")

    assert not User.objects.exists()
    assert look_up(token.encode()) is None


def test_remove_asks_first(run, monkeypatch):
    run("add", "alice")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

    monkeypatch.setattr("builtins.input", lambda: "n")
    with pytest.raises(CommandError, match="Nothing removed"):
        run("remove", "alice")
    monkeypatch.setattr("builtins.input", lambda: "y")
    run("remove", "alice")

    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "taken"], "User 'taken' already exists"),
        (["add", "a b"], "valid username"),
        (["add", "x" * 151], "150 characters"),
        (["add", ""], "blank"),
        (["remove", "nobody", "--yes"], "User 'nobody' not found"),
        (["remove", "nobody"], "User 'nobody' not found"),
        (["remove", "taken"], "--yes is needed"),
        (["remove", "admin", "--yes"], "the server's own account"),
        (["reset-token", "nobody", "--json"], "User 'nobody' not found"),
    ],
)
def test_a_failure_is_one_line_on_stderr_and_exit_1(main, arguments, message):
    User.objects.create_user("taken")
    User.objects.create_user("admin", id="1")

    code, out, err = main(*arguments)

    assert (code, out) == (1, "")
    assert err.startswith("❌ ")
    assert message in err
    assert err.count("\n") == 1
    assert User.objects.count() == 2


@pytest.mark.parametrize("arguments", [[], ["add"], ["nonsense"], ["list", "--what"]])
def test_wrong_usage_is_exit_2(main, arguments):
    code, out, err = main(*arguments)

    assert (code, out) == (2, "")
    assert "usage:" in err


def test_a_hint_says_when_tokens_do_not_count(main, settings):
    settings.AUTH_PROVIDER = "local"
    assert "multi_user" in main("add", "alice")[2]
    settings.AUTH_PROVIDER = "multi_user"
    assert main("add", "bob")[2] == ""
