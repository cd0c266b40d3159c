"""The chat, as its user sees it."""

import json
from typing import Any
from urllib.parse import urlencode

from tests.browser.chromium import Page

Json = dict[str, Any]

LOG = """[...document.querySelectorAll('#chat-log > li')].map((li) =>
  [li.classList.contains('user') ? 'user' : 'answer',
   [...li.querySelectorAll(':scope > pre')].map((pre) => pre.textContent).join('')])"""
IS_IDLE = "!document.getElementById('chat-send').hidden"


def script(text: str, **step: Any) -> str:
    """A message that has the model ``fake/scripted`` say ``text``."""
    return json.dumps({"text": text, **step})


class ChatPage:
    """What a test does and sees in the chat."""

    def __init__(self, window: Page, base_url: str) -> None:
        self.window = window
        self.base_url = base_url

    async def open(self, **query: str) -> None:
        """Open the chat, with a conversation in its address or none."""
        await self.window.open(f"{self.base_url}/?{urlencode(query or {'chat': ''})}")
        await self.window.wait_for(
            "document.querySelector('#chat-model option:not(:disabled)')"
        )

    async def say(self, text: str, *, to: str = "fake/scripted") -> str:
        """Send a message to a model or a workflow; the id of the conversation."""
        await self.choose(to)
        await self.window.fill("#chat-text", text)
        await self.window.click("#chat-send")
        return await self.thread_id()

    async def choose(self, value: str) -> None:
        """Take an entry of the list of models and workflows, as a user does."""
        taken = await self.window.run(
            f"(() => {{ const list = document.getElementById('chat-model');"
            f" list.value = {json.dumps(value)}; list.onchange();"
            " return list.value; })()"
        )
        assert taken == value, f"{value} is not in the list"

    async def thread_id(self) -> str:
        """The conversation in the address."""
        await self.window.wait_for("new URLSearchParams(location.search).get('thread')")
        address = "new URLSearchParams(location.search).get('thread')"
        return str(await self.window.run(address))

    async def wait_for_text(self, text: str, selector: str = "#chat-log") -> None:
        await self.window.wait_for(
            f"document.querySelector({json.dumps(selector)})"
            f"?.innerText.includes({json.dumps(text)})"
        )

    async def wait_for_answer(self, text: str) -> None:
        """Wait until the last answer says so."""
        await self.wait_for_text(text, "#chat-log > li.answer:last-child")

    async def wait_for_end(self) -> None:
        """Wait until nothing is being answered."""
        await self.window.wait_for(IS_IDLE)

    async def log(self) -> list[list[str]]:
        """Who said what: ``user`` or ``answer``, and the text."""
        found: list[list[str]] = await self.window.run(LOG)
        return found

    async def answer(self) -> str:
        """What the last answer says so far."""
        return (await self.log())[-1][1]

    async def text(self, selector: str) -> str:
        return await self.window.text(selector)

    async def click(self, selector: str) -> None:
        await self.window.click(selector)

    async def run(self, script: str) -> Any:
        return await self.window.run(script)
