"""Services of a test run's own: started in a temporary folder on free ports."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.services.ports import free_port

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
# Homebrew and Debian keep the server's programs outside PATH.
POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
RABBITMQ_FOLDERS = (
    "/usr/lib/rabbitmq/bin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
)


class StartFailed(Exception):
    """The program is installed but did not come up; the message ends with its log."""


class LocalService:
    """A service process that this run started and has to stop."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        url: str,
        clean_up: Sequence[str] = (),
    ) -> None:
        self.process = process
        self.url = url
        self.clean_up = clean_up

    def stop(self) -> None:
        """End the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.clean_up:
            subprocess.run(
                self.clean_up, capture_output=True, check=False, timeout=STOP_TIMEOUT_S
            )


def start_postgres(folder: Path, answers: Callable[[str], bool]) -> LocalService | None:
    """Initialise a cluster in ``folder`` and serve it; None when not installed."""
    initdb = _find("initdb", POSTGRES_FOLDERS)
    postgres = _find("postgres", POSTGRES_FOLDERS)
    if not (initdb and postgres):
        return None
    data, port = folder / "data", free_port()
    account = _own_folder(folder, ("postgres", "nobody"))
    subprocess.run(
        [initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"],
        user=account.get("user"),
        group=account.get("group"),
        check=True,
        cwd=folder,
        capture_output=True,
        timeout=START_TIMEOUT_S,
    )
    options = {
        "port": str(port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "200",
        "fsync": "off",
    }
    arguments = [f"-c{name}={value}" for name, value in options.items()]
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    return _start(
        [postgres, "-D", str(data), *arguments], folder, account, url, answers
    )


def start_redis(folder: Path, answers: Callable[[str], bool]) -> LocalService | None:
    """Serve an empty Redis that keeps nothing on disk; None when not installed."""
    program = _find("redis-server", ())
    if not program:
        return None
    port = free_port()
    account = _own_folder(folder, ("redis", "nobody"))
    argv = [program, "--bind", "127.0.0.1", "--port", str(port)]
    argv += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    return _start(argv, folder, account, f"redis://127.0.0.1:{port}/0", answers)


def start_rabbitmq(folder: Path, answers: Callable[[str], bool]) -> LocalService | None:
    """Serve a broker with a node name and base folder of its own."""
    program = _find("rabbitmq-server", RABBITMQ_FOLDERS, first=RABBITMQ_FOLDERS[0])
    if not program:
        return None
    port = free_port()
    account = _own_folder(folder, ("rabbitmq", "nobody"))
    (folder / "plugins").write_text("[].\n")
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"test{secrets.token_hex(4)}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "ERL_EPMD_PORT": str(free_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    broker = _start([program], folder, account, url, answers, environment)
    # Erlang's name server goes into the background, out of reach of the group.
    broker.clean_up = ["epmd", "-port", environment["ERL_EPMD_PORT"], "-kill"]
    return broker


def _start(
    argv: Sequence[str],
    folder: Path,
    account: Mapping[str, int],
    url: str,
    answers: Callable[[str], bool],
    environment: Mapping[str, str] | None = None,
) -> LocalService:
    log_path = folder / "service.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            argv,
            user=account.get("user"),
            group=account.get("group"),
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = LocalService(process, url)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            service.stop()
            tail = log_path.read_text(errors="replace")[-2000:]
            raise StartFailed(f"{argv[0]} did not come up:\n{tail}")
        time.sleep(0.1)
    return service


def _find(program: str, folders: Sequence[str], *, first: str = "") -> str | None:
    """The path of ``program``: in ``first``, on PATH, or in one of ``folders``."""
    if first and (Path(first) / program).exists():
        return str(Path(first) / program)
    on_path = shutil.which(program)
    if on_path:
        return on_path
    candidates = [
        path
        for pattern in folders
        for path in Path("/").glob(f"{pattern[1:]}/{program}")
    ]
    return str(max(candidates)) if candidates else None


def _own_folder(folder: Path, accounts: Sequence[str]) -> dict[str, int]:
    """Prepare ``folder``; as root, hand it to the first account that exists.

    Returns the account as arguments of ``subprocess``: PostgreSQL refuses to run as
    root, and the others have no need to.
    """
    folder.mkdir(parents=True)
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = next(known[name] for name in accounts if name in known)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid}
