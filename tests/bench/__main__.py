"""Measure the server in both modes; a full run writes docs/performance.md.

python -m tests.bench                                   everything, three repeats
python -m tests.bench --scenarios S1,S4 --repeats 1     a look at some of it
python -m tests.bench --page bench-results/last.json    the page of a former run

Scale-out needs PostgreSQL and Redis; `make bench` finds or starts them.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench import page
from tests.bench.goals import MODES
from tests.bench.measure import Figures, ScenarioSkipped, calibrate
from tests.bench.results import Results, ScenarioResult
from tests.bench.scenarios import SCENARIOS, STARTS_ITSELF
from tests.bench.target import Options, Target
from tests.end_to_end.server import ROOT, ServerProcess, new_backend

PAGE = ROOT / "docs" / "performance.md"
LAST = ROOT / "bench-results" / "last.json"
FULL_REPEATS = 3


def main(argv: list[str]) -> int:
    arguments = _arguments(argv)
    if arguments.page:
        PAGE.write_text(page.render(Results.load(arguments.page)))
        return 0
    names = [name.strip() for name in arguments.scenarios.split(",")]
    modes = [mode.strip() for mode in arguments.modes.split(",")]
    with fake_model_server() as upstream:
        options = Options(
            stream_items=arguments.stream_items,
            upstream=upstream,
            quick=arguments.quick,
            window_s=1.5 if arguments.quick else 6.0,
        )
        results = Results.begin(
            modes,
            repeats=arguments.repeats,
            quick=arguments.quick,
            stream_items=options.stream_items,
        )
        for name in names:
            for mode in modes:
                measure(results, mode, name, options)
                results.save(arguments.out)
    print(page.goal_table(results))
    is_full = set(names) == set(SCENARIOS) and set(modes) == set(MODES)
    if is_full and arguments.repeats >= FULL_REPEATS and not arguments.quick:
        PAGE.write_text(page.render(results))
        print(f"wrote {PAGE.relative_to(ROOT)}")
    failed = [s for scenarios in results.modes.values() for s in scenarios.values()]
    return int(any(scenario.problems for scenario in failed))


def measure(results: Results, mode: str, name: str, options: Options) -> None:
    """All repeats of one scenario in one mode, each on a server of its own."""
    result = results.modes[mode].setdefault(name, ScenarioResult())
    for number in range(1, results.repeats + 1):
        began = time.monotonic()
        try:
            figures = _repeat(mode, name, options)
        except ScenarioSkipped as reason:
            result.skipped = str(reason)
            print(f"{mode} {name}: skipped: {reason}", flush=True)
            return
        except Exception as error:
            failure = f"repeat {number} failed: {type(error).__name__}: {error}"
            result.failed.append(failure[:500])
            print(f"{mode} {name}: {failure}", flush=True)
            continue
        result.repeats.append(figures)
        took, problems = time.monotonic() - began, figures.get("problems", "")
        print(f"{mode} {name} #{number}: {took:.1f} s {problems}", flush=True)


def _repeat(mode: str, name: str, options: Options) -> Figures:
    scenario = SCENARIOS[name]

    async def run(server: ServerProcess) -> Figures:
        async with Target.connect(server, options) as target:
            return await scenario(target)

    with (
        tempfile.TemporaryDirectory(prefix="nodetool-bench-") as folder,
        new_backend(mode, Path(folder) / "data") as backend,
    ):
        env = {
            "OPENAI_BASE_URL": f"{options.upstream}/v1",
            "OPENAI_API_KEY": "sk-fake",
            # Its models have names like those of the product's own fake.
            "CHAT_PROVIDER": "openai",
            "NODETOOL_ENABLE_FAKE_PROVIDER": "0",
        }
        server = ServerProcess(backend, env=env)
        try:
            if name not in STARTS_ITSELF:
                server.start()
            calibration = calibrate()
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                figures = runner.run(run(server))
        finally:
            server.close()
    rounded = {
        k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()
    }
    return {"calibration_ms": round(calibration, 2), **rounded}


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The faster loop for the client where there is one."""
    with contextlib.suppress(ImportError):
        import uvloop  # optional: not on every platform

        return uvloop.new_event_loop
    return None


@contextlib.contextmanager
def fake_model_server() -> Iterator[str]:
    """The address of the stand-in for a model server, for S5."""
    argv = [sys.executable, "-m", "tests.bench.fake_openai", "--port", "0"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def _arguments(argv: list[str]) -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--repeats", type=int, default=FULL_REPEATS)
    parser.add_argument("--stream-items", type=int, default=Options.stream_items)
    parser.add_argument("--quick", action="store_true", help="worthless, but fast")
    parser.add_argument("--out", type=Path, default=LAST, help="the results, as JSON")
    parser.add_argument("--page", type=Path, help="write the page of these results")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.scenarios.split(",")) - set(SCENARIOS)
    unknown |= set(arguments.modes.split(",")) - set(MODES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
