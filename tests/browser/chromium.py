"""A real browser, driven over its own debugging protocol."""

import asyncio
import base64
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
START_TIMEOUT_S = 60
TIMEOUT_S = 60
POLL_S = 0.02

# Runs before any script of a page: keeps what the policy has refused.
NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""

CONTRAST = """(selector) => {
  const element = document.querySelector(selector);
  const numbers = (color) => color.match(/[0-9.]+/g).map(Number);
  let behind = element;
  while (numbers(getComputedStyle(behind).backgroundColor)[3] === 0) {
    behind = behind.parentElement;
  }
  const luminance = (color) => {
    const [red, green, blue] = numbers(color).map((part) => {
      const value = part / 255;
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark, light] = [
    luminance(getComputedStyle(element).color),
    luminance(getComputedStyle(behind).backgroundColor),
  ].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}"""


class Browser:
    """The running program and the one connection to it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._pages: dict[str, Page] = {}
        self._reading = asyncio.create_task(self._read())

    async def call(self, method: str, session: str = "", **params: Any) -> Any:
        """Send one command; return its result."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps(message))
        async with asyncio.timeout(TIMEOUT_S):
            return await answer

    async def new_page(self) -> "Page":
        """Open a window with a storage of its own; it goes with this connection."""
        context = await self.call("Target.createBrowserContext", disposeOnDetach=True)
        target = await self.call(
            "Target.createTarget",
            url="about:blank",
            browserContextId=context["browserContextId"],
        )
        attached = await self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        page = Page(self, attached["sessionId"])
        self._pages[attached["sessionId"]] = page
        await page.prepare()
        return page

    async def close(self) -> None:
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        await self._socket.close()

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "id" not in message:
                page = self._pages.get(message.get("sessionId", ""))
                if page is not None:
                    page.note(message["method"], message["params"])
                continue
            answer = self._answers.pop(message["id"])
            if "error" in message:
                answer.set_exception(RuntimeError(message["error"]["message"]))
            else:
                answer.set_result(message["result"])


class Page:
    """One window. ``complaints``: what the browser wrote to its console as wrong."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.complaints: list[str] = []

    async def prepare(self) -> None:
        for domain in ("Page", "Runtime", "Log"):
            await self._call(f"{domain}.enable")
        await self._call(
            "Page.addScriptToEvaluateOnNewDocument", source=NOTE_VIOLATIONS
        )

    async def open(self, url: str) -> None:
        """Load ``url``, also when the page is there already."""
        await self._leave("Page.navigate", url=url)

    async def reload(self) -> None:
        """Load the page again, as F5 does."""
        await self._leave("Page.reload")

    async def _leave(self, method: str, **params: Any) -> None:
        """Wait for the document after this one, not for this one."""
        await self.run("window.isOld = true")
        await self._call(method, **params)
        await self.wait_for("!window.isOld && document.readyState === 'complete'")

    async def run(self, script: str) -> Any:
        """Evaluate an expression; return its value.

        Raises:
            AssertionError: the script throws.
        """
        answer = await self._call(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        thrown = answer.get("exceptionDetails")
        assert not thrown, thrown
        return answer["result"].get("value")

    async def wait_for(self, condition: str, timeout_s: float = TIMEOUT_S) -> None:
        """Ask until the expression is true.

        Raises:
            AssertionError: it did not become so; the text of the page is told.
        """
        deadline = time.monotonic() + timeout_s
        while not await self._holds(condition):
            if time.monotonic() > deadline:
                text = await self.run("document.body.innerText")
                raise AssertionError(f"never true: {condition}\n{text}")
            await asyncio.sleep(POLL_S)

    async def _holds(self, condition: str) -> bool:
        # Between two documents there is nobody to ask.
        with suppress(RuntimeError):
            answer = await self._call(
                "Runtime.evaluate", expression=f"Boolean({condition})"
            )
            return bool(answer["result"].get("value"))
        return False

    async def text(self, selector: str) -> str:
        """The visible text of the first match."""
        script = f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"
        return str(await self.run(script))

    async def click(self, selector: str) -> None:
        """Click at the middle of the first match, once it can be clicked."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.wait_for(f"{found}?.checkVisibility() && !{found}.disabled")
        box = await self.run(
            f"(() => {{ const e = {found}; e.scrollIntoView({{block: 'center'}});"
            " const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self._call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box[0],
                y=box[1],
                button="left",
                clickCount=1,
            )

    async def fill(self, selector: str, text: str) -> None:
        """Type ``text`` in the place of what a field holds."""
        await self.click(selector)
        await self.run(f"document.querySelector({json.dumps(selector)}).select()")
        await self.type(text)

    async def type(self, text: str) -> None:
        """Type where the focus is."""
        await self._call("Input.insertText", text=text)

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key that has a name, such as ``Enter``."""
        text = "\r" if key == "Enter" else ""
        for kind in ("keyDown", "keyUp"):
            await self._call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                text=text if kind == "keyDown" else "",
                modifiers=8 if shift else 0,
            )

    async def look(self, *, width: int, height: int, scheme: str = "light") -> None:
        """Have a size and the system's theme."""
        await self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self._call("Emulation.setEmulatedMedia", features=features)

    async def save_picture(self, path: Path) -> None:
        """Write a PNG of the whole page."""
        picture = await self._call("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(picture["data"]))

    async def accessibility_tree(self) -> list[dict[str, str]]:
        """Role and name of everything that a screen reader meets."""
        tree = await self._call("Accessibility.getFullAXTree")
        return [
            {
                "role": node.get("role", {}).get("value", ""),
                "name": node.get("name", {}).get("value", ""),
            }
            for node in tree["nodes"]
            if not node.get("ignored")
        ]

    async def contrast(self, selector: str) -> float:
        """The contrast ratio of a text with what is behind it, as WCAG has it."""
        ratio = await self.run(f"({CONTRAST})({json.dumps(selector)})")
        return float(ratio)

    async def violations(self) -> list[str]:
        """What the page's security policy has refused."""
        found: list[str] = await self.run("window.violations")
        return found

    def note(self, event: str, params: dict[str, Any]) -> None:
        """Keep what the browser complains about."""
        if event == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.complaints.append(str(params["args"]))
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    async def _call(self, method: str, **params: Any) -> Any:
        return await self._browser.call(method, self._session, **params)


@contextmanager
def running_browser(program: str, folder: Path) -> Iterator[str]:
    """Start the browser with an empty profile; the address to drive it at."""
    profile = folder / "profile"
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield _debugging_address(process, profile / "DevToolsActivePort")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@asynccontextmanager
async def open_window(address: str) -> AsyncIterator[Page]:
    """A window of its own in a running browser: it shares nothing with the others."""
    browser = Browser(await connect(address, max_size=None))
    try:
        yield await browser.new_page()
    finally:
        await browser.close()


def _debugging_address(process: subprocess.Popen[bytes], file: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(POLL_S)
    raise RuntimeError(f"the browser did not start (exit code {process.poll()})")
