"""Application configuration."""

from django.apps import AppConfig

from nodetool_site.lib import lifecycle


class JobsConfig(AppConfig):
    """Running workflows: jobs, their events, and who executes them."""

    name = "jobs"

    def ready(self) -> None:
        """Start and end with the server; give workflows' command its verb ``run``."""
        from storage.management.nouns import add_verb  # it loads models

        add_verb("workflows", "run", "jobs.cli.run_verbs.WorkflowRunVerb")
        lifecycle.on_start(_start)
        lifecycle.on_stop(_stop)


async def _start() -> None:
    # Only a server pays for the engine's import; most commands never need it.
    from jobs import process

    process.listen()
    if process.host() is not None:
        lifecycle.add_readiness_check("engine", process.is_engine_well)


async def _stop() -> None:
    from jobs import process  # as above

    await process.stop("Server shut down")
