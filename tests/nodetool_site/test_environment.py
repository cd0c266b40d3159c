"""Settings are read strictly, and a mistake names its variable."""

import stat

import pytest
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

from nodetool_site.lib.environment import Environment, saved_secret


@pytest.fixture
def env():
    return Environment()


@pytest.mark.parametrize("word", ["1", "true", "YES", "On"])
def test_yes_is_yes(env, monkeypatch, word):
    monkeypatch.setenv("SWITCH", word)

    assert env.bool("SWITCH", default=False) is True


@pytest.mark.parametrize("word", ["0", "false", "NO", "Off"])
def test_no_is_no(env, monkeypatch, word):
    monkeypatch.setenv("SWITCH", word)

    assert env.bool("SWITCH", default=True) is False


@pytest.mark.parametrize("word", ["maybe", "2", "-"])
def test_other_words_stop_the_start_and_name_the_variable(env, monkeypatch, word):
    monkeypatch.setenv("SWITCH", word)

    with pytest.raises(ImproperlyConfigured, match="SWITCH"):
        env.bool("SWITCH", default=True)


@pytest.mark.parametrize("word", ["x", "1.5", "1,000"])
def test_number_that_is_none_names_the_variable(env, monkeypatch, word):
    monkeypatch.setenv("SIZE", word)

    with pytest.raises(ImproperlyConfigured, match="SIZE"):
        env.whole("SIZE", default=1)


def test_negative_limit_names_the_variable(env, monkeypatch):
    monkeypatch.setenv("SIZE", "-1")

    with pytest.raises(ImproperlyConfigured, match="SIZE"):
        env.whole("SIZE", default=1)


def test_choice_names_what_is_allowed(env, monkeypatch):
    monkeypatch.setenv("KIND", "c")

    with pytest.raises(ImproperlyConfigured, match=r"KIND is 'c'.*: a, b"):
        env.choice("KIND", default="a", among=("a", "b"))


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_is_unset(env, monkeypatch, text):
    monkeypatch.setenv("NAME", text)

    assert env.str("NAME", default="default") == "default"
    assert env.words("NAME", default=["*"]) == ["*"]


def test_words_are_trimmed(env, monkeypatch):
    monkeypatch.setenv("NAMES", " a, b,,c ")

    assert env.words("NAMES", default=[]) == ["a", "b", "c"]


def test_value_may_begin_with_a_dollar(env, monkeypatch):
    monkeypatch.setenv("PASSWORD", "$ecret")

    assert env.str("PASSWORD") == "$ecret"


def test_value_may_come_from_a_file_whose_last_newline_does_not_count(
    env, monkeypatch, tmp_path
):
    (tmp_path / "key").write_text("secret\n")
    monkeypatch.setenv("KEY_FILE", str(tmp_path / "key"))

    assert env.str("KEY") == "secret"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_file_that_cannot_be_read_names_the_variable(
    env, monkeypatch, tmp_path, content
):
    if content:
        (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("LOST_FILE", str(tmp_path / "key"))

    with pytest.raises(ImproperlyConfigured, match="LOST_FILE cannot be read"):
        env.str("LOST", default="")


@pytest.mark.parametrize("number", ["0", "65536", "-1", "80.0"])
def test_port_that_is_none_names_the_variable(env, monkeypatch, number):
    monkeypatch.setenv("SOME_PORT", number)

    with pytest.raises(ImproperlyConfigured, match="SOME_PORT"):
        env.port("SOME_PORT", default=1)


@pytest.mark.parametrize(
    "url",
    [
        *("nonsense", "nonsense://host/name", "mysql://host/name", "sqlite://"),
        *("postgres://u:pass/word@host/name", "postgres://u:password@host:x/name"),
    ],
)
def test_database_that_is_none_names_the_variable_and_tells_no_password(
    env, monkeypatch, recwarn, url
):
    monkeypatch.setenv("SOME_URL", url)

    with pytest.raises(ImproperlyConfigured, match="SOME_URL") as caught:
        env.database("SOME_URL")

    assert "word" not in str(caught.value).replace("in a password", "")
    assert not recwarn.list


class TestDotenv:
    @pytest.fixture
    def read(self, monkeypatch, tmp_path):
        """Reads a file; return the environment that it leaves."""

        def read(content: str | bytes, **process: str) -> dict[str, str]:
            found = dict(process)
            monkeypatch.setattr(
                Environment, "ENVIRON", FileAwareMapping(env=found, cache=False)
            )
            file = tmp_path / ".env"
            file.write_bytes(
                content if isinstance(content, bytes) else content.encode()
            )
            Environment.read_dotenv(file)
            return found

        return read

    def test_it_says_what_the_process_does_not(self, read):
        content = "# all\n\nA=1\nexport B='two words'\nC=$x\nD=5\n"

        assert read(content, D="4") == {"A": "1", "B": "two words", "C": "$x", "D": "4"}

    @pytest.mark.parametrize("empty", ["", "  "])
    def test_empty_variable_of_the_process_is_unset(self, read, empty):
        assert read("A=1\n", A=empty) == {"A": "1"}

    def test_line_that_is_no_assignment_is_told_by_number(self, read, caplog):
        assert read("A=1\n-----KEY-----\n  B = 2\n") == {"A": "1"}

        assert "line 2, 3" in caplog.text
        assert "KEY" not in caplog.text

    def test_file_that_is_no_text_stops_the_start(self, read):
        with pytest.raises(ImproperlyConfigured, match=r"\.env cannot be read"):
            read(b"\xff\xfeA=1")


def test_missing_value_names_the_variable(env):
    with pytest.raises(ImproperlyConfigured, match="NOT_SET_ANYWHERE"):
        env.str("NOT_SET_ANYWHERE")


def test_saved_secret_is_kept_for_its_owner_alone(tmp_path):
    path = tmp_path / "folder" / "key"

    secret = saved_secret(path)

    assert len(secret) > 40
    assert saved_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("content", ["", " \n"])
def test_saved_secret_that_is_empty_is_not_taken(tmp_path, content):
    path = tmp_path / "key"
    path.write_text(content)

    with pytest.raises(ImproperlyConfigured, match=r"key is empty: put back"):
        saved_secret(path)


def test_saved_secret_that_cannot_be_kept_says_where(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ImproperlyConfigured, match=r"file.key cannot be used.*DB_PATH"):
        saved_secret(tmp_path / "file" / "key")
