"""The real server with a tiny application, and the product's own server."""

import os
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.end_to_end.processes import ProductProcess, wait_until
from tests.end_to_end.server import ROOT
from tests.services.ports import free_port

LISTENING = "NodeTool server listening on"
APPLICATION = "tests.nodetool_site.tiny_app"


class Signalled(ProductProcess):
    """A process to which signals are sent."""

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> int:
        assert self._process is not None
        return self._process.wait(timeout_s)


class TinyServer(Signalled):
    """The server of this project under ``tests.nodetool_site.tiny_app``."""

    def __init__(self, folder, *options: str) -> None:
        self.port = free_port()
        argv = [
            sys.executable,
            "-m",
            "tests.nodetool_site.tiny_app",
            "--port",
            str(self.port),
        ]
        super().__init__(
            "tiny server",
            [*argv, *options],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            cwd=ROOT,
            log_path=folder / "tiny.log",
        )

    def start(self) -> None:
        self.spawn()
        wait_until(self._is_ready, what="tiny server")

    def _is_ready(self) -> bool:
        self.require_running()
        return f"listening on {self.port}" in self.log()

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """One server for all tests of a module that do not end it."""
    server = TinyServer(tmp_path_factory.mktemp("tiny"))
    server.start()
    yield server
    server.kill9()


@pytest.fixture
def new_tiny(tmp_path):
    """Start servers with options of a test's own."""
    started = []

    def new(*options: str) -> TinyServer:
        server = TinyServer(tmp_path, *options)
        started.append(server)
        server.start()
        return server

    yield new
    for server in started:
        server.kill9()


class Nodetool:
    """The command line, with a data folder of its own."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.data = folder / "data"
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
        self.env = {
            **kept,
            "DB_PATH": str(self.data / "nodetool.sqlite3"),
            "ASSET_FOLDER": str(self.data / "assets"),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error::RuntimeWarning",
        }
        self.servers: list[Running] = []

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run("-m", "nodetool_site.cli", *words, **env)

    def manage(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run(str(ROOT / "manage.py"), *words, **env)

    def python(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run(*words, **env)

    def shell(self, line: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run("-c", line, program="bash", **env)

    def _run(
        self, *words: str, program: str = sys.executable, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *words],
            env={**self.env, **env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *words: str, ready: str, **env: str) -> "Running":
        """Start a command that stays, and wait until it has printed ``ready``."""
        process = Running(self, words, ready, env)
        self.servers.append(process)
        process.spawn()
        wait_until(process.is_ready, what=f"nodetool {words[0]}")
        return process

    def serve(self, *words: str, **env: str) -> "Running":
        """Start a server on a free port."""
        port = str(free_port())
        return self.start("serve", *words, ready=LISTENING, **{"PORT": port, **env})


class Running(Signalled):
    """One command that stays."""

    def __init__(self, nodetool: Nodetool, words, ready: str, env) -> None:
        self.port = env.get("PORT")
        self.ready = ready
        super().__init__(
            f"nodetool {words[0]}",
            [sys.executable, "-m", "nodetool_site.cli", *words],
            env={**nodetool.env, **env},
            cwd=nodetool.folder,
            log_path=nodetool.folder / f"running-{len(nodetool.servers)}.log",
        )

    def is_ready(self) -> bool:
        self.require_running()
        return self.ready in self.log()

    def get(self, path: str, token: str = "") -> tuple[int, str]:
        """Return status and body."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, headers=headers), timeout=10
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def nodetool(tmp_path):
    tool = Nodetool(tmp_path)
    yield tool
    for server in tool.servers:
        server.kill9()
