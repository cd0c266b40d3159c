"""Z-02: whatever can be asked for has a row, and each row is about something."""

import pytest

from nodetool_site.lib import scopes, surfaces
from tests.authorisation import inventory
from tests.authorisation.inventory import METHODS, Route
from tests.authorisation.model import filled
from tests.authorisation.rows import ACTION_ROWS, ADMIN_ROWS, ALL, SOCKET_ROWS

pytestmark = pytest.mark.django_db(transaction=True)

ROUTES = inventory.routes()
ROWS = {(row.method, row.route) for row in [*ALL, *ADMIN_ROWS]}
PAGES = ("GET", "POST")
"""What an admin page is sent; Django's views take every other method for GET."""


def lacking(route: Route) -> list[str]:
    """The methods that need a row and have none, as far as a route tells."""
    if not route.is_admin and not route.methods:
        has_any = any(text == route.text for _, text in ROWS)
        return [] if has_any else ["GET"]
    wanted = PAGES if route.is_admin else route.methods
    return [method for method in wanted if (method, route.text) not in ROWS]


def test_z02_every_route_has_a_row_for_each_of_its_methods():
    missing = [
        f"{method} {route.text}" for route in ROUTES for method in lacking(route)
    ]

    assert not missing, "add rows in tests/authorisation/rows/"


def test_z02_every_row_tells_of_a_route_that_there_is():
    known = {route.text for route in ROUTES}

    assert not [f"{method} {text}" for method, text in ROWS if text not in known]


def test_z02_every_command_has_a_row_and_every_row_a_command():
    rows = {
        f"{path} {row.command}" for path, rows in SOCKET_ROWS.items() for row in rows
    }

    assert rows == inventory.commands(), "see tests/authorisation/rows/sockets.py"


def test_z02_every_command_has_the_scope_that_opens_it():
    commands = {text.partition(" ")[2] for text in inventory.commands()}

    assert set(scopes.COMMANDS) == commands


def test_z02_every_admin_action_has_a_row_and_every_row_an_action():
    rows = {str(row) for row in ACTION_ROWS}

    assert rows == inventory.actions(), "see tests/authorisation/rows/admin.py"


async def test_z02_a_method_without_a_row_is_not_served(world):
    """What a view does not say of itself, as a function, its answers say."""
    api = [route for route in ROUTES if not route.is_admin and route.text != ".*"]
    served = []
    for route in api:
        params = dict.fromkeys(_names(route.text), "0" * 32)
        for method in METHODS:
            if (method, route.text) not in ROWS:
                path = "/" + filled(route.text, params)
                by_token = surfaces.knows_callers(path)
                caller = (world.people if by_token else world.visitors)["alice"]
                answer = await caller.request(method, path, {})
                if answer.status != 405:
                    served.append(f"{method} {route.text}: {answer.status}")

    assert not served, "add rows, or refuse the method with 405"


def _names(text: str) -> list[str]:
    return [part.partition(">")[0] for part in text.split("<")[1:]]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^api/jobs/(?P<job_id>[^/]+)/end\-input/?$", "api/jobs/<job_id>/end-input"),
        (r"^storage/(?P<path>.*)$", "storage/<path>"),
        (r"^api/storage/(?P<path>(?s:.*))$", "api/storage/<path>"),
        ("admin/r/<path:a>/<path:object_id>/", "admin/r/<a>/<object_id>/"),
        (r"admin/^(?P<app_label>auth|jobs)/$", "admin/<app_label>/"),
        ("^.*$", ".*"),
    ],
)
def test_patterns_are_written_as_in_a_url_table(pattern, text):
    assert inventory.written(pattern) == text
