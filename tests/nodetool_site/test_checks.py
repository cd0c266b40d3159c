"""System checks: what keeps a process from starting, and a clean deployment."""

import inspect
import re

import pytest
from django.core import checks

import nodetool_site.checks
from nodetool_site.checks import check_settings
from tests.nodetool_site.test_serve import POSTGRES, PRODUCTION, SUPABASE

REDIS = "redis://127.0.0.1:1"


def problems() -> dict[str, str]:
    return {str(message.id): message.msg for message in check_settings(None)}


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
    settings.SECRETS_MASTER_KEY = "7HAVi3bxQ8Le_prje1_jXKAPrQJiYVpTo_fEvTJqJIY="
    settings.AUTH_PROVIDER = "static"
    settings.DJANGO_SECRET_KEY = settings.SECRET_KEY
    settings.ADMIN_TOKEN = "a" * 32


@pytest.fixture
def private(settings):
    settings.SERVER_MODE = "private"
    settings.AUTH_PROVIDER = "static"
    settings.ALLOWED_HOSTS = ["localhost"]


@pytest.mark.usefixtures("private")
def test_private_settings_are_sane():
    assert ids() == set()


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("DEBUG", True, "nodetool.E004"),
        ("AUTH_PROVIDER", "none", "nodetool.E006"),
        ("AUTH_PROVIDER", "local", "nodetool.E006"),
        ("SERVER_MODE", "public", "nodetool.E007"),
        ("AUTH_PROVIDER", "supabase", "nodetool.E008"),
        ("SECRET_KEY", "Your-Secret-Key", "nodetool.E010"),
        ("ALLOWED_HOSTS", ["localhost", "*"], "nodetool.E011"),
        ("ALLOW_PRIVATE_EGRESS", ("1",), "nodetool.E016"),
        ("ALLOW_PRIVATE_EGRESS", ("On",), "nodetool.E016"),
        ("ALLOW_PRIVATE_EGRESS", ("10.0.0.0/33",), "nodetool.E023"),
        ("ALLOW_PRIVATE_EGRESS", ("10.0.0.1/8",), "nodetool.E023"),
        ("ALLOW_PRIVATE_EGRESS", ("http://intranet.test",), "nodetool.E023"),
        ("ALLOW_PRIVATE_EGRESS", ("intranet.test", "2130706433"), "nodetool.E023"),
        ("AUTH_PROVIDER", "kerberos", "nodetool.E018"),
        ("SERVER_AUTH_TOKEN", "fifteen-letters", "nodetool.E019"),
        ("SERVER_AUTH_TOKEN", "sixteen-letters-,short", "nodetool.E019"),
    ],
)
def test_a09_careless_private_server_is_named(settings, name, value, problem):
    setattr(settings, name, value)

    assert ids() == {problem}


@pytest.mark.usefixtures("private")
def test_a02_weak_token_in_its_file_is_named_and_none_is_made(settings, tmp_path):
    settings.SERVER_AUTH_TOKEN = ""
    settings.DATA_FOLDER = tmp_path
    assert ids() == set()
    assert not list(tmp_path.iterdir())

    (tmp_path / "server_auth_token").write_text("short\n")

    assert str(tmp_path) in problems()["nodetool.E019"]


@pytest.mark.parametrize("provider", ["none", "local"])
def test_token_of_no_use_may_be_weak(settings, provider):
    settings.AUTH_PROVIDER = provider
    settings.SERVER_AUTH_TOKEN = "short"

    assert ids() == set()


def test_a02_weak_token_is_a_warning_on_a_desktop(settings):
    settings.AUTH_PROVIDER = "static"
    settings.SERVER_AUTH_TOKEN = "short"

    assert "anybody may guess it" in problems()["nodetool.W004"]


@pytest.fixture
def supabase(settings):
    settings.AUTH_PROVIDER = "supabase"
    settings.SUPABASE_URL = "https://project.supabase.co"
    settings.SUPABASE_KEY = "k" * 40
    settings.SERVER_AUTH_TOKEN = "a-token-of-many-letters"


@pytest.mark.usefixtures("private", "supabase")
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SUPABASE_JWT_SECRET", "s" * 32, None),
        ("SUPABASE_JWT_SECRET", "s" * 31, "nodetool.E019"),
        ("SUPABASE_URL", "", "nodetool.E008"),
        ("SUPABASE_KEY", "", "nodetool.E008"),
        ("SUPABASE_URL", "ftp://x", "nodetool.E020"),
        ("SUPABASE_URL", "project.supabase.co", "nodetool.E020"),
        ("SUPABASE_URL", "http://[", "nodetool.E020"),
    ],
)
def test_a09_careless_supabase_server_is_named(settings, name, value, problem):
    setattr(settings, name, value)

    assert ids() == ({problem} if problem else set())


@pytest.mark.usefixtures("supabase")
def test_short_supabase_secret_is_a_warning_on_a_desktop_that_hides_it(settings):
    settings.SUPABASE_JWT_SECRET = "only-short"

    assert "only-short" not in str(problems())
    assert ids() == {"nodetool.W004"}


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
        ("CHANNEL_LAYER_URL", "127.0.0.1:6379", "nodetool.E022"),
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
        ("SECRETS_MASTER_KEY", "changeme", "nodetool.E017"),
        ("AUTH_PROVIDER", "none", "nodetool.E006"),
        ("AUTH_PROVIDER", "local", "nodetool.E006"),
        ("DJANGO_SECRET_KEY", "", "nodetool.E009"),
        ("ADMIN_TOKEN", "short", "nodetool.E013"),
        ("IS_SQLITE", True, "nodetool.W001"),
        ("ADMIN_TOKEN", "", "nodetool.W002"),
    ],
)
def test_careless_production_is_named(settings, name, value, problem):
    setattr(settings, name, value)

    assert ids() == {problem}


def test_problems_have_ids_of_their_own():
    source = inspect.getsource(nodetool_site.checks)
    named = re.findall(r'"(nodetool\.[EW]\d+)"', source)

    assert len(named) > 15
    assert len(set(named)) == len(named)


def test_every_problem_has_a_cure(settings):
    settings.IS_SCALE_OUT = True
    settings.CHANNEL_LAYER_URL = ""
    settings.IS_PRODUCTION = True

    messages = check_settings(None)

    assert len(messages) > 3
    assert all(isinstance(one, checks.CheckMessage) and one.hint for one in messages)


@pytest.mark.parametrize("mode", ["private", "public", "desktop"])
def test_a10_deployment_check_is_clean(nodetool, mode):
    """With nothing silenced but what settings.py gives its reasons for."""
    provider = {"AUTH_PROVIDER": "static"}
    if mode == "public":
        provider = {"AUTH_PROVIDER": "supabase", **SUPABASE}
    done = nodetool.manage(
        "check",
        "--deploy",
        "--fail-level=WARNING",
        **{**PRODUCTION, "NODETOOL_SERVER_MODE": mode},
        **provider,
        ADMIN_TOKEN="a-token-of-many-letters",
        ALLOWED_HOSTS="nodetool.example.org",
        DATABASE_URL=POSTGRES,
        REDIS_URL=REDIS,
    )

    assert done.returncode == 0, done.stderr


def test_a10_private_server_without_production_is_clean_too(nodetool):
    done = nodetool.manage(
        "check", "--deploy", "--fail-level=ERROR", NODETOOL_SERVER_MODE="private"
    )

    assert done.returncode == 0, done.stderr


def test_check_command_knows_these_checks(nodetool):
    done = nodetool.manage("check", REDIS_URL=REDIS)

    assert done.returncode == 1
    assert "nodetool.E001" in done.stderr
