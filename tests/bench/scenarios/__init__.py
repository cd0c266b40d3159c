"""What is measured, by name. Each takes a target with a fresh server behind it.

A wrong or missing answer is an error in the figures: losing work does not help.
Units: ``_ms`` milliseconds, ``_s`` seconds, ``_rps`` requests a second, ``_mb`` MiB.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from tests.bench.measure import Figures
from tests.bench.scenarios import chat, hangups, library, probing, resources, rest
from tests.bench.scenarios import sockets as ws
from tests.bench.target import Target

Scenario = Callable[[Target], Awaitable[Figures]]

SCENARIOS: Mapping[str, Scenario] = {
    "S0": rest.floor,
    "S1": partial(rest.blocking_runs, concurrency=1),
    "S1c8": partial(rest.blocking_runs, concurrency=8),
    "S1c32": partial(rest.blocking_runs, concurrency=32),
    "S1sse": rest.streamed_runs,
    "S2": ws.long_graphs,
    "S3": ws.streamed_items,
    "S4": ws.latency,
    "S4c8": ws.throughput,
    "S5": chat.completions,
    "S5c200": chat.many_streams,
    "S6": resources.footprint,
    "S7": library.thousand_workflows,
    "S8": probing.health_during_stream,
    "S9": hangups.clients_that_hang_up,
}
# Where a new server would hide what the scenario is about, it starts its own.
STARTS_ITSELF = ("S6",)
