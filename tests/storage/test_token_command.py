"""``nodetool tokens``."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from nodetool_site import cli
from storage.api_tokens import issue_token, look_up
from storage.models import ApiToken, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def tokens(capsys, monkeypatch):
    """Run it as from a command line; return exit code, stdout and stderr."""
    monkeypatch.setattr(cli, "_prepare_database", lambda: None)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            cli.main(["tokens", *arguments])
        return (stop.value.code, *capsys.readouterr())

    return call


@pytest.fixture(autouse=True)
def owner() -> User:
    return User.objects.create_user("owner", id="1")


def test_a_made_token_is_shown_once(tokens, alice):
    code, out, err = tokens("create", "--name", "ci", "-u", "alice")

    text = out.split()[-1]
    assert code == 0
    assert out.count("nt_") == 1
    assert look_up(text.encode()).user_id == "alice"
    assert text not in tokens("list")[1]
    assert "count under AUTH_PROVIDER=multi_user" in err


def test_no_remark_where_tokens_count(tokens, settings):
    settings.AUTH_PROVIDER = "multi_user"

    assert tokens("create", "--name", "ci")[2] == ""


def test_a_token_is_made_as_asked_for(tokens):
    _, out, _ = tokens(
        *("create", "--name", "ci", "--scope", "write", "--scope", "run"),
        *("--expires", "30", "--json"),
    )

    made = json.loads(out)
    assert (made["name"], made["user_id"]) == ("ci", "1")
    assert made["scopes"] == ["run", "write"]
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    assert look_up(made["token"].encode()).scopes == {"run", "write"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["create"], 2),
        (["create", "--name", " "], 2),
        (["create", "--name", "x" * 101], 2),
        (["create", "--name", "x", "--scope", "all"], 2),
        (["create", "--name", "x", "--expires", "0"], 2),
        (["create", "--name", "x", "--expires", "soon"], 2),
        (["create", "--name", "x", "-u", "ghost"], 1),
        (["list", "-u", "ghost"], 1),
        (["revoke"], 2),
        (["revoke", "nt_"], 1),
        (["revoke", "nt_nothing"], 1),
        ([], 2),
    ],
)
def test_what_cannot_be_done_is_refused(tokens, words, code):
    exit_code, out, err = tokens(*words)

    assert (exit_code, out) == (code, "")
    assert err
    assert not ApiToken.objects.exists()


def test_list_shows_everybodys_or_one_users(tokens, alice):
    assert tokens("list")[1] == "No tokens found.\n"
    issue_token("1", name="mine")
    issue_token(alice.pk, name="hers", scopes=["read"])

    title, _, *rows = tokens("list")[1].splitlines()
    documents = json.loads(tokens("list", "-u", "1", "--json")[1])["tokens"]

    assert title == "Tokens"
    assert [row.split()[1:4] for row in rows] == [
        ["hers", "alice", "read"],
        ["mine", "1", "all"],
    ]
    assert [document["name"] for document in documents] == ["mine"]


def test_a_token_is_revoked_by_its_beginning(tokens, alice):
    row, text = issue_token(alice.pk, name="old")
    kept, _ = issue_token(alice.pk, name="kept")

    assert tokens("revoke", row.prefix, "-u", "1")[0] == 1
    revoked = json.loads(tokens("revoke", row.prefix, "--json")[1])

    assert (revoked["prefix"], revoked["revoked"]) == (row.prefix, True)
    assert look_up(text.encode()) is None
    assert list(ApiToken.objects.all()) == [kept]
