"""``nodetool secrets``."""

import io
import json

import pytest

from nodetool_site import cli
from storage.management import secret_verbs
from storage.models import Secret, User
from storage.vault import reveal_secret, set_secret

pytestmark = pytest.mark.django_db

VALUE = "sk-typed-by-hand-0123456789"


@pytest.fixture(autouse=True)
def owner(settings, tmp_path) -> User:
    settings.SECRETS_MASTER_KEY = ""
    settings.DATA_FOLDER = tmp_path
    return User.objects.create_user("admin", id="1")


class Typed(io.StringIO):
    """Standard input, from a pipe or from somebody at a terminal."""

    is_terminal = False

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.fixture
def main(capsys, monkeypatch):
    """Run it as from a command line; return exit code, stdout and stderr."""

    def call(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", Typed(stdin))
        with pytest.raises(SystemExit) as stop:
            cli.main(["secrets", *arguments])
        return (stop.value.code, *capsys.readouterr())

    return call


def test_a_piped_value_is_one_line(main):
    done = main("store", "OPENAI_API_KEY", stdin=f"{VALUE}\nrest\n")

    assert done == (0, "Secret 'OPENAI_API_KEY' stored for user 1.\n", "")
    assert reveal_secret("1", "OPENAI_API_KEY") == VALUE


def test_on_a_terminal_the_value_is_asked_for_unseen(main, monkeypatch):
    asked = []
    monkeypatch.setattr(Typed, "is_terminal", True)
    monkeypatch.setattr(
        secret_verbs.getpass, "getpass", lambda text: asked.append(text) or VALUE
    )

    assert main("store", "KEY")[0] == 0

    assert asked == ["Enter value for secret 'KEY': "]
    assert reveal_secret("1", "KEY") == VALUE


def test_stdin_takes_everything_and_value_is_for_scripts(main):
    main("store", "PEM", "--stdin", stdin="one\ntwo\n")
    main("store", "ARG", "--value", VALUE, "-d", "about it")

    assert reveal_secret("1", "PEM") == "one\ntwo"
    assert reveal_secret("1", "ARG") == VALUE
    assert Secret.objects.get(key="ARG").description == "about it"


def test_storing_again_overwrites_silently(main):
    main("store", "KEY", stdin=f"{VALUE}\n")

    assert main("store", "KEY", stdin=f"{VALUE}-2\n") == (
        0,
        "Secret 'KEY' stored for user 1.\n",
        "",
    )

    assert reveal_secret("1", "KEY") == f"{VALUE}-2"


def test_who_stores_a_value_too_short_to_be_masked_is_told(main):
    code, _, err = main("store", "PIN", stdin="1234567\n")

    assert code == 0
    assert err.startswith("A value of under 8 characters")
    assert err.count("\n") == 1


def test_no_more_is_read_than_a_value_may_be_long(main, monkeypatch):
    """An endless stream is refused in time, and in bounded memory."""
    monkeypatch.setattr(Typed, "read", lambda self, size: "x" * size)
    monkeypatch.setattr(Typed, "readline", lambda self, size: "x" * size)

    for source in ([], ["--stdin"]):
        code, _, err = main("store", "KEY", *source)
        assert (code, "larger than 65,536 bytes" in err) == (1, True)


def test_end_of_input_on_a_terminal_is_no_answer(main, monkeypatch):
    def end(*_: object) -> str:
        raise EOFError

    set_secret("1", "MINE", VALUE)
    monkeypatch.setattr(Typed, "is_terminal", True)
    monkeypatch.setattr(secret_verbs.getpass, "getpass", end)
    monkeypatch.setattr("builtins.input", end)

    code, _, err = main("store", "KEY")
    assert (code, err.splitlines()[-1]) == (1, "❌ The value of secret 'KEY' is empty")
    code, _, err = main("delete", "MINE")
    assert (code, err.splitlines()[-1]) == (1, "❌ Nothing deleted.")
    assert Secret.objects.count() == 1


def test_a_user_is_named_by_name_too(main):
    user = User.objects.create_user("bob")
    set_secret(user.pk, "HIS", VALUE)

    assert "HIS" in main("list", "-u", "bob")[1]
    assert main("list", "-u", "rob") == (1, "", "❌ User 'rob' not found\n")


def test_another_users_secrets_are_named_by_their_id(main):
    User.objects.create_user("zoe", id="zoe")

    assert main("store", "KEY", "-u", "zoe", stdin="v")[1] == (
        "Secret 'KEY' stored for user zoe.\n"
    )

    assert main("list")[1] == "No secrets stored for user 1.\n"
    assert "KEY" in main("list", "--user-id", "zoe")[1]


def test_list_is_a_table_of_names_and_dates(main):
    for key in ("b", "A", "C_3"):
        set_secret("1", key, VALUE)

    title, head, *rows = main("list")[1].splitlines()
    document = json.loads(main("list", "--json", "--limit", "2")[1])

    assert (title, head.split()) == ("Secrets for user 1", ["Key", "Updated", "At"])
    assert [row.split()[0] for row in rows] == ["A", "C_3", "b"]
    assert [each["key"] for each in document["secrets"]] == ["A", "C_3"]
    assert document["next_key"] == "C_3"


def test_get_shows_the_value_only_when_asked(main):
    set_secret("1", "KEY", VALUE, description="mine")

    plain, as_json = main("get", "KEY")[1], json.loads(main("get", "KEY", "--json")[1])

    assert "description: mine" in plain
    assert VALUE not in plain + json.dumps(as_json)
    assert as_json["is_configured"] is True
    assert VALUE in main("get", "KEY", "--reveal")[1]
    revealed = json.loads(main("get", "KEY", "--reveal", "--json")[1])
    assert revealed == {**as_json, "value": VALUE}


def test_delete(main):
    set_secret("1", "KEY", VALUE)

    assert main("delete", "KEY", "--yes")[:2] == (
        0,
        "Secret 'KEY' deleted for user 1.\n",
    )

    assert not Secret.objects.exists()


@pytest.mark.parametrize("answer", ["n", ""])
def test_delete_asks_on_a_terminal(main, monkeypatch, answer):
    set_secret("1", "KEY", VALUE)
    monkeypatch.setattr(Typed, "is_terminal", True)
    monkeypatch.setattr("builtins.input", lambda: answer)

    assert main("delete", "KEY")[0] == 1

    monkeypatch.setattr("builtins.input", lambda: "y")
    assert main("delete", "KEY")[0] == 0
    assert not Secret.objects.exists()


def test_rotate_can_be_repeated(main, settings):
    set_secret("1", "KEY", VALUE)

    code, out, err = main("rotate")

    assert (code, err) == (0, "")
    assert out.startswith("0 secrets encrypted with the key ")
    assert json.loads(main("rotate", "--json")[1])["changed"] == 0


def test_a_name_of_the_servers_own_is_stored_with_a_word_about_it(main):
    code, _, err = main("store", "SERVER_AUTH_TOKEN", stdin="v")

    assert code == 0
    assert "from the environment alone" in err


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["store", "KEY"], "", "is empty"),
        (["store", "KEY"], "\nsecond line\n", "is empty"),
        (["store", "KEY", "--stdin"], "\n", "is empty"),
        (["store", "KEY", "--value", ""], "", "is empty"),
        (["store", "KEY", "-u", "nobody"], "v", "User 'nobody' not found"),
        (["store", "KEY", "-d", "a\nb"], "v", "one line"),
        (["get", "KEY"], "", "Secret 'KEY' not found for user 1"),
        (["get", "KEY", "--json", "--reveal"], "", "not found"),
        (["delete", "KEY", "--yes"], "", "not found for user 1"),
        (["delete", "MINE"], "", "--yes is needed"),
    ],
)
def test_a_failure_is_one_line_on_stderr_and_exit_1(main, arguments, stdin, message):
    set_secret("1", "MINE", VALUE)

    code, out, err = main(*arguments, stdin=stdin)

    assert (code, out) == (1, "")
    assert err.startswith("❌ ")
    assert message in err
    assert err.count("\n") == 1
    assert VALUE not in err
    assert Secret.objects.count() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["store"],
        ["store", "1KEY"],
        ["store", "A-B"],
        ["store", "K", "--value", "v", "--stdin"],
        ["get", "a b"],
        ["list", "--limit", "0"],
        ["reveal", "KEY"],
    ],
)
def test_wrong_usage_is_exit_2(main, arguments):
    code, out, err = main(*arguments, stdin="v")

    assert (code, out) == (2, "")
    assert "usage:" in err


def test_s06_a_missing_master_key_is_one_line_and_exit_1(main, settings):
    set_secret("1", "KEY", VALUE)
    (settings.DATA_FOLDER / "secrets_master_key").unlink()

    for arguments in (["store", "KEY"], ["get", "KEY", "--reveal"], ["rotate"]):
        code, out, err = main(*arguments, stdin="v")
        assert (code, out) == (1, "")
        assert "master key of the stored secrets is missing" in err
        assert err.count("\n") == 1
    # What needs no key works: to see what is lost, and to store it again.
    assert "KEY" in main("list")[1]
    assert main("delete", "KEY", "--yes")[0] == 0
