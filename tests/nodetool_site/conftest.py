"""The real server with a tiny application, and the product's own server."""

import os
import sys

import pytest

from tests.end_to_end.processes import ProductProcess, free_port, wait_until
from tests.end_to_end.server import ROOT

APPLICATION = "tests.nodetool_site.tiny_app"


class TinyServer(ProductProcess):
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

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> int:
        assert self._process is not None
        return self._process.wait(timeout_s)

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
