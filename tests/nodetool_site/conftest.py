"""The real server with a tiny application, and the product's own server."""

import os
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.end_to_end.processes import ProductProcess, free_port, wait_until
from tests.end_to_end.server import ROOT

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
        self.servers: list[ProductProcess] = []

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run("-m", "nodetool_site.cli", *words, **env)

    def manage(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run(str(ROOT / "manage.py"), *words, **env)

    def _run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            env={**self.env, **env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def serve(self, *words: str, **env: str) -> "Serving":
        """Start a server on a free port and wait until it listens."""
        server = Serving(self, words, env)
        self.servers.append(server)
        server.spawn()
        wait_until(server.is_ready, what="nodetool serve")
        return server


class Serving(Signalled):
    """One ``nodetool serve``."""

    def __init__(self, nodetool: Nodetool, words, env) -> None:
        self.port = free_port()
        super().__init__(
            "nodetool serve",
            [sys.executable, "-m", "nodetool_site.cli", "serve", *words],
            env={**nodetool.env, "PORT": str(self.port), **env},
            cwd=nodetool.folder,
            log_path=nodetool.folder / f"serve-{len(nodetool.servers)}.log",
        )

    def is_ready(self) -> bool:
        self.require_running()
        return "NodeTool server listening on" in self.log()

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
