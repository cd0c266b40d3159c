"""Whether a test can tell how long it stood still."""

import signal
import subprocess
import sys
import time

from tests.end_to_end.server import ROOT
from tests.stalls import Stalls

PROGRAM = """
import time
from tests.stalls import Stalls
with Stalls() as stalls:
    print("running", flush=True)
    input()
print(stalls.seconds)
"""


def test_standing_still_is_counted():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
        told, _ = process.communicate("\n", timeout=30)

    assert float(told) > 0.3


def test_time_that_is_only_waited_is_not_counted():
    least = float("inf")
    for _ in range(10):
        with Stalls() as stalls:
            time.sleep(0.2)
        least = min(least, stalls.seconds)
        if not least:
            break

    assert least == 0
