"""The Celery application: the doorbell of the scale-out mode.

Imported there only. No Django fix-up: it would close database connections around
every task, and tasks here touch none; the engine's threads keep theirs.
"""

import os
import sys
from typing import Any

import django
from celery import Celery
from celery.signals import worker_init
from django.db import Error as DatabaseProblem

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nodetool_site.settings")
django.setup(set_prefix=False)

from nodetool_site.checks import process_problems  # noqa: E402 - needs the settings
from nodetool_site.database import check_migrated  # noqa: E402
from nodetool_site.lib.db import describe_problem  # noqa: E402
from nodetool_site.lib.errors import ApplicationError  # noqa: E402
from storage.start_up import prepare_process  # noqa: E402

app = Celery("nodetool_site", fixups=[])
app.set_default()  # for every thread, not only the one that loads this
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["jobs"])


@worker_init.connect
def prepare_worker(**_: Any) -> None:
    """End a worker that must not start, by whatever command it was started.

    Celery logs an exception of a signal and goes on; an exit it lets pass.
    """
    for _id, problem, cure in process_problems():
        sys.exit(f"❌ {problem}; {cure}")
    try:
        check_migrated()
        prepare_process()
    except ApplicationError as error:
        sys.exit(f"❌ {error.message}")
    except DatabaseProblem as error:
        sys.exit(f"❌ {describe_problem(error)}")
