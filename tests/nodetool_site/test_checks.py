"""System checks: what keeps a process from starting, and a clean deployment."""

import pytest
from django.core import checks

from nodetool_site.checks import check_settings
from tests.nodetool_site.test_serve import POSTGRES, PRODUCTION

REDIS = "redis://127.0.0.1:1"


def ids() -> set[str]:
    return {message.id for message in check_settings(None)}


@pytest.fixture
def scale_out(settings):
    settings.IS_SCALE_OUT = True
    settings.IS_SQLITE = False
    settings.CHANNEL_LAYER_URL = REDIS


@pytest.fixture
def production(settings):
    settings.IS_PRODUCTION = True
    settings.IS_SQLITE = False
    settings.DEBUG = False
    settings.SECRETS_MASTER_KEY = "key"
    settings.AUTH_PROVIDER = "static"


@pytest.mark.usefixtures("scale_out")
def test_scale_out_settings_are_sane():
    assert ids() == set()


@pytest.mark.usefixtures("production")
def test_production_settings_are_sane():
    assert ids() == set()


@pytest.mark.usefixtures("scale_out")
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("IS_SQLITE", True, "nodetool.E001"),
        ("CHANNEL_LAYER_URL", "", "nodetool.E002"),
        ("IS_SCALE_OUT", False, "nodetool.E003"),
    ],
)
def test_halves_of_scale_out_are_named(settings, name, value, problem):
    setattr(settings, name, value)

    assert ids() == {problem}


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("DEBUG", True, "nodetool.E004"),
        ("SECRETS_MASTER_KEY", "", "nodetool.E005"),
        ("AUTH_PROVIDER", "none", "nodetool.E006"),
        ("AUTH_PROVIDER", "local", "nodetool.E006"),
        ("IS_SQLITE", True, "nodetool.W001"),
    ],
)
def test_careless_production_is_named(settings, name, value, problem):
    setattr(settings, name, value)

    assert ids() == {problem}


def test_every_problem_has_a_cure(settings):
    settings.IS_SCALE_OUT = True
    settings.CHANNEL_LAYER_URL = ""
    settings.IS_PRODUCTION = True

    messages = check_settings(None)

    assert len(messages) > 3
    assert all(isinstance(one, checks.CheckMessage) and one.hint for one in messages)


def test_deployment_check_is_clean(nodetool, tmp_path):
    """A-10; the two silenced checks ask the server itself to speak https."""
    done = nodetool.manage(
        "check",
        "--deploy",
        "--fail-level=WARNING",
        **PRODUCTION,
        AUTH_PROVIDER="static",
        ALLOWED_HOSTS="nodetool.example.org",
        DATABASE_URL=POSTGRES,
        REDIS_URL=REDIS,
    )

    assert done.returncode == 0, done.stderr


def test_check_command_knows_these_checks(nodetool):
    done = nodetool.manage("check", REDIS_URL=REDIS)

    assert done.returncode == 1
    assert "nodetool.E001" in done.stderr
