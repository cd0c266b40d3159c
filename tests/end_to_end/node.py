"""The official client of OpenAI for Node: installed once, and run as a program."""

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.services.resolve import install, may_install

FOLDER = Path(__file__).with_name("node_client")
OLDEST = 18
INSTALL_S, RUN_S = 300, 60
CURE = f"install Node {OLDEST} or newer, with npm (apt-get install nodejs npm)"


def node_with_client() -> str:
    """The path of Node, with the client installed. Test runs take turns.

    Where there is no Node the test is skipped, or fails where all must run.
    """
    with (FOLDER / ".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not _has_node() and may_install():
            install(["nodejs", "npm"])
        if not _has_node():
            _leave_out()
        _install_client()
    return shutil.which("node") or ""


def _has_node() -> bool:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    version = subprocess.check_output([node, "--version"], text=True)
    return int(version.lstrip("v").partition(".")[0]) >= OLDEST


def _leave_out() -> None:
    reason = f"no Node: {CURE}"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _install_client() -> None:
    """Install what the lock names, unless it is there.

    Raises:
        RuntimeError: npm cannot; its words are in the message.
    """
    lock = FOLDER / "package-lock.json"
    installed = FOLDER / "node_modules" / ".installed-lock.json"
    if installed.exists() and installed.read_bytes() == lock.read_bytes():
        return
    argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        argv, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_S, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"npm ci: {done.stderr[-2000:]}")
    installed.write_bytes(lock.read_bytes())


async def travel(node: str, server_url: str, key: str, *names: str) -> dict[str, Any]:
    """What these journeys of ``journeys.mjs`` told, by name: a value or an error."""
    program = str(FOLDER / "journeys.mjs")
    process = await asyncio.create_subprocess_exec(
        *(node, program, f"{server_url}/v1", key, *names),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},  # no key or address of the developer's
    )
    try:
        async with asyncio.timeout(RUN_S):
            told, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, complaints.decode()[-4000:]
    return json.loads(told)
