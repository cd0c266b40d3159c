"""Settings are read strictly, and a mistake names its variable."""

import stat

import pytest
from django.core.exceptions import ImproperlyConfigured

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
