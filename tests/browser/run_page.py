"""The page of a run, as its user sees it."""

import json
from typing import Any
from urllib.parse import urlencode

from tests.browser.chromium import Page

EVENTS = "[...document.querySelectorAll('#event-list li')].map(r => +r.dataset.seq)"


class RunPage:
    """What a test does and sees on the page."""

    def __init__(self, window: Page, base_url: str) -> None:
        self.window = window
        self.base_url = base_url

    async def open(self, **query: str) -> None:
        """Open the page, with a job or a workflow in its address."""
        await self.window.open(f"{self.base_url}/?{urlencode(query)}")

    async def start(self, workflow_id: str, **values: str) -> str:
        """Fill the form of a workflow and run it; the id of the job."""
        await self.open(workflow=workflow_id)
        for name, value in values.items():
            await self.window.fill(f"#input-{name}", value)
        await self.window.click("#inputs button")
        return await self.job_id()

    async def job_id(self) -> str:
        """The job in the address."""
        await self.window.wait_for("new URLSearchParams(location.search).has('job')")
        script = "new URLSearchParams(location.search).get('job')"
        return str(await self.window.run(script))

    async def wait_for_status(self, status: str) -> None:
        await self.window.wait_for(
            f"document.getElementById('status').textContent === {json.dumps(status)}"
        )

    async def wait_for_text(self, selector: str, text: str) -> None:
        await self.window.wait_for(
            f"document.querySelector({json.dumps(selector)})"
            f"?.innerText.includes({json.dumps(text)})"
        )

    async def outputs(self) -> dict[str, list[str]]:
        """Each output with the texts of its values."""
        script = """
          Object.fromEntries([...document.querySelectorAll('#outputs > div')].map(
            (output) => [output.firstChild.textContent,
                         [...output.lastChild.children].map((v) => v.textContent)]))
        """
        found: dict[str, list[str]] = await self.window.run(script)
        return found

    async def events(self) -> list[int]:
        """The numbers in the list of events, which is opened for that."""
        await self.window.run("document.getElementById('events').open = true")
        await self.window.wait_for(f"{EVENTS}.length > 0")
        numbers: list[int] = await self.window.run(EVENTS)
        return numbers

    async def text(self, selector: str) -> str:
        return await self.window.text(selector)

    async def click(self, selector: str) -> None:
        await self.window.click(selector)

    async def run(self, script: str) -> Any:
        return await self.window.run(script)
