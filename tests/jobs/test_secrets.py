"""Secrets of a run: whose they are, and that they do not come out of it."""

import json

import pytest

from jobs.masking import JobMask
from jobs.models import EventBatch, Job
from jobs.ports import JobSecrets
from nodetool_site.lib.db import db
from storage.models import Asset, Secret, User
from storage.vault import set_secret
from tests.jobs.graphs import edge, node, output, save
from workflows.engine.events import Chunk, LogUpdate, NodeUpdate, OutputUpdate

pytestmark = pytest.mark.django_db(transaction=True)

VALUE = "canary-Zq8xWv7uTs6r-and-more"


@pytest.fixture(autouse=True)
def _own_key(settings, tmp_path):
    settings.SECRETS_MASTER_KEY = ""
    settings.DATA_FOLDER = tmp_path


def getting(*more, name: str = "KEY", target: str = "out", handle: str = "value"):
    """A graph that gets a secret and hands it to a node."""
    source = node("secret", "lib.secret.GetSecret", name=name, default="none")
    nodes = [n for n in more if "source" not in n]
    edges = [e for e in more if "source" in e]
    return {
        "nodes": [source, output(), *nodes],
        "edges": [edge("secret", target, handle), *edges],
    }


async def run(user, graph):
    workflow_id = await db(save, graph)
    return await user.post(f"/api/workflows/{workflow_id}/run", {"params": {}})


def all_told() -> str:
    """Everything that the database keeps of jobs, as one text."""
    batches = b"".join(
        bytes(body) for body in EventBatch.objects.values_list("body", flat=True)
    )
    rows = json.dumps(list(Job.objects.values("result", "error", "graph", "params")))
    return batches.decode() + rows


async def test_s07_a_secret_is_used_and_masked_in_what_comes_out(me):
    await db(set_secret, "1", "KEY", VALUE)
    graph = getting(
        node("len", "nodetool.text.Length"),
        output("length", "out-len"),
        edge("secret", "len", "text"),
        edge("len", "out-len"),
    )

    answer = await run(me, graph)

    assert answer.json["outputs"] == {"text": "***", "length": len(VALUE)}
    assert VALUE not in await db(all_told)


@pytest.mark.parametrize(
    ("kind", "data", "handle"),
    [
        ("nodetool.text.Concat", {"b": " behind"}, "a"),
        ("nodetool.text.ToUppercase", {}, "text"),
        ("nodetool.text.Split", {"delimiter": "-"}, "text"),
        ("nodetool.text.Replace", {"old": "x", "new": "yy"}, "text"),
        ("nodetool.control.Reroute", {}, "input_value"),
    ],
)
async def test_s07_what_nodes_make_of_it_is_masked(me, kind, data, handle):
    await db(set_secret, "1", "KEY", VALUE)
    graph = getting(
        node("n", kind, **data), edge("n", "out"), target="n", handle=handle
    )

    answer = await run(me, graph)

    assert answer.json["status"] == "completed"
    told = (answer.body.decode() + await db(all_told)).lower()
    assert not any(VALUE.lower()[i : i + 12] in told for i in range(len(VALUE) - 11))


async def test_s07_the_error_of_a_node_is_masked(me):
    await db(set_secret, "1", "KEY", VALUE)

    answer = await run(
        me, getting(node("bad", "demo.Fail"), target="bad", handle="message")
    )

    assert answer.status == 500
    assert "***" in answer.json["detail"]
    assert VALUE not in answer.body.decode() + await db(all_told)


async def test_s07_a_large_text_is_masked_in_its_file(me, settings):
    await db(set_secret, "1", "KEY", VALUE)
    graph = getting(
        node("big", "nodetool.text.Concat", b="x" * 300_000),
        edge("big", "out"),
        target="big",
        handle="a",
    )

    await run(me, graph)

    assert await db(Asset.objects.exists)
    files = [path for path in settings.ASSET_FOLDER.rglob("*") if path.is_file()]
    assert files
    assert not any(VALUE.encode() in path.read_bytes() for path in files)


async def test_a_missing_secret_is_the_default_and_masks_nothing(me):
    answer = await run(me, getting(name="OTHER"))

    assert answer.json["outputs"] == {"text": "none"}


async def test_a_secret_stored_between_two_jobs_is_seen_by_the_second(me):
    first = await run(me, getting())
    await db(set_secret, "1", "KEY", VALUE)
    second = await run(me, getting())

    assert first.json["outputs"] == {"text": "none"}
    assert second.json["outputs"] == {"text": "***"}
    assert (await db(Secret.objects.get)).last_used_at is not None


async def test_s07_outside_desktop_mode_a_handle_travels(me, settings):
    settings.SERVER_MODE = "private"
    await db(set_secret, "1", "KEY", VALUE)

    answer = await run(me, getting())

    assert answer.json["outputs"]["text"].startswith("secret://KEY/")
    assert VALUE not in answer.body.decode() + await db(all_told)


async def test_s06_a_lost_master_key_fails_the_job_that_needs_it(me, settings):
    await db(set_secret, "1", "KEY", VALUE)
    (settings.DATA_FOLDER / "secrets_master_key").unlink()

    answer = await run(me, getting())

    assert answer.status == 500
    assert "master key of the stored secrets is missing" in answer.json["detail"]


# --- The port


def port(owner_id: str = "alice") -> JobSecrets:
    return JobSecrets(owner_id, lambda value: None)


@pytest.fixture
def alice(transactional_db) -> User:
    return User.objects.create(id="alice", username="alice")


async def test_the_owners_secret_wins_over_the_environment(alice, settings):
    settings.PROVIDER_KEYS = {"OPENAI_API_KEY": "of the server", "HF_TOKEN": ""}
    await db(set_secret, "alice", "OPENAI_API_KEY", VALUE)

    assert await port().get("OPENAI_API_KEY") == VALUE
    assert await port("bob").get("OPENAI_API_KEY") == "of the server"
    assert await port().get("HF_TOKEN") is None


@pytest.mark.parametrize(
    "name",
    [
        "SERVER_AUTH_TOKEN", "ADMIN_TOKEN", "SECRETS_MASTER_KEY", "SUPABASE_KEY",
        "SUPABASE_JWT_SECRET",
    ],
)  # fmt: skip
async def test_the_servers_own_keys_are_nobodys_secrets(alice, settings, name):
    settings.PROVIDER_KEYS = {name: VALUE}
    await db(set_secret, "alice", name, VALUE)

    assert await port().get(name) is None
    assert await port().share(name) is None


@pytest.mark.parametrize("name", ["PATH", "HOME", "DJANGO_SECRET_KEY", "DATABASE_URL"])
async def test_nothing_else_of_the_environment_is_a_secret(alice, name, monkeypatch):
    monkeypatch.setenv(name, VALUE)

    assert await port().get(name) is None


@pytest.mark.parametrize(
    ("mode", "provider", "is_text"),
    [
        ("desktop", "local", True),
        ("desktop", "none", True),
        ("desktop", "static", True),
        ("desktop", "multi_user", False),
        ("private", "static", False),
        ("private", "multi_user", False),
        ("public", "static", False),
    ],
)
async def test_s07_only_on_ones_own_server_the_text_travels(
    alice, settings, mode, provider, is_text
):
    settings.SERVER_MODE, settings.AUTH_PROVIDER = mode, provider
    await db(set_secret, "alice", "KEY", VALUE)
    secrets = port()

    shared = await secrets.share("KEY")

    assert (shared == VALUE) is is_text
    assert await secrets.resolve(f"Bearer {shared}!") == f"Bearer {VALUE}!"
    assert await secrets.share("KEY") == shared


async def test_s07_a_handle_that_was_made_up_stands_for_nothing(alice, settings):
    settings.SERVER_MODE = "private"
    await db(set_secret, "alice", "KEY", VALUE)
    other = await port().share("KEY")

    for text in ("secret://KEY", "secret://KEY/", f"secret://KEY/{'0' * 32}", other):
        assert await port().resolve(text) == text


# --- The mask


def mask_of(value: str = VALUE) -> JobMask:
    mask = JobMask()
    mask.learn(value)
    return mask


def test_a_job_without_secrets_is_not_looked_through():
    assert not JobMask().is_needed
    assert not mask_of("short").is_needed
    assert mask_of().is_needed


@pytest.mark.parametrize(
    "value",
    [
        VALUE,
        f"a{VALUE}b",
        [VALUE],
        {"a": {"b": [1, VALUE]}},
        {VALUE: 1},
        VALUE.encode(),
        {"data": VALUE.encode()},
        (VALUE,),
        {VALUE},
        LogUpdate(content=VALUE),
    ],
)
def test_a_secret_is_masked_wherever_it_is_in_a_value(value):
    shown = mask_of().value(value)

    assert VALUE not in str(shown)
    assert "***" in str(shown) or value == VALUE.encode()


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", ["a", 1], {"a": None}])
def test_a_value_without_a_secret_is_the_same_object(value):
    assert mask_of().value(value) is value


def test_every_part_of_an_event_is_masked():
    event = NodeUpdate(
        node_id="n",
        node_name=VALUE,
        node_type="t",
        status="error",
        error=f"said {VALUE}",
        result={"output": VALUE},
        properties={"a": [VALUE]},
    )

    assert mask_of().event(event) == NodeUpdate(
        node_id="n",
        node_name="***",
        node_type="t",
        status="error",
        error="said ***",
        result={"output": "***"},
        properties={"a": ["***"]},
    )
    same = OutputUpdate(
        node_id="n", node_name="n", output_name="o", value=1, output_type="int"
    )
    assert mask_of().event(same) is same


@pytest.mark.parametrize("size", [1, 3, 7, 11, 12, 40])
def test_a_secret_in_pieces_is_masked_before_a_window_is_whole(size):
    mask, text = mask_of(), f"before {VALUE} after"

    told = "".join(
        mask.event(Chunk(node_id="n", content=text[at : at + size])).content
        for at in range(0, len(text), size)
    )

    assert not any(VALUE[i : i + 12] in told for i in range(len(VALUE) - 11))
    assert told.startswith("before ")
    assert told.endswith(" after")


def test_pieces_of_two_streams_do_not_mix():
    mask = mask_of()

    told = [mask.piece(str(n % 2), VALUE[n * 4 : n * 4 + 4]) for n in range(4)]

    assert told == [VALUE[n * 4 : n * 4 + 4] for n in range(4)]
