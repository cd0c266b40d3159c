"""The Celery application: the doorbell of the scale-out mode.

Imported there only. No Django fix-up: it would close database connections around
every task, and tasks here touch none; the engine's threads keep theirs.
"""

import os

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nodetool_site.settings")
django.setup(set_prefix=False)

app = Celery("nodetool_site", fixups=[])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["jobs"])
