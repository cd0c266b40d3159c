"""Run a command with the services of the scale-out mode within its reach.

    python -m tests.services pytest -n 2

The command finds their URLs in TEST_POSTGRES_URL, TEST_REDIS_URL and TEST_AMQP_URL,
and what could not be had in TEST_MISSING_SERVICES, which conftest.py turns into
skipped tests; with REQUIRE_SERVICES=1 that is an error instead.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.services import left_over
from tests.services.isolation import drop_abandoned_databases
from tests.services.resolve import Resolution, resolve

# What would turn a test process into a client of the developer's own server.
PRODUCT_VARIABLES = (
    "ASSET_FOLDER",
    "AUTH_PROVIDER",
    "CELERY_BROKER_URL",
    "CHANNEL_LAYER_URL",
    "DATABASE_URL",
    "DB_PATH",
    "ENV",
    "HOST",
    "NODETOOL_ENV",
    "NODETOOL_SERVER_MODE",
    "PORT",
    "POSTGRES_DB",
    "REDIS_URL",
    "SERVER_AUTH_TOKEN",
)


def main(argv: list[str]) -> int:
    if not argv:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="nodetool-test-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # services run by accounts of their own look in
        resolution = Resolution()
        stack.callback(resolution.close)
        resolve(folder, os.environ, resolution)
        if resolution.missing and os.environ.get("REQUIRE_SERVICES") == "1":
            for name, cure in resolution.missing.items():
                print(f"{name} is needed: {cure}", file=sys.stderr)
            return 1
        environment = _environment(os.environ, resolution, folder)
        stack.callback(_end_what_is_left, environment)
        return _run(argv, environment)


def _end_what_is_left(environment: Mapping[str, str]) -> None:
    """End what a command that was killed had no time to end itself."""
    left_over.kill_all(Path(environment[left_over.VARIABLE]))
    postgres = environment.get("TEST_POSTGRES_URL")
    if postgres:
        drop_abandoned_databases(postgres, also=os.getpid())


def _environment(
    environment: Mapping[str, str], resolution: Resolution, folder: Path
) -> dict[str, str]:
    home, processes = folder / "home", folder / "processes"
    home.mkdir()
    processes.mkdir()
    kept = {k: v for k, v in environment.items() if k not in PRODUCT_VARIABLES}
    return {
        **kept,
        **resolution.urls,
        "HOME": str(home),
        left_over.VARIABLE: str(processes),
        "TEST_MISSING_SERVICES": json.dumps(resolution.missing),
        "TEST_RUN_ID": f"{os.getpid()}_{secrets.token_hex(3)}",
    }


def _run(argv: list[str], environment: Mapping[str, str]) -> int:
    """Run the command to its end, whatever asks it to end; then the services go."""
    with subprocess.Popen(argv, env=environment) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while process.poll() is None:
            with suppress(KeyboardInterrupt):  # the terminal sent it to both
                process.wait()
        return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
