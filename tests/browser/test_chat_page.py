"""The chat of a desktop server: from the first message to the last word."""

import asyncio

import pytest

from tests.browser.chat_page import ChatPage, script
from tests.browser.conftest import TOKEN
from tests.browser.cut import open_road
from tests.end_to_end import graphs

pytestmark = [pytest.mark.browser, pytest.mark.embedded]

WORDS = " ".join(f"word{number}" for number in range(60))
SLOW = script(WORDS, delay_s=0.05)
# It lasts while a page is loaded or a connection comes back, on a machine that is busy.
SLOWER = script(WORDS, delay_s=0.1)
# And this one until it is stopped.
ENDLESS = script(WORDS, delay_s=0.3)
FIRST = [["user", "first"], ["answer", "first"]]
DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
MARKUP = "<img src=x onerror=alert(1)> & <b>bold</b>"


@pytest.fixture
def chat(server, window) -> ChatPage:
    """The chat of ``server``; not opened yet."""
    return ChatPage(window, server.base_url)


async def stored(api, thread_id: str) -> list[tuple[str, str]]:
    """Who said what in a conversation, as the API has it."""
    page = (await api.get(f"/api/messages/?thread_id={thread_id}")).json
    return [(message["role"], message["content"]) for message in page["messages"]]


async def wait_for_messages(api, thread_id: str, count: int) -> None:
    async with asyncio.timeout(60):
        while len(await stored(api, thread_id)) < count:  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.05)


async def test_answer_grows_and_is_stored(chat, api):
    await chat.open()
    thread_id = await chat.say(SLOW)
    await chat.wait_for_answer("word3")
    partial = await chat.answer()
    assert await chat.text("#chat-stop") == "Stop"
    await chat.wait_for_end()

    assert 0 < len(partial) < len(WORDS)
    assert await chat.log() == [["user", SLOW], ["answer", WORDS]]
    assert await stored(api, thread_id) == [("user", SLOW), ("assistant", WORDS)]
    assert WORDS[:100] in await chat.text("#chat-said")
    thread = (await api.get(f"/api/threads/{thread_id}")).json
    assert await chat.text("#chat-title") == thread["title"]
    assert await chat.text("#chat-threads [aria-current]") == thread["title"]


async def test_enter_sends_and_focus_stays_where_one_writes(chat):
    await chat.open()
    await chat.choose("fake/echo")
    await chat.window.fill("#chat-text", "first line")
    await chat.window.press("Enter", shift=True)
    await chat.window.type("second line")
    await chat.window.press("Enter")
    await chat.wait_for_end()

    text = "first line\nsecond line"
    assert await chat.log() == [["user", text], ["answer", text]]
    assert await chat.run("document.activeElement.id") == "chat-text"


async def test_stop_keeps_what_was_said(chat, api):
    await chat.open()
    thread_id = await chat.say(ENDLESS)
    await chat.wait_for_answer("word3")

    await chat.click("#chat-stop")
    await chat.wait_for_end()

    said = await chat.answer()
    assert WORDS.startswith(said)
    assert 0 < len(said) < len(WORDS)
    assert (await stored(api, thread_id))[-1] == ("assistant", said)


async def test_reload_in_mid_answer_keeps_all_text(chat):
    await chat.open()
    await chat.say(SLOWER)
    await chat.wait_for_answer("word3")

    await chat.window.reload()

    await chat.wait_for_answer("word3")
    assert await chat.text("#chat-stop") == "Stop"
    (_, asked), (_, said) = await chat.log()
    assert asked == SLOWER
    assert WORDS.startswith(said)
    await chat.wait_for_end()
    assert await chat.log() == [["user", SLOWER], ["answer", WORDS]]


async def test_answer_is_stopped_after_a_reload(chat, api):
    await chat.open()
    thread_id = await chat.say(ENDLESS)
    await chat.wait_for_answer("word3")
    await chat.window.reload()
    await chat.wait_for_answer("word3")

    await chat.click("#chat-stop")
    await chat.wait_for_end()

    said = await chat.answer()
    assert 0 < len(said) < len(WORDS)
    assert (await stored(api, thread_id))[-1] == ("assistant", said)


async def test_answer_goes_on_while_one_looks_elsewhere(chat):
    await chat.open()
    thread_id = await chat.say(SLOWER)
    await chat.wait_for_answer("word3")

    await chat.click("[data-leads-to=runs]")
    await chat.wait_for_text("Hello", "#lists")
    await chat.click("[data-leads-to=chat]")

    await chat.wait_for_answer("word9")
    assert await chat.thread_id() == thread_id
    await chat.wait_for_end()
    assert await chat.log() == [["user", SLOWER], ["answer", WORDS]]


async def test_cut_in_mid_answer_loses_and_doubles_nothing(server, window):
    async with open_road(server.port) as road:
        chat = ChatPage(window, f"http://127.0.0.1:{road.port}")
        await chat.open()
        await chat.say(SLOWER)
        await chat.wait_for_answer("word3")

        road.cut()
        await chat.wait_for_text("Connection lost", "#connection")
        road.mend()

        await chat.wait_for_answer("word20")
        assert WORDS.startswith(await chat.answer())
        await chat.wait_for_end()
        assert await chat.log() == [["user", SLOWER], ["answer", WORDS]]
    window.complaints[:] = [c for c in window.complaints if "WebSocket" not in c]


async def test_message_whose_receipt_is_lost_is_not_said_twice(server, window, api):
    async with open_road(server.port) as road:
        chat = ChatPage(window, f"http://127.0.0.1:{road.port}")
        await chat.open()
        await chat.say("first", to="fake/echo")
        await chat.wait_for_end()

        road.loses = "answers"
        thread_id = await chat.say("second", to="fake/echo")
        await wait_for_messages(api, thread_id, 4)
        road.cut()
        road.mend()

        await chat.wait_for_end()
        assert await chat.log() == [*FIRST, ["user", "second"], ["answer", "second"]]
        assert len(await stored(api, thread_id)) == 4
    window.complaints[:] = [c for c in window.complaints if "WebSocket" not in c]


async def test_message_that_is_lost_on_the_way_is_sent_again(server, window, api):
    async with open_road(server.port) as road:
        chat = ChatPage(window, f"http://127.0.0.1:{road.port}")
        await chat.open()
        await chat.say("first", to="fake/echo")
        await chat.wait_for_end()

        road.loses = "questions"
        thread_id = await chat.say("second", to="fake/echo")
        assert await chat.log() == [*FIRST, ["user", "second"], ["answer", ""]]
        road.cut()
        road.mend()

        await chat.wait_for_end()
        assert await chat.log() == [*FIRST, ["user", "second"], ["answer", "second"]]
        assert len(await stored(api, thread_id)) == 4
    window.complaints[:] = [c for c in window.complaints if "WebSocket" not in c]


async def test_message_that_never_arrived_is_sent_again(server, window, api):
    async with open_road(server.port) as road:
        chat = ChatPage(window, f"http://127.0.0.1:{road.port}")
        await chat.open()
        road.is_closed = True
        thread_id = await chat.say("hello", to="fake/echo")
        await chat.wait_for_text("Connection lost", "#connection")
        assert await chat.log() == [["user", "hello"], ["answer", ""]]
        road.mend()

        await chat.wait_for_end()
        assert await chat.log() == [["user", "hello"], ["answer", "hello"]]
        assert len(await stored(api, thread_id)) == 2
    window.complaints[:] = [c for c in window.complaints if "WebSocket" not in c]


async def test_workflow_answers(chat, api):
    example = (await api.get("/api/workflows/examples")).json["workflows"]
    hello = next(workflow for workflow in example if workflow["id"] == "hello")
    body = {**hello, "name": "Greeter"}
    answer = await api.request("PUT", "/api/workflows/greeter", json=body)
    assert answer.status == 200, answer.content
    await chat.open()

    await chat.say("Ada", to="workflow:greeter")
    await chat.wait_for_end()

    assert await chat.log() == [["user", "Ada"], ["answer", "Hello, Ada"]]
    assert await chat.text("#chat-log .author") == "Greeter"


async def test_pictures_and_values_of_a_workflow_are_shown(chat, api):
    picture = {"type": "image", "uri": DOT, "asset_id": None}
    nodes = [
        graphs.text_input("message"),
        graphs.node("n", "nodetool.constant.Integer", value=42),
        graphs.node("p", "nodetool.constant.Image", value=picture),
        graphs.output("number", "out-n"),
        graphs.output("picture", "out-p"),
    ]
    edges = [graphs.edge("n", "out-n"), graphs.edge("p", "out-p")]
    workflow = await api.create_workflow({"nodes": nodes, "edges": edges}, "Painter")
    pictures = "document.querySelectorAll('#chat-log .answer > img').length"
    await chat.open()

    await chat.say("paint", to=f"workflow:{workflow['id']}")
    await chat.wait_for_end()
    assert (await chat.answer(), await chat.run(pictures)) == ("42", 1)
    await chat.window.reload()
    await chat.wait_for_answer("42")
    assert (await chat.answer(), await chat.run(pictures)) == ("42", 1)


async def test_provider_without_a_key_names_its_secret(chat):
    await chat.open()

    options = await chat.run(
        "[...document.querySelectorAll('#chat-model option:disabled')]"
        ".map((option) => `${option.parentElement.label}: ${option.textContent}`)"
    )
    assert [o for o in options if o.endswith("OpenAI needs the secret OPENAI_API_KEY")]
    assert all("nodetool secrets store" in option for option in options)
    assert "nodetool secrets store" in await chat.text("#chat-how")


async def test_choice_is_kept_in_the_tab_alone(chat):
    await chat.open()
    await chat.choose("fake/echo")

    await chat.window.reload()

    await chat.window.wait_for("document.getElementById('chat-model').value")
    chosen = await chat.run("document.getElementById('chat-model').value")
    assert chosen == "fake/echo"
    assert await chat.run("localStorage.length + document.cookie.length") == 0


async def test_nothing_that_is_said_becomes_markup(chat):
    await chat.open()
    await chat.say(MARKUP, to="fake/echo")
    await chat.wait_for_end()

    assert await chat.log() == [["user", MARKUP], ["answer", MARKUP]]
    assert MARKUP[:20] in await chat.text("#chat-said")
    inside = "document.querySelectorAll('#chat img, #chat b, nav img, nav b').length"
    assert await chat.run(inside) == 0


async def test_code_stands_apart_as_it_comes_and_after_a_reload(chat):
    answer = (
        "Like this ```code\n```python\ndef f():\n    return '<b>'\n```\nor\n"
        "````\n```\n````\nand\n```\nhalf\n``"
    )
    parts = [
        ["text", "Like this ```code\n"],
        ["code", "def f():\n    return '<b>'\n"],
        ["text", "or\n"],
        ["code", "```\n"],
        ["text", "and\n"],
        ["code", "half\n``"],
    ]
    shown = (
        "[...document.querySelectorAll('#chat-log > li.answer > pre')]"
        ".map((pre) => [pre.className, pre.textContent])"
    )
    await chat.open()
    await chat.say(script(answer, delay_s=0.01))
    await chat.wait_for_end()

    assert await chat.run(shown) == parts
    await chat.window.reload()
    await chat.wait_for_answer("half")
    assert await chat.run(shown) == parts


async def test_failure_is_told_and_the_chat_goes_on(chat):
    await chat.open()
    await chat.say(script("", error={"status": 400, "message": "not in that way"}))
    await chat.wait_for_text("not in that way", "#chat-log .problem")
    await chat.wait_for_end()
    await chat.window.reload()
    await chat.wait_for_text("not in that way", "#chat-log .problem")

    await chat.say("still there?", to="fake/echo")
    await chat.wait_for_end()
    assert await chat.answer() == "still there?"


async def test_thinking_is_folded_and_apart_from_the_answer(chat):
    await chat.open()
    await chat.say(script("Done.", reasoning="First this, then that."))
    await chat.wait_for_end()

    async def assert_thought():
        assert await chat.answer() == "Done."
        thoughts = "document.querySelector('#chat-log details.thinking')"
        assert not await chat.run(f"{thoughts}.open")
        text = await chat.run(f"{thoughts}.querySelector('pre').textContent")
        assert text == "First this, then that."

    await assert_thought()
    await chat.window.reload()
    await chat.wait_for_answer("Done.")
    await assert_thought()


async def test_calls_of_tools_are_one_line_each(chat, api):
    thread_id = (await api.post("/api/threads/", {"title": "Tools"})).json["id"]
    call = {"id": "c1", "name": "look_up", "args": {"word": MARKUP}, "result": None}
    for message in (
        {"role": "user", "content": "What is that?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "a tag", "name": "look_up", "tool_call_id": "c1"},
        {"role": "assistant", "content": "A tag."},
    ):
        await api.post("/api/messages/", {"thread_id": thread_id, **message})
    await chat.open(thread=thread_id)
    await chat.wait_for_answer("A tag.")

    assert await chat.log() == [["user", "What is that?"], ["answer", "A tag."]]
    line = "document.querySelector('#chat-log details.tool')"
    assert not await chat.run(f"{line}.open")
    assert await chat.text("#chat-log details.tool") == "Called look_up"
    told = await chat.run(f"{line}.textContent")
    assert MARKUP in told
    assert told.endswith("a tag")


async def test_refused_message_goes_back_to_where_it_was_written(chat):
    await chat.open(thread="no.such.id")
    await chat.wait_for_text("Thread not found", "#problem")
    await chat.choose("fake/echo")
    await chat.window.fill("#chat-text", "hello")

    await chat.click("#chat-send")

    await chat.window.wait_for("document.getElementById('chat-text').value === 'hello'")
    assert "thread_id" in await chat.text("#problem")
    assert await chat.log() == []
    assert await chat.run("location.search") == "?chat"
    chat.window.complaints.clear()


async def test_conversation_is_renamed_and_deleted(chat, api):
    await chat.open()
    thread_id = await chat.say("hello", to="fake/echo")
    await chat.wait_for_end()

    assert await chat.text("#chat-title") == "hello"
    await chat.click("#chat-rename")
    await chat.window.fill("#chat-new-title", MARKUP)
    await chat.click("#chat-rename-dialog [value=yes]")
    await chat.wait_for_text(MARKUP, "#chat-title")
    await chat.wait_for_text(MARKUP, "#chat-threads [aria-current]")
    thread = (await api.get(f"/api/threads/{thread_id}")).json
    assert thread["title"] == MARKUP

    await chat.click("#chat-delete")
    await chat.click("#chat-delete-dialog [value=yes]")
    await chat.window.wait_for("location.search === '?chat'")
    await chat.window.wait_for(
        "!document.querySelector('#chat-threads [aria-current]')"
    )
    assert (await api.get(f"/api/threads/{thread_id}")).status == 404
    assert await chat.log() == []


async def test_conversation_deleted_elsewhere_ends_the_answer(chat, api):
    await chat.open()
    thread_id = await chat.say(SLOW)
    await chat.wait_for_answer("word3")

    await api.request("DELETE", f"/api/threads/{thread_id}")

    await chat.wait_for_text("Thread not found", "#problem")
    await chat.wait_for_end()
    assert (await chat.answer()).startswith("word0 word1")
    assert thread_id not in await chat.run(
        "document.getElementById('chat-threads').innerHTML"
    )
    await chat.say("anew", to="fake/echo")
    await chat.wait_for_answer("anew")
    complaints = chat.window.complaints
    complaints[:] = [each for each in complaints if "404" not in each]


async def test_earlier_messages_are_shown_on_demand(chat, api):
    thread_id = (await api.post("/api/threads/", {"title": "Long"})).json["id"]
    for number in range(53):
        for role in ("user", "assistant"):
            text = f"{role} {number}"
            message = {"thread_id": thread_id, "role": role, "content": text}
            answer = await api.post("/api/messages/", message)
            assert answer.status == 200, answer.content
    await chat.open(thread=thread_id)
    await chat.wait_for_text("assistant 52")
    assert len(await chat.log()) == 100

    await chat.click("#chat-earlier")
    await chat.wait_for_text("user 0\n")

    texts = [text for _, text in await chat.log()]
    assert texts == [f"{r} {n}" for n in range(53) for r in ("user", "assistant")]
    assert not await chat.run(
        "document.getElementById('chat-earlier').checkVisibility()"
    )


async def test_list_of_conversations_grows_on_demand(chat, api):
    for number in range(31):
        await api.post("/api/threads/", {"title": f"Old {number}"})
    await chat.open()
    await chat.wait_for_text("Old 30", "#chat-threads")
    rows = "document.querySelectorAll('#chat-threads li').length"
    assert await chat.run(rows) == 30

    await chat.click("#chat-more-threads")

    await chat.window.wait_for(f"{rows} > 30")
    await chat.wait_for_text("Old 0", "#chat-threads")


async def test_back_leads_through_conversations_and_views(chat):
    await chat.open()
    first = await chat.say("one", to="fake/echo")
    await chat.wait_for_end()
    await chat.click("#chat-new")
    await chat.window.wait_for("!document.querySelector('#chat-log li')")
    await chat.say("two", to="fake/echo")
    await chat.wait_for_end()
    await chat.click(f"#chat-threads a[href$='{first}']")
    await chat.wait_for_text("one")
    await chat.click("[data-leads-to=runs]")
    await chat.wait_for_text("Hello", "#lists")
    assert not await chat.run("document.getElementById('chat').checkVisibility()")

    await chat.run("history.back()")
    await chat.wait_for_text("one")
    await chat.run("history.back()")
    await chat.wait_for_text("two")
    await chat.click("[data-leads-to=runs]")
    await chat.wait_for_text("Hello", "#lists")
    await chat.click("[data-leads-to=chat]")
    await chat.wait_for_text("two")


async def test_unknown_conversation_is_said_to_be_unknown(chat):
    await chat.open(thread="no-such-thread")

    await chat.wait_for_text("Thread not found", "#problem")
    assert "/api/threads/no-such-thread" in chat.window.complaints.pop()


async def test_token_is_asked_for_before_anything_is_shown(locked_server, window):
    chat = ChatPage(window, locked_server.base_url)
    await window.open(f"{locked_server.base_url}/?chat")
    await window.wait_for("document.getElementById('token').checkVisibility()")
    assert not await chat.run("document.getElementById('chat').checkVisibility()")
    await window.fill("#token", TOKEN)
    await chat.click("#sign-in button")

    await chat.window.wait_for("document.getElementById('chat-model').value")
    await chat.say("hello", to="fake/echo")
    await chat.wait_for_end()

    assert await chat.answer() == "hello"
    assert TOKEN not in await chat.run("location.href")
    assert all("401" in complaint for complaint in window.complaints)
    window.complaints.clear()
