"""The page around the run: who may use it, what it may load, who can use it."""

import pytest

from tests.browser.chat_page import ChatPage, script
from tests.browser.conftest import TOKEN
from tests.browser.run_page import RunPage

pytestmark = [pytest.mark.browser, pytest.mark.embedded]

CONTROLS = frozenset(
    {"button", "textbox", "searchbox", "spinbutton", "combobox", "checkbox", "link"}
)


async def test_token_is_asked_for_and_kept_in_the_tab_alone(locked_server, window):
    page = RunPage(window, locked_server.base_url)
    await page.open()
    await window.fill("#token", "wrong")
    await page.click("#sign-in button")
    await page.wait_for_text("#problem", "refused")
    await window.fill("#token", TOKEN)
    await page.click("#sign-in button")
    await page.wait_for_text("#lists", "Hello")

    await page.click("#inputs button")
    await page.wait_for_status("completed")

    assert await page.run("Object.values(sessionStorage)") == [TOKEN]
    assert await page.run("localStorage.length + document.cookie.length") == 0
    assert TOKEN not in await page.run("location.href")
    assert TOKEN not in locked_server.log()
    refusals = [c for c in window.complaints if "401" in c]
    assert len(refusals) == len(window.complaints) >= 2
    window.complaints.clear()


async def test_policy_refuses_what_is_not_the_servers_own(page):
    await page.open()
    await page.wait_for_text("#lists", "Hello")

    await page.run(
        "{ const script = document.createElement('script');"
        " script.textContent = 'window.isHacked = true';"
        " document.body.append(script); }"
    )

    await page.window.wait_for("violations.length")
    assert not await page.run("window.isHacked")
    assert (await page.window.violations())[0].startswith("script-src")
    assert page.window.complaints
    await page.run("violations.length = 0")
    page.window.complaints.clear()


@pytest.mark.parametrize("width", [360, 1200])
async def test_nothing_is_wider_than_the_screen(page, width):
    await page.window.look(width=width, height=740)
    await page.start("hello", name="x" * 400)
    await page.wait_for_status("completed")
    await page.events()

    assert await page.run("document.documentElement.scrollWidth") == width


async def test_every_control_has_a_name(page):
    await page.start("slow-job", steps="100")
    await page.wait_for_status("running")

    tree = await page.window.accessibility_tree()

    controls = [node for node in tree if node["role"] in CONTROLS]
    assert {"button", "searchbox", "spinbutton", "link"} <= {
        c["role"] for c in controls
    }
    assert [c for c in controls if not c["name"]] == []
    bars = [node["name"] for node in tree if node["role"] == "progressbar"]
    assert bars == ["Progress of the run"]
    await page.click("#cancel")
    await page.wait_for_status("cancelled")


@pytest.mark.parametrize("width", [360, 1200])
async def test_no_message_is_wider_than_the_screen(server, window, width):
    chat = ChatPage(window, server.base_url)
    await window.look(width=width, height=740)
    await chat.open()
    await chat.say("x" * 400, to="fake/echo")
    await chat.wait_for_end()
    await chat.click("#chat-rename")
    await window.fill("#chat-new-title", "y" * 200)
    await chat.click("#chat-rename-dialog [value=yes]")
    await chat.wait_for_text("yyy", "#chat-threads")

    assert await chat.run("document.documentElement.scrollWidth") == width


async def test_every_control_and_landmark_of_the_chat_has_a_name(server, window):
    chat = ChatPage(window, server.base_url)
    await chat.open()
    await chat.say(script("Hello. " * 20, delay_s=0.1))
    await chat.wait_for_answer("Hello")

    tree = await window.accessibility_tree()

    controls = [node for node in tree if node["role"] in CONTROLS]
    named = {node["name"] for node in controls}
    assert {"Runs", "Chat", "Message", "Model or workflow", "Stop"} <= named
    assert [c for c in controls if not c["name"]] == []
    marks = sorted(n["name"] for n in tree if n["role"] == "navigation")
    assert marks == ["Conversations", "Views"]
    assert "Messages" in {n["name"] for n in tree if n["role"] == "list"}
    await chat.click("#chat-stop")
    await chat.wait_for_end()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_chat_is_readable_in_both_themes(server, window, scheme):
    chat = ChatPage(window, server.base_url)
    await window.look(width=1200, height=900, scheme=scheme)
    await chat.open()
    for selector in ("#chat-how", "#chat-empty code", "#chat-new"):
        assert await window.contrast(selector) >= 4.5, selector
    await chat.say(script("So.", reasoning="Hm.", error={"status": 400, "after": 3}))
    await chat.wait_for_end()
    await window.run("document.querySelector('.thinking').open = true")

    for selector in (
        *(".message.user pre", ".message .author", ".message > pre"),
        *(".thinking summary", ".thinking pre", ".message .problem"),
        *("#chat-send", "#chat-delete", "#chat-model", ".views a[aria-current]"),
    ):
        assert await window.contrast(selector) >= 4.5, selector


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_is_readable_in_both_themes(page, scheme):
    await page.window.look(width=1200, height=900, scheme=scheme)
    await page.start("failing-node")
    await page.wait_for_status("failed")

    for selector in ("body", ".muted", "#error", "#status", "button.primary"):
        assert await page.window.contrast(selector) >= 4.5, selector


async def test_list_is_narrowed_by_what_is_typed(page):
    await page.open()
    await page.wait_for_text("#lists", "Hello")

    await page.window.fill("#filter", "STREAM")

    await page.wait_for_text("#lists", "Streaming text")
    assert "Hello" not in await page.text("#lists")
