"""Fixtures of every test, and the count of tests per mode at the end of a run."""

import logging
import os
import signal
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

# Before anything asks: no test reads or writes the developer's home directory.
if "TEST_RUN_ID" not in os.environ:
    _home = tempfile.TemporaryDirectory(prefix="nodetool-home-")
    os.environ["HOME"] = _home.name

# A shell that starts a run in the background has it ignore SIGINT, and everything that
# the tests start would do the same.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest

from nodetool_site.lib import redaction
from nodetool_site.lib.known_values import KnownValues
from tests.quick_flush import use_quick_flush
from tests.scheduling import MODES, SharedServers
from tests.services import isolation
from tests.services.available import missing_services, service_url

NEEDS = {"scale_out": ("PostgreSQL", "Redis"), "rabbitmq": ("RabbitMQ",)}


@pytest.fixture(
    scope="session",
    params=[pytest.param(mode, marks=[getattr(pytest.mark, mode)]) for mode in MODES],
)
def mode(request) -> str:
    """Both ways to run. A test that asks for it belongs to the surface suite."""
    return request.param


@pytest.fixture
def postgres_database() -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own."""
    with isolation.own_database(service_url("PostgreSQL")) as url:
        yield url


@pytest.fixture
def redis_url() -> Iterator[str]:
    """The URL of an empty numbered Redis database of this test's own."""
    with isolation.own_redis(service_url("Redis")) as url:
        yield url


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that runs in this process points its log at the test's own stderr."""
    before = {logger: list(logger.handlers) for logger in _loggers()}
    yield
    for logger in _loggers():
        logger.handlers[:] = before.get(logger, [])


@pytest.fixture(autouse=True)
def _secrets_of_its_own(monkeypatch) -> None:
    """What one test has stored is not masked in what the next one says."""
    monkeypatch.setattr(redaction, "known", KnownValues())


def _loggers() -> list[logging.Logger]:
    named = logging.root.manager.loggerDict.values()
    return [logging.root, *(lg for lg in named if isinstance(lg, logging.Logger))]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wanted = {name for item in items for name in NEEDS if item.get_closest_marker(name)}
    missing = missing_services() if wanted else {}
    for item in items:
        markers = [name for name in NEEDS if item.get_closest_marker(name)]
        lacking = [s for name in markers for s in NEEDS[name] if s in missing]
        if lacking:
            item.add_marker(pytest.mark.skip(reason=f"no {' and no '.join(lacking)}"))
            item.user_properties.append(("lacking", lacking))
        item.user_properties.extend(("mode", m) for m in _modes(item))


def _modes(item: pytest.Item) -> Iterator[str]:
    surface = getattr(getattr(item, "callspec", None), "params", {}).get("mode")
    for name in MODES:
        if surface == name:
            yield f"surface {name}"
        if item.get_closest_marker(name):
            yield name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Any
) -> SharedServers | None:
    """With ``--dist loadgroup``, which is how `make test` starts a run."""
    is_grouped = config.getvalue("dist") == "loadgroup"
    return SharedServers(config, log) if is_grouped else None


class ModeCount:
    """What ran in which mode, gathered where the reports arrive."""

    def __init__(self) -> None:
        self.ran: dict[str, set[str]] = defaultdict(set)
        self.left_out: dict[str, set[str]] = defaultdict(set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = list(report.user_properties)
        for service in dict(properties).get("lacking", ()):
            self.left_out[service].add(report.nodeid)
        if report.when != "call" or report.skipped:
            return
        modes = [value for name, value in properties if name == "mode"]
        for name in modes or ["no server"]:
            self.ran[name].add(_without_mode(report.nodeid))

    def unequal(self) -> set[str]:
        """The tests of the surface suite that ran in one mode only."""
        return self.ran["surface embedded"] ^ self.ran["surface scale_out"]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.checks(session.config) and self.unequal():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def checks(self, config: pytest.Config) -> bool:
        """Whether this is a run of everything, in both modes."""
        whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
        part = config.option.keyword or config.option.maxfail
        part = part or any(name in config.option.markexpr for name in MODES)
        return whole and not part and not self.left_out

    def pytest_terminal_summary(
        self, terminalreporter: Any, config: pytest.Config
    ) -> None:
        write = terminalreporter.write_line
        surface = [len(self.ran[f"surface {name}"]) for name in MODES]
        write(
            f"tests per mode: embedded {len(self.ran['embedded'])}, "
            f"scale-out {len(self.ran['scale_out'])}, "
            f"without a server {len(self.ran['no server'])}; "
            f"surface suite: embedded {surface[0]}, scale-out {surface[1]}"
        )
        if self.checks(config):
            for name in sorted(self.unequal()):
                write(f"ERROR: ran in one mode only: {name}", red=True)
        for service, cure in missing_services().items() if self.left_out else ():
            if self.left_out[service]:
                count = len(self.left_out[service])
                write(
                    f"left out {count} tests that need {service}: {cure}", yellow=True
                )


def _without_mode(nodeid: str) -> str:
    name = nodeid.partition("@")[0]  # xdist adds the group
    for mode_name in MODES:
        name = name.replace(mode_name, "mode")
    return name


def pytest_configure(config: pytest.Config) -> None:
    use_quick_flush()
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(ModeCount(), "mode-count")
