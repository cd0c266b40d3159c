"""S-05: ``nodetool secrets rotate`` is killed under load, and nothing is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

from storage.crypto import new_key
from tests.end_to_end.server import ServerProcess, nodetool_argv

# ``ROTATION_KILLS=20`` is the long form.
KILLS = int(os.environ.get("ROTATION_KILLS", "3"))
LOADS = 2
LOAD_S = 2.0


class Data:
    """The data of a server that does not run, and processes on it."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server

    def spawn(self, argv: list[str], keys: list[str]) -> subprocess.Popen[str]:
        variables: Mapping[str, str] = {"SECRETS_MASTER_KEY": ",".join(keys)}
        return subprocess.Popen(
            argv,
            env={**self._server.env, **variables},
            cwd=self._server.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def helper(self, keys: list[str], *words: str) -> subprocess.Popen[str]:
        module = "tests.end_to_end.rotation"
        return self.spawn([sys.executable, "-m", module, *words], keys)

    def nodetool(self, keys: list[str], *words: str) -> subprocess.Popen[str]:
        return self.spawn(nodetool_argv(*words), keys)


def end_of(process: subprocess.Popen[str]) -> str:
    """Wait for a process; what it printed."""
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    return out


def test_s05_rotation_killed_under_load_loses_nothing(new_server):
    data = Data(new_server(start=False))
    keys, rng = [new_key()], random.Random(5)
    assert end_of(data.nodetool(keys, "secrets", "list")).startswith("No secrets")
    end_of(data.helper(keys, "seed"))

    cut_off = 0
    for _ in range(KILLS):
        # The next key first, all others behind it: every process can read everything.
        keys = [new_key(), *keys]
        loads = [data.helper(keys, "load", str(LOAD_S)) for _ in range(LOADS)]
        watch = data.helper(keys, "watch")
        rotate = data.nodetool(keys, "secrets", "rotate")
        assert watch.stdout is not None
        assert watch.stdout.readline() == "begun\n"
        time.sleep(rng.uniform(0, 0.1))
        rotate.send_signal(signal.SIGKILL)
        rotate.communicate()
        for load in loads:
            done = json.loads(end_of(load))
            assert done["faults"] == []
            assert done["reads"] > 10
            assert done["writes"] > 0
        cut_off += int(end_of(data.helper(keys, "left"))) > 0
        end_of(watch)

    assert cut_off, "no rotation was killed before its end"
    done = json.loads(end_of(data.nodetool(keys, "secrets", "rotate", "--json")))
    assert done["damaged"] == []
    assert done["changed"] > 0
    # Now the first key alone opens everything, and the others nothing.
    assert json.loads(end_of(data.helper(keys[:1], "load", "1")))["faults"] == []
    refused = data.nodetool(keys[1:], "serve", "--port", "1")
    _, error = refused.communicate(timeout=90)
    assert refused.returncode == 1
    assert "Stored secrets need the master key" in error.splitlines()[-1]
