"""``nodetool chat-server``: what it takes, what it refuses, what it serves."""

import json
from pathlib import Path

import pytest
from django.core.management.base import CommandError, CommandParser

from nodetool_site import served_workflows
from nodetool_site.chat_server_options import add_options, apply_options
from storage.models import User
from tests.nodes_for_tests.reaches import RunsCode
from tests.nodetool_site.conftest import LISTENING
from tests.nodetool_site.test_serve import ANYWHERE, PRODUCTION
from tests.services.ports import free_port
from workflows.api.serializers import read_request
from workflows.models import Workflow
from workflows.services import save_workflow

NO_NODES = {"nodes": [], "edges": []}
GRAPH = {
    "nodes": [
        {"id": "n1", "type": "nodetool.input.StringInput", "data": {"name": "x"}}
    ],
    "edges": [],
}
RUNS_CODE = {"nodes": [{"id": "n1", "type": RunsCode.node_type}], "edges": []}


@pytest.fixture
def start(settings):
    """Parses words and puts them into the settings, for this test alone."""
    settings.DEFAULT_MODEL_CHOSEN = ""
    settings.AUTH_PROVIDER_CHOSEN = ""
    settings.ALLOWED_HOSTS_CHOSEN = []
    settings.IS_PRODUCTION = False

    def apply(*words: str):
        parser = CommandParser(called_from_command_line=True)
        add_options(parser)
        apply_options(vars(parser.parse_args(words)))
        return settings

    return apply


@pytest.fixture
def write(tmp_path):
    def write(name: str, document: object) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path

    return write


def test_nothing_said_is_open_on_this_machine_with_the_small_model(start):
    settings = start()

    assert settings.SERVER_MODE == "chat-server"
    assert settings.AUTH_PROVIDER == "local"
    assert "*" not in settings.ALLOWED_HOSTS
    assert (settings.DEFAULT_MODEL, settings.CHAT_PROVIDER) == ("gpt-oss:20b", "ollama")
    assert settings.SERVER_TOOLS == ()


def test_options_become_the_settings_of_the_process(start, settings):
    settings.DEFAULT_MODEL_CHOSEN = "of-the-environment"

    start(
        *("--provider", "openai", "--default-model", "gpt-4o"),
        *("--tools", "search, browser,"),
    )

    assert (settings.DEFAULT_MODEL, settings.CHAT_PROVIDER) == ("gpt-4o", "openai")
    assert settings.SERVER_TOOLS == ("search", "browser")


def test_environment_wins_over_what_nobody_said(start, settings):
    settings.DEFAULT_MODEL_CHOSEN = "of-the-environment"

    assert start().DEFAULT_MODEL == "of-the-environment"


@pytest.mark.parametrize("provider", ["none", "local", "static", "multi_user"])
def test_any_authentication_will_do_on_this_machine(start, provider):
    chosen = start("--auth-provider", provider).AUTH_PROVIDER

    assert chosen == provider


def test_a_token_is_asked_for_on_another_address(start):
    assert start("--host", ANYWHERE).AUTH_PROVIDER == "static"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--host", ANYWHERE, "--auth-provider", "none"), "static or multi_user"),
        (("--host", "::", "--auth-provider", "local"), "static or multi_user"),
        (("--auth-provider", "supabase"), "SUPABASE_URL"),
        (("--provider", "fake"), "NODETOOL_ENABLE_FAKE_PROVIDER"),
    ],
)
def test_a_careless_start_is_refused_with_the_cure(start, words, named):
    with pytest.raises(CommandError, match=named) as caught:
        start(*words)

    assert "--allow-unauthenticated" not in str(caught.value)


def test_production_asks_who_is_calling_also_on_this_machine(start, settings):
    settings.IS_PRODUCTION = True
    settings.SECRETS_MASTER_KEY = PRODUCTION["SECRETS_MASTER_KEY"]
    settings.DJANGO_SECRET_KEY = settings.SECRET_KEY

    assert start().AUTH_PROVIDER == "static"
    with pytest.raises(CommandError, match="AUTH_PROVIDER=none with ENV=production"):
        start("--auth-provider", "none")


@pytest.mark.parametrize(
    "words",
    [
        ("--workflow", "nowhere.json"),
        ("--provider", "nonsense"),
        ("--default-model", " "),
        ("--mode", "private"),
        ("--allow-unauthenticated",),
    ],
)
def test_wrong_words_are_a_usage_error(start, words):
    with pytest.raises(SystemExit) as caught:
        start(*words)

    assert caught.value.code == 2


# --- Workflows


def test_workflows_keep_their_ids_and_graphs_take_their_files_names(write):
    files = [
        write("one.json", {"id": "greeting", "name": "Greeting", "graph": GRAPH}),
        write("two.json", GRAPH),
        write("more.json", {"workflows": [{"id": "a", "graph": GRAPH}]}),
    ]

    found = served_workflows.read_files(files)

    assert [new.workflow_id for new in found] == ["greeting", "file-two", "a"]
    assert [new.fields.name for new in found] == ["Greeting", "two", "more"]
    assert {new.fields.access for new in found} == {"public"}


@pytest.mark.parametrize(
    ("name", "document", "says"),
    [
        ("a.json", [], "holds no JSON object"),
        ("a.json", {"workflows": [1]}, "holds no JSON object"),
        ("a.json", {"nodes": 1}, "graph.nodes: Expected"),
        ("a.json", {"graph": GRAPH, "name": 1}, "name: Not a valid"),
        ("a b.json", GRAPH, 'give it an "id"'),
        ("a.json", {"workflows": [GRAPH, GRAPH]}, "two workflows file-a"),
        ("a.json", RUNS_CODE, "is off in chat-server mode"),
    ],
)
def test_file_that_cannot_be_served_is_named(write, settings, name, document, says):
    settings.SERVER_MODE = "chat-server"

    with pytest.raises(CommandError, match=says) as caught:
        served_workflows.read_files([write(name, document)])

    assert name in str(caught.value)


@pytest.fixture
def owner(db, settings):
    settings.CHAT_SERVER_WORKFLOWS = ()
    return User.objects.create(id="1", username="one")


@pytest.mark.usefixtures("owner")
def test_stored_workflows_are_public_and_replaced_at_the_next_start(write, settings):
    first = write("a.json", {"id": "same", "name": "First", "graph": NO_NODES})
    served_workflows.store(served_workflows.read_files([first]))
    second = write("b.json", {"id": "same", "name": "Second", "graph": GRAPH})

    served_workflows.store(served_workflows.read_files([second]))

    stored = Workflow.objects.get(pk="same")
    assert (stored.owner_id, stored.access, stored.name) == ("1", "public", "Second")
    assert settings.CHAT_SERVER_WORKFLOWS == ("same",)


@pytest.mark.usefixtures("owner")
def test_workflow_of_another_user_is_left_alone(write, settings):
    bob = User.objects.create(id="bob", username="bob")
    fields = read_request({"name": "His", "access": "private", "graph": GRAPH})
    save_workflow("taken", fields, owner_id=bob.pk)
    files = [
        write(f"{name}.json", {"id": name, "graph": GRAPH}) for name in ("new", "taken")
    ]
    new = served_workflows.read_files(files)

    with pytest.raises(CommandError, match="another user's"):
        served_workflows.store(new)

    assert [workflow.name for workflow in Workflow.objects.all()] == ["His"]
    assert settings.CHAT_SERVER_WORKFLOWS == ()


# --- The process


def test_it_says_what_it_serves_and_the_next_start_serves_the_same(nodetool):
    file = nodetool.folder / "hi.json"
    file.write_text(json.dumps(GRAPH))
    words = ("chat-server", "--workflow", str(file))

    for _ in range(2):
        server = nodetool.start(*words, ready=LISTENING, PORT=str(free_port()))

        assert "(mode=chat-server, auth=local)" in server.log()
        assert "Serves workflow:file-hi (hi)" in server.log()
        assert f"Try: curl http://127.0.0.1:{server.port}/v1/models" in server.log()
        assert server.get("/v1/models")[0] == 200
        assert server.get("/api/workflows/")[0] == 404
        assert server.terminate() == 0


def test_what_cannot_start_leaves_nothing_behind(nodetool):
    file = nodetool.folder / "broken.json"
    file.write_text("{")

    broken = nodetool.run("chat-server", "--workflow", str(file))
    missing = nodetool.run("chat-server", "--workflow", "nowhere.json")

    assert (broken.returncode, missing.returncode) == (1, 2)
    (line,) = broken.stderr.splitlines()
    assert line.startswith(f"❌ {file} is not JSON")
    assert "there is no file 'nowhere.json'" in missing.stderr
    assert not (nodetool.data / "nodetool.sqlite3").exists()
