"""``nodetool info``."""

import json

import pytest

from nodetool_site import __version__
from nodetool_site.management.commands.info import Command
from storage.models import User
from storage.vault import set_secret

pytestmark = pytest.mark.django_db

VALUE = "sk-seen-by-nobody-0123456789"


@pytest.fixture
def info(capsys, settings, tmp_path):
    settings.SECRETS_MASTER_KEY = ""
    settings.DATA_FOLDER = tmp_path
    settings.PROVIDER_KEYS = {"GROQ_API_KEY": VALUE, "HF_TOKEN": ""}
    User.objects.create_user("admin", id="1")
    set_secret("1", "OPENAI_API_KEY", VALUE)

    def call(*words: str) -> str:
        Command().run_from_argv(["nodetool", "info", *words])
        return capsys.readouterr().out

    return call


def test_it_tells_versions_and_which_keys_there_are(info):
    told = json.loads(info("--json"))

    assert told["version"] == __version__
    assert (told["database"], told["broker"]) == ("sqlite", "none")
    assert (told["mode"], told["auth_provider"]) == ("desktop", "local")
    set_ones = {name for name, is_set in told["provider_keys"].items() if is_set}
    assert set_ones == {"GROQ_API_KEY", "OPENAI_API_KEY"}
    assert VALUE not in json.dumps(told)


def test_people_get_a_table(info):
    lines = info().splitlines()

    assert lines[0] == "NodeTool server"
    assert ["OPENAI_API_KEY", "set"] in [line.split() for line in lines]
    assert ["HF_TOKEN", "-"] in [line.split() for line in lines]


def test_a_users_own_keys_are_theirs(info):
    User.objects.create_user("bob")

    told = json.loads(info("--json", "-u", "bob"))

    assert told["provider_keys"]["OPENAI_API_KEY"] is False
