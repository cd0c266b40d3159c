"""Z-04 for workspaces: the nodes of one user's run reach that user's files alone.

Alice keeps a file; bob's graphs name it in every way. What his run says is what it
would say of a file that nobody has, and hers stays as it was.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from storage.workspaces import Workspace
from tests.authorisation.objects import canary, must
from tests.jobs import graphs
from tests.nodes.cases.images import plain, ref
from tests.nodes.cases.workspace import VIDEO
from tests.workflows.graphs import request_body
from workflows.nodes import registry

pytestmark = pytest.mark.django_db(transaction=True)

HERS = canary("alice")
# Of the same length, so that a size or an offset cannot tell them apart.
NOBODYS = {"alice": "nobdy", "diary": "nofil"}
WAYS = ("diary.txt", "../alice/diary.txt", "x/../../alice/diary.txt", "{root}")
PREFIX = "nodetool.workspace."
CHANGING = re.compile(r"\d{4}-\d\d-\d\dT[^\"]+|\b[0-9a-f]{32}\b|\?sig=[^\"]+")


def _split(path: str) -> dict[str, str]:
    pure = PurePosixPath(path)
    return {"folder": str(pure.parent), "filename": pure.name}


# What of a node's inputs names a file, for each way that it can.
NODES: dict[str, list[Callable[[str], dict[str, Any]]]] = {
    "GetWorkspaceDir": [lambda path: {}],
    "ListWorkspaceFiles": [
        lambda path: {"path": str(PurePosixPath(path).parent)},
        lambda path: {"pattern": path, "recursive": True},
    ],
    "ReadTextFile": [lambda path: {"path": path}],
    "ReadBinaryFile": [lambda path: {"path": path}],
    "WorkspaceFileExists": [lambda path: {"path": path}],
    "GetWorkspaceFileInfo": [lambda path: {"path": path}],
    "GetWorkspaceFileSize": [lambda path: {"path": path}],
    "IsWorkspaceFile": [lambda path: {"path": path}],
    "IsWorkspaceDirectory": [lambda path: {"path": path}],
    "CopyWorkspaceFile": [
        lambda path: {"source": path, "destination": "copy.txt"},
        lambda path: {"source": "his.txt", "destination": path},
    ],
    "MoveWorkspaceFile": [
        lambda path: {"source": path, "destination": "moved.txt"},
        lambda path: {"source": "his.txt", "destination": path},
    ],
    "JoinWorkspacePaths": [lambda path: {"paths": ["x", path]}],
    "CreateWorkspaceDirectory": [lambda path: {"path": path}],
    "WriteTextFile": [
        lambda path: {"path": path, "content": "x"},
        lambda path: {"path": path, "content": "x", "append": True},
    ],
    "WriteBinaryFile": [lambda path: {"path": path, "content": "eA=="}],
    "SaveImageFile": [
        lambda path: {**_split(path), "image": ref(plain()), "overwrite": True}
    ],
    "SaveVideoFile": [lambda path: {**_split(path), "video": VIDEO, "overwrite": True}],
    "DeleteWorkspaceFile": [lambda path: {"path": path, "recursive": True}],
}


def nobodys(path: str) -> str:
    """The same path to a file that there is not, of a user that there is not."""
    for word, other in NOBODYS.items():
        path = path.replace(word, other)
    return path


@pytest.fixture
def root(settings, tmp_path) -> Path:
    settings.WORKSPACE_FOLDER = tmp_path / "workspaces"
    Workspace("alice").write("diary.txt", HERS.encode())
    return settings.WORKSPACE_FOLDER


@pytest.fixture
async def run(world):
    """Runs one node as bob, in an emptied workspace; what the run says."""
    bob = world.people["bob"]
    body = request_body("his", graph=graphs.hello())
    workflow_id = (await must(bob, "POST", "/api/workflows", body))["id"]

    async def run(name: str, inputs: dict[str, Any], path: str) -> str:
        his = Workspace("bob")
        for found in his.list(".", "*"):
            his.delete(found, recursive=True)
        his.write("his.txt", b"his")
        output = "file" if name == "ListWorkspaceFiles" else "output"
        graph = {
            "nodes": [graphs.node("n", PREFIX + name, **inputs), graphs.output("said")],
            "edges": [graphs.edge("n", "out", output=output)],
        }
        answer = await bob.request(
            "POST", f"/api/workflows/{workflow_id}/run", {"params": {}, "graph": graph}
        )
        said = answer.json
        told = json.dumps([answer.status, said.get("error"), said.get("outputs")])
        folder = str(PurePosixPath(path).parent)
        for part in (path, folder) if folder != "." else (path,):
            told = told.replace(part, "<path>")
        return CHANGING.sub("<changing>", told)

    return run


def test_z04_every_node_of_the_workspace_is_tried():
    types = {cls.node_type for cls in registry}

    assert {f"{PREFIX}{name}" for name in NODES} == {
        name for name in types if name.startswith(PREFIX)
    }


@pytest.mark.usefixtures("root")
async def test_z04_what_is_the_users_own_is_read(run):
    assert await run("ReadTextFile", {"path": "his.txt"}, "his.txt") == (
        '[200, null, {"said": "his"}]'
    )


@pytest.mark.parametrize("name", NODES)
async def test_z04_a_run_reaches_no_workspace_but_its_users(run, root, name):
    for inputs_of in NODES[name]:
        for way in WAYS:
            path = way.format(root=root / "alice" / "diary.txt")
            other = nobodys(path)

            told = await run(name, inputs_of(path), path)

            assert told == await run(name, inputs_of(other), other), path
            assert HERS not in told
            assert Workspace("alice").read("diary.txt") == HERS.encode()
            assert Workspace("alice").list(".", "*", recursive=True) == ["diary.txt"]
            assert sorted(found.name for found in root.iterdir()) == ["alice", "bob"]
