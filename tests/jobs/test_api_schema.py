"""The schema describes every route of runs and jobs."""

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from jobs.api import urls
from jobs.api.schema import JOB, VIEWS, WIRE_STATUSES
from nodetool_site.auth_schema import BearerScheme
from tests.jobs.test_api_jobs import FIELDS


@pytest.fixture(scope="module")
def schema():
    generator = SchemaGenerator(patterns=urls.urlpatterns)
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        found = generator.get_schema(public=True)
    assert not GENERATOR_STATS, "drf-spectacular has complaints"
    return found


def test_every_route_and_method_is_described(schema):
    operations = {
        (method, path)
        for path, methods in schema["paths"].items()
        for method in methods
    }

    assert len(schema["paths"]) == len(urls.urlpatterns)
    assert ("post", "/api/workflows/{workflow_id}/run/") in operations
    assert ("delete", "/api/jobs/{job_id}/") in operations
    for method, path in operations:
        assert {BearerScheme.name: []} in schema["paths"][path][method]["security"]
        answers = schema["paths"][path][method]["responses"]
        assert "200" in answers
        assert "401" in answers


def test_every_view_is_described():
    served = {
        f"{pattern.callback.view_class.__module__}.{pattern.callback.view_class.__name__}"
        for pattern in urls.urlpatterns
    }

    assert served == {f"jobs.api.{name}" for name in VIEWS}


def test_streams_are_described_beside_json(schema):
    run = schema["paths"]["/api/workflows/{workflow_id}/run/"]["post"]

    assert set(run["responses"]["200"]["content"]) == {
        "application/json", "text/event-stream",
    }  # fmt: skip
    assert {"Last-Event-ID", "stream", "done"} <= {p["name"] for p in run["parameters"]}


def test_job_object_is_described_field_by_field():
    assert set(JOB["required"]) == set(FIELDS)
    assert "queued" not in WIRE_STATUSES
