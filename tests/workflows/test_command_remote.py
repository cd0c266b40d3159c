"""``workflows --api-url``: the same verbs, answered by a running server."""

import gc
import json
import threading
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from storage.api_tokens import issue_token, verified_tokens
from storage.models import User
from tests.workflows.graphs import echo_graph
from workflows.management.commands.workflows import Command
from workflows.models import Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("workflows.api.urls"),
]


@pytest.fixture
def token(settings):
    settings.AUTH_PROVIDER = "multi_user"
    verified_tokens.clear()
    alice = User.objects.create(id="alice", username="alice")
    return issue_token(alice.pk, name="test")[1]


@pytest.fixture
def nodetool(live_server, token, capsys):
    def run(*words: str, token: str = token):
        code = 0
        options = ["--api-url", live_server.url, "--token", token]
        try:
            Command().run_from_argv(["nodetool", "workflows", *words, *options])
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_workflow_lives_on_the_server(nodetool, tmp_path):
    path = tmp_path / "w.json"
    path.write_text(json.dumps({"id": "w", "graph": echo_graph()}))

    assert nodetool("import", str(path)) == (0, "Imported w w\n", "")
    assert Workflow.objects.get().owner_id == "alice"
    code, _, err = nodetool("import", str(path))
    assert (code, err) == (1, "❌ Workflow w exists already\n")
    assert nodetool("import", str(path), "--replace", "--name", "New")[0] == 0
    listed = json.loads(nodetool("list", "--json")[1])
    assert [(w["id"], w["name"]) for w in listed["workflows"]] == [("w", "New")]
    assert json.loads(nodetool("get", "w")[1]) == listed["workflows"][0]
    assert nodetool("validate", "w") == (0, "", "")
    assert nodetool("delete", "w", "--yes") == (0, "Deleted w\n", "")
    assert nodetool("get", "w") == (1, "", "❌ Workflow w not found\n")


def test_all_pages_are_read(nodetool, tmp_path, monkeypatch):
    monkeypatch.setattr("workflows.management.stores.PAGE", 2)
    graphs = {"workflows": [{"name": str(n), "graph": {}} for n in range(5)]}
    path = tmp_path / "all.json"
    path.write_text(json.dumps(graphs))

    nodetool("import", str(path))

    names = [w["name"] for w in json.loads(nodetool("list", "--json")[1])["workflows"]]
    assert sorted(names) == list("01234")


def test_refusals_of_the_server_are_told(nodetool):
    code, out, err = nodetool("list", token="nt_wrong")

    assert (code, out) == (1, "")
    assert err.startswith("❌ ")
    assert "401" in err


def test_silent_server_is_a_failure(capsys):
    words = ["list", "--api-url", "http://127.0.0.1:9"]
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["nodetool", "workflows", *words])

    assert ended.value.code == 1
    assert "No answer from http://127.0.0.1:9" in capsys.readouterr().err


@pytest.fixture
def moved():
    """A server that sends everybody elsewhere, to itself, and notes who came."""
    seen = []

    class Moved(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers["Authorization"]))
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = HTTPServer(("127.0.0.1", 0), Moved)
    port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{port}", seen
    server.shutdown()
    server.server_close()


def test_a_token_goes_nowhere_else(moved, capsys):
    url, seen = moved

    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(
            ["nodetool", "workflows", "get", "w", "--api-url", url, "--token", "mine"]
        )

    assert ended.value.code == 1
    assert "redirects to http://localhost:" in capsys.readouterr().err
    assert seen == [("/api/workflows/w", "Bearer mine")]
    assert not [
        answer
        for answer in gc.get_objects()
        if type(answer) is HTTPResponse  # asking a lazy object would make it
        and url in getattr(answer, "url", "")
        and not answer.closed
    ]


def test_of_several_tokens_the_newest_is_sent(settings):
    settings.SERVER_AUTH_TOKEN = " newest-of-them , older-one"

    options = Command().create_parser("nodetool", "workflows").parse_args(["list"])

    assert options.token == "newest-of-them"
