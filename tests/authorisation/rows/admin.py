"""Pages of the admin: a superuser sees all, other staff what is theirs.

``model_pages`` gives the rows of a registered model; its arguments say who may do more
than look at it. ``pages`` gives those of a page that is about no object. What is
foreign to a member of the staff is answered as what does not exist: 404.
"""

from collections.abc import Mapping

from django.contrib.auth.models import Group

from nodetool_site.lib.db import db
from storage.models import User
from tests.authorisation.model import ActionRow, AdminRow, Caller, Factory, Params
from tests.authorisation.objects import (
    canary,
    job,
    live_job,
    secret,
    thread,
    token,
    version,
    workflow,
)
from tests.authorisation.rows.storage import file

EVENTS = "admin/jobs/job/<job_id>/events/"
PASSWORD = "admin/storage/user/<id>/password/"
NO_OBJECT = {"content_type_id": "0", "object_id": "0"}


async def account(owner: Caller) -> Params:
    """The user's own row; a job is theirs, which the admin deletes for nobody."""
    await job(owner)
    word = canary(owner.id)
    await db(User.objects.filter(pk=owner.id).update, username=word)
    return {"user_id": owner.id}


async def group(owner: Caller) -> Params:
    """A group of permissions; it belongs to nobody."""
    del owner
    row, _ = await db(Group.objects.get_or_create, name="group")
    return {"group_id": str(row.pk)}


NOBODY, ROOT, OWNER = "nobody", "superusers", "the owner, and superusers"


def model_pages(
    model: str,
    of: Factory,
    pk: str,
    *,
    see: str = OWNER,
    add: str = NOBODY,
    change: str = NOBODY,
    delete: str = NOBODY,
    wrong: object = None,
) -> list[AdminRow]:
    """The rows of the pages that Django gives every model.

    ``see``, ``add``, ``change``, ``delete``: who may. A model that superusers alone see
    belongs to nobody. A form that is sent empty, or ``wrong``, is answered 200, with
    what is wrong with it.
    """

    def columns(may: str, status: int) -> dict[str, int]:
        refused = {"superuser": 403, "owner": 403}
        allowed = {ROOT: {"superuser": status}, OWNER: dict.fromkeys(refused, status)}
        return {**refused, **allowed.get(may, {})}

    def about(
        method: str, page: str, may: str, status: int = 200, form: object = None
    ) -> AdminRow:
        foreign = 404 if see == OWNER else 403
        return AdminRow(
            method,
            f"admin/{model}/<object_id>/{page}",
            of,
            pk,
            form,
            **columns(may, status),
            other=foreign,
            powerless=foreign,
            shows=(method, page) == ("GET", "change/") and see == OWNER,
        )

    def collection(method: str, page: str, may: str) -> AdminRow:
        found = columns(may, 200)
        return AdminRow(
            method,
            f"admin/{model}/{page}",
            of,
            pk,
            **found,
            other=found["owner"],
            shows=(method, page) == ("GET", "") and see == OWNER,
        )

    return [
        collection("GET", "", see),
        collection("POST", "", see),
        collection("GET", "add/", add),
        collection("POST", "add/", add),
        about("GET", "change/", see),
        about("POST", "change/", change, form=wrong),
        about("GET", "history/", see),
        about("POST", "history/", see),
        about("GET", "delete/", delete),
        about("POST", "delete/", delete, 302, form={"post": "yes"}),
        # Leads to the page of changes, whatever the id is.
        *pages(f"{model}/<object_id>/", 302, 302, {"object_id": "x"}),
    ]


STAFF = ("superuser", "owner", "other", "powerless")


def pages(
    route: str,
    get: int = 200,
    post: int = 200,
    more: Mapping[str, str] | None = None,
    **columns: int,
) -> list[AdminRow]:
    """The rows of a page that is nobody's: the same for all staff, but ``columns``."""
    return [
        AdminRow(
            method,
            f"admin/{route}",
            more=more or {},
            **{**dict.fromkeys(STAFF, status), **columns},
        )
        for method, status in (("GET", get), ("POST", post))
    ]


ROWS = [
    AdminRow("GET", "admin", **dict.fromkeys(STAFF, 302)),
    AdminRow("POST", "admin", **dict.fromkeys(STAFF, 302)),
    *pages(""),
    *pages("login/", 302, 200, stranger=200),
    *pages("password_change/"),
    *pages("password_change/done/", 200, 405),
    *pages("autocomplete/", 403, 405),
    *pages("jsi18n/", 200, 405),
    *pages("r/<content_type_id>/<object_id>/", 404, 404, NO_OBJECT),
    *pages("<app_label>/", 200, 200, {"app_label": "jobs"}, powerless=404),
    *pages("<url>", 404, 404, {"url": "nothing"}),
    *model_pages("workflows/workflow", workflow, "workflow_id", delete=OWNER),
    *model_pages("workflows/workflowversion", version, "version_id", delete=OWNER),
    *model_pages("jobs/job", job, "job_id"),
    AdminRow("GET", EVENTS, job, "job_id", shows=True),
    AdminRow("POST", EVENTS, job, "job_id"),
    *model_pages("chat/thread", thread, "thread_id", delete=OWNER),
    *model_pages("chat/message", thread, "message_id", delete=OWNER),
    *model_pages("storage/apitoken", token, "token_id", add=OWNER, delete=OWNER),
    *model_pages(
        "storage/asset",
        file,
        "asset_id",
        change=OWNER,
        delete=OWNER,
        wrong={"name": ""},
    ),
    *model_pages(
        "storage/secret",
        secret,
        "secret_id",
        add=OWNER,
        change=OWNER,
        delete=OWNER,
        wrong={"description": "two\nlines"},
    ),
    *model_pages(
        "storage/user",
        account,
        "user_id",
        add=ROOT,
        change=OWNER,
        delete=ROOT,
        wrong={"email": "no address"},
    ),
    AdminRow("GET", PASSWORD, account, "user_id", owner=403, other=403),
    AdminRow("POST", PASSWORD, account, "user_id", owner=403, other=403),
    *model_pages(
        "auth/group", group, "group_id", see=ROOT, add=ROOT, change=ROOT, delete=ROOT
    ),
    # The last: it ends the sessions of all who are asked to take part.
    *pages("logout/", 405, 200),
]

ACTIONS = [
    ActionRow("workflows/workflow", "delete_selected", workflow, "workflow_id"),
    *(
        ActionRow("workflows/workflowversion", action, version, "version_id")
        for action in ("restore", "delete_selected")
    ),
    ActionRow("jobs/job", "cancel", live_job, "job_id"),
    ActionRow("chat/thread", "delete_selected", thread, "thread_id"),
    ActionRow("chat/message", "delete_selected", thread, "message_id"),
    ActionRow("storage/asset", "delete_selected", file, "asset_id"),
    ActionRow("storage/apitoken", "delete_selected", token, "token_id"),
    ActionRow("storage/secret", "delete_selected", secret, "secret_id"),
    ActionRow("storage/user", "delete_selected", account, "user_id", of_owner=False),
    ActionRow("auth/group", "delete_selected", group, "group_id", of_nobody=True),
]
