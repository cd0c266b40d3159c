"""The real server in either mode: web process, workers, data, and their log."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.brokers import count_consumers
from tests.end_to_end.processes import ProductProcess, wait_until
from tests.services import isolation
from tests.services.available import service_url
from tests.services.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")


@dataclass
class Backend:
    """Where a server keeps its data and how its processes find each other."""

    mode: str
    folder: Path
    database_url: str = ""
    redis_url: str = ""
    broker_url: str = ""

    def variables(self) -> dict[str, str]:
        values = {
            "DB_PATH": str(self.folder / "nodetool.sqlite3"),
            "ASSET_FOLDER": str(self.folder / "assets"),
            "HOME": str(self.folder / "home"),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "CELERY_BROKER_URL": self.broker_url,
        }
        return {name: value for name, value in values.items() if value}


@contextmanager
def new_backend(mode: str, folder: Path, *, broker_url: str = "") -> Iterator[Backend]:
    """Empty data for one server, gone afterwards."""
    (folder / "home").mkdir(parents=True)
    with ExitStack() as stack:
        backend = Backend(mode, folder, broker_url=broker_url)
        if mode == "scale_out":
            database = isolation.own_database(service_url("PostgreSQL"))
            backend.database_url = stack.enter_context(database)
            redis = isolation.own_redis(service_url("Redis"))
            backend.redis_url = stack.enter_context(redis)
        yield backend


@dataclass
class ServerProcess:
    """`nodetool serve` with, in scale-out mode, `nodetool worker` beside it.

    A restart keeps the data and the port. All waits are bounded.
    """

    backend: Backend
    env: dict[str, str] = field(default_factory=dict)
    args: Sequence[str] = ()
    worker_count: int = 1
    # Other ways to start the same server; ``{port}`` is filled in.
    web_argv: Sequence[str] = ()
    worker_argv: Sequence[str] = ()
    # Log lines that are expected here although they look like faults.
    allow_faults: list[str] = field(default_factory=list)
    # Texts that no client may see, but that this server's jobs carry as their values.
    allow_text: list[str] = field(default_factory=list)
    # A user's credential for the checks that follow a test, where one is needed.
    token: str = ""
    checked_jobs: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.port = free_port()
        self.env = _environment(self.backend, self.env)
        serve = nodetool_argv(
            *("serve", "--host", "127.0.0.1", "--port", str(self.port)), *self.args
        )
        web_argv = [part.format(port=self.port) for part in self.web_argv] or serve
        worker_argv = self.worker_argv or nodetool_argv("worker")
        self.web = self._process("web", web_argv)
        count = self.worker_count if self.mode == "scale_out" else 0
        self.workers = [self._process(f"worker{n}", worker_argv) for n in range(count)]

    @property
    def mode(self) -> str:
        return self.backend.mode

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def folder(self) -> Path:
        return self.backend.folder

    @property
    def processes(self) -> list[ProductProcess]:
        return [self.web, *self.workers]

    def start(self) -> "ServerProcess":
        """Return when it serves and, in scale-out mode, a worker takes jobs."""
        self.web.spawn()
        self.wait_for("/health")
        self.start_workers()
        return self

    def start_workers(self) -> None:
        """Start the workers that do not run; return when all take jobs."""
        for worker in self.workers:
            if not worker.is_running:
                worker.spawn()
        wait_until(self._workers_listen, what=f"workers of {self.base_url}")

    def stop(self) -> int:
        """SIGTERM to all; the exit code of the web process."""
        for worker in self.workers:
            worker.terminate()
        return self.web.terminate()

    def kill9(self) -> None:
        """SIGKILL to all, children included."""
        for process in self.processes:
            process.kill9()

    def restart(self) -> "ServerProcess":
        """Start again with the same data and address, stopping what still runs."""
        self.stop()
        return self.start()

    def close(self) -> None:
        for process in self.processes:
            process.kill9()

    def wait_for(self, path: str, timeout_s: float = 60) -> None:
        """Wait until a GET of ``path`` answers 200."""

        def answers() -> bool:
            self.web.require_running()
            try:
                with urllib.request.urlopen(self.base_url + path, timeout=2) as reply:
                    return bool(reply.status == 200)
            except urllib.error.HTTPError as error:
                error.close()
                return False
            except OSError:
                return False

        wait_until(answers, what=f"{path} of {self.base_url}", timeout_s=timeout_s)

    def _workers_listen(self) -> bool:
        """Whether as many consumers as workers wait at the broker."""
        for worker in self.workers:
            worker.require_running()
        if not self.workers:
            return True
        broker = self.backend.broker_url or self.backend.redis_url
        return count_consumers(broker) >= len(self.workers)

    def cli(self, *args: str, stdin: str = "", timeout_s: float = 60) -> "CliResult":
        """Run `nodetool <args>` on the same data."""
        return run_cli(
            *args, env=self.env, cwd=self.folder, stdin=stdin, timeout_s=timeout_s
        )

    def log(self) -> str:
        return "\n".join(process.log() for process in self.processes)

    def rss_bytes(self) -> int:
        """Resident memory of the web process."""
        return self.web.rss_bytes()

    def mark_logs(self) -> None:
        for process in self.processes:
            process.mark_log()

    def assert_clean_log(self) -> None:
        """No traceback and no lost exception since the last mark."""
        faults = [f for p in self.processes for f in p.faults(self.allow_faults)]
        assert not faults, "logged by the server:\n" + "\n\n".join(faults)

    def _process(self, name: str, argv: Sequence[str]) -> ProductProcess:
        return ProductProcess(
            name,
            argv,
            env=self.env,
            cwd=self.folder,
            log_path=self.folder / f"{name}.log",
        )


@dataclass
class CliResult:
    code: int
    out: str
    err: str


def nodetool_argv(*args: str) -> list[str]:
    """The console script's entry point under the tests' own interpreter."""
    return [sys.executable, "-m", "nodetool_site.cli", *args]


def run_cli(
    *args: str,
    env: Mapping[str, str],
    cwd: Path,
    stdin: str = "",
    timeout_s: float = 60,
) -> CliResult:
    result = subprocess.run(
        nodetool_argv(*args),
        env=env,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=timeout_s,
        check=False,
    )
    return CliResult(result.returncode, result.stdout, result.stderr)


def _environment(backend: Backend, extra: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the developer's own environment but what any program needs."""
    kept = {k: v for k, v in os.environ.items() if k in KEPT_VARIABLES}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **backend.variables(),
        **extra,
    }
