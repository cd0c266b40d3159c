"""A process that asks /health over and over, until its standard input ends.

Apart from the client of the measured run: that one is busy with what it receives, and
its own delays are not the server's.

    python -m tests.bench.probe 127.0.0.1 7777
"""

import http.client
import json
import select
import sys
import time

PAUSE_S = 0.02
TIMEOUT_S = 30.0


def main() -> None:
    """Print the latencies, in seconds, as a JSON list."""
    connection = http.client.HTTPConnection(
        sys.argv[1], int(sys.argv[2]), timeout=TIMEOUT_S
    )
    latencies = []
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        began = time.perf_counter()
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
            latencies.append(time.perf_counter() - began)
        except OSError:
            connection.close()
            latencies.append(TIMEOUT_S)
    json.dump(latencies, sys.stdout)


if __name__ == "__main__":
    main()
