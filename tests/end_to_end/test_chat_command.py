"""``nodetool chat`` beside a running server: one database, one conversation."""

import json

THREADS = "/api/threads/"


async def test_what_is_said_on_a_command_line_is_kept_for_all(server, api):
    script = json.dumps([{"text": "first"}, {"text": "second"}])
    chat = ("chat", "--model", "fake/scripted")

    first = server.cli(*chat, "--message", script)
    listed = (await api.get(f"{THREADS}?limit=1000")).json["threads"]
    (thread,) = [found for found in listed if found["title"] == script[:60]]
    second = server.cli(*chat, "--thread", thread["id"], "--message", "go on")

    assert (first.code, first.out, first.err) == (0, "first\n", "")
    assert (second.code, second.out, second.err) == (0, "second\n", "")
    path = f"/api/messages/?thread_id={thread['id']}"
    messages = (await api.get(path)).json["messages"]
    assert [(message["role"], message["content"]) for message in messages] == [
        *(("user", script), ("assistant", "first")),
        *(("user", "go on"), ("assistant", "second")),
    ]
