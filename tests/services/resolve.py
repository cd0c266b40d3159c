"""Find each service: where it stands, else start it, else install it, else say so."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.services import local, probes

APT_TIMEOUT_S = 900


@dataclass(frozen=True)
class Service:
    """One service and the ways to reach it, in the order in which they are tried."""

    name: str
    variable: str  # the environment variable that carries its URL to the tests
    standard_urls: tuple[str, ...]
    answers: probes.Probe
    start: Callable[[Path, probes.Probe], local.LocalService | None]
    package: str  # in Debian and Ubuntu
    formula: str  # in Homebrew

    @property
    def cure(self) -> str:
        return (
            f"start it, install it (apt-get install {self.package}, "
            f"brew install {self.formula}) or set {self.variable}"
        )


SERVICES = (
    Service(
        name="PostgreSQL",
        variable="TEST_POSTGRES_URL",
        standard_urls=(
            "postgresql://postgres@127.0.0.1:5432/postgres",
            "postgresql://postgres:postgres@127.0.0.1:5432/postgres",
            "postgresql://127.0.0.1:5432/postgres",
        ),
        answers=probes.postgres_answers,
        start=local.start_postgres,
        package="postgresql",
        formula="postgresql",
    ),
    Service(
        name="Redis",
        variable="TEST_REDIS_URL",
        standard_urls=("redis://127.0.0.1:6379/0",),
        answers=probes.redis_answers,
        start=local.start_redis,
        package="redis-server",
        formula="redis",
    ),
    Service(
        name="RabbitMQ",
        variable="TEST_AMQP_URL",
        standard_urls=("amqp://guest:guest@127.0.0.1:5672//",),
        answers=probes.amqp_answers,
        start=local.start_rabbitmq,
        package="rabbitmq-server",
        formula="rabbitmq",
    ),
)


def find(service: Service, environment: Mapping[str, str]) -> str | None:
    """The URL at which ``service`` answers, the configured one before the usual."""
    configured = environment.get(service.variable)
    urls = (configured,) if configured else service.standard_urls
    return next((url for url in urls if service.answers(url)), None)


@dataclass
class Resolution:
    """Where the services are; ``close`` stops those that were started for it."""

    urls: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    started: list[local.LocalService] = field(default_factory=list)

    def close(self) -> None:
        while self.started:
            self.started.pop().stop()


def resolve(
    folder: Path,
    environment: Mapping[str, str],
    resolution: Resolution,
    *,
    services: Sequence[Service] = SERVICES,
) -> None:
    """Reach every service, keeping what had to be started below ``folder``.

    ``resolution`` is filled as it goes, so that whoever is interrupted can close it.
    """
    lacking = [s for s in services if not _reach(s, folder, environment, resolution)]
    if lacking and may_install():
        install([service.package for service in lacking])
        lacking = [s for s in lacking if not _reach(s, folder, environment, resolution)]
    resolution.missing.update({service.name: service.cure for service in lacking})


def _reach(
    service: Service,
    folder: Path,
    environment: Mapping[str, str],
    resolution: Resolution,
) -> bool:
    url = find(service, environment)
    if url is None:
        try:
            own = service.start(folder / service.package, service.answers)
        except (local.StartFailed, subprocess.SubprocessError) as error:
            print(f"{service.name}: {error}", file=sys.stderr)
            return False
        if own is None:
            return False
        resolution.started.append(own)
        url = own.url
    resolution.urls[service.variable] = url
    return True


def may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Sequence[str]) -> None:
    """Install Debian packages; a failure shows as a service that stays missing."""
    print(f"Installing {', '.join(packages)} ...", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (
        ["update"],
        ["install", "-y", "--no-install-recommends", *packages],
    ):
        result = subprocess.run(
            ["apt-get", "-q", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=APT_TIMEOUT_S,
        )
        if result.returncode != 0:
            print(result.stderr[-2000:], file=sys.stderr)
