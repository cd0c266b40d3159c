"""``/api/settings/`` and ``/api/settings/secrets``."""

import json

import pytest

from nodetool_site.lib.db import db
from nodetool_site.lib.registered import SECRETS, SETTINGS
from storage import stored_settings
from storage.api_tokens import issue_token, verified_tokens
from storage.failed_attempts import failed_attempts
from storage.models import Secret, StoredSetting, User
from storage.vault import reveal_secret, set_secret
from tests.nodetool_site.asgi_client import request, send_json

pytestmark = pytest.mark.django_db(transaction=True)

ALL = "/api/settings/"
ONE = "/api/settings/secrets/OPENAI_API_KEY"
LIST = "/api/settings/secrets"
VALUE = "sk-a-value-that-nobody-may-see"


@pytest.fixture(autouse=True)
def _own_server(settings, tmp_path, transactional_db):
    settings.SECRETS_MASTER_KEY = ""
    settings.DATA_FOLDER = tmp_path
    settings.PROVIDER_KEYS = dict.fromkeys(settings.PROVIDER_KEYS, "")
    settings.SET_BY_ENVIRONMENT = set()
    settings.AUTOSAVE_KEEP_DAYS = 7
    stored_settings._defaults.clear()
    failed_attempts.clear()
    verified_tokens.clear()
    User.objects.create_user("admin", id="1", is_staff=True)
    yield
    stored_settings._defaults.clear()


async def bearer(user, **more) -> dict[str, str]:
    _, text = await db(issue_token, user.pk, name="own")
    return {"authorization": f"Bearer {text}"}


async def read_all(limit: int, **headers) -> list[dict]:
    found, cursor = [], ""
    while True:
        answer = await request(
            "GET", f"{LIST}?limit={limit}&start_key={cursor}", **headers
        )
        found += answer.json["secrets"]
        assert len(answer.json["secrets"]) <= limit
        if answer.json["next_key"] is None:
            return found
        cursor = answer.json["next_key"]


async def test_a_secret_is_stored_and_shown_without_its_value():
    body = {"value": VALUE, "description": "mine"}

    stored = await send_json("PUT", ONE, body)

    assert stored.status == 200
    assert set(stored.json) == {
        "id", "user_id", "key", "description", "created_at", "updated_at",
        "last_used_at", "is_configured",
    }  # fmt: skip
    assert stored.json["user_id"] == "1"
    assert stored.json["is_configured"] is True
    assert await db(reveal_secret, "1", "OPENAI_API_KEY") == VALUE
    for path in (ONE, f"{ONE}/", LIST, ALL):
        answer = await request("GET", path)
        assert answer.status == 200
        assert VALUE.encode() not in answer.body + stored.body


@pytest.mark.parametrize(("value", "is_told"), [("1234567", True), ("12345678", False)])
async def test_who_stores_a_value_too_short_to_be_masked_is_told(value, is_told):
    stored = await send_json("PUT", ONE, {"value": value})

    assert stored.status == 200
    assert ("not masked" in stored.json.get("warning", "")) == is_told
    assert "warning" not in (await request("GET", ONE)).json


async def test_the_list_has_registered_names_and_stored_ones_in_order():
    await db(set_secret, "1", "MY_OWN", VALUE)
    await db(set_secret, "1", "lower", VALUE)
    await db(set_secret, "1", "HF_TOKEN", VALUE)

    keys = [secret["key"] for secret in await read_all(500)]

    assert keys == sorted({"MY_OWN", "lower", *(secret.name for secret in SECRETS)})
    by_key = {secret["key"]: secret for secret in await read_all(500)}
    assert by_key["HF_TOKEN"]["is_configured"] is True
    unset = by_key["GROQ_API_KEY"]
    assert (unset["id"], unset["created_at"], unset["is_configured"]) == (
        None,
        None,
        False,
    )


@pytest.mark.parametrize("limit", [1, 3, 16, 17])
async def test_pages_have_no_gap_and_no_double(limit):
    for number in range(5):
        await db(set_secret, "1", f"K_{number}", VALUE)

    assert await read_all(limit) == await read_all(500)


async def test_an_unreadable_cursor_is_400():
    assert (await request("GET", f"{LIST}?start_key=%FF")).status == 400
    assert (await request("GET", f"{LIST}?limit=x")).status == 422


async def test_a_key_of_the_environment_counts_as_configured(settings):
    settings.PROVIDER_KEYS["OPENAI_API_KEY"] = VALUE

    answer = await request("GET", ONE)

    assert answer.json["is_configured"] is True
    assert (await request("GET", f"{ONE}?decrypt=true")).json["value"] is None


@pytest.mark.parametrize(
    ("key", "status"),
    [("GROQ_API_KEY", 200), ("UNKNOWN", 404), ("a-b", 404), ("K" * 300, 404)],
)
async def test_an_unset_name_is_known_or_not(key, status):
    assert (await request("GET", f"{LIST}/{key}")).status == status


@pytest.mark.parametrize("key", ["UNKNOWN", "SERVER_AUTH_TOKEN", "a b"])
async def test_only_registered_names_are_stored(key):
    answer = await send_json(
        "PUT", f"{LIST}/{key.replace(' ', '%20')}", {"value": VALUE}
    )

    assert answer.status == 404
    assert not await db(Secret.objects.exists)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"value": ""}, 422),
        ({"value": None}, 422),
        ({"value": "****"}, 422),
        ({"value": 12345678901234}, 422),
        ({"value": [VALUE]}, 422),
        ({"value": {"a": VALUE}}, 422),
        ({"value": VALUE, "description": 1}, 422),
        ({"value": VALUE, "description": "a\nb"}, 400),
        ({"value": VALUE * 4_000}, 400),
    ],
)
async def test_what_cannot_be_stored_is_refused_without_an_echo(body, status):
    answer = await send_json("PUT", ONE, body)

    assert answer.status == status
    assert VALUE.encode() not in answer.body
    assert b"12345678901234" not in answer.body
    assert not await db(Secret.objects.exists)


async def test_delete():
    await db(set_secret, "1", "OPENAI_API_KEY", VALUE)
    await db(set_secret, "1", "MY_OWN", VALUE)

    first = await request("DELETE", ONE)

    assert (first.status, first.json) == (
        200,
        {"message": "Secret deleted successfully"},
    )
    assert (await request("DELETE", ONE)).status == 404
    assert (await request("DELETE", f"{LIST}/MY_OWN/")).status == 200
    assert not await db(Secret.objects.exists)


async def test_r3_a_foreign_secret_is_404_like_none(settings, alice, bob):
    settings.AUTH_PROVIDER = "multi_user"
    await db(set_secret, alice.pk, "MY_OWN", VALUE)
    his = await bearer(bob)

    foreign = await request("GET", f"{LIST}/MY_OWN", **his)
    unknown = await request("GET", f"{LIST}/NOBODYS", **his)

    assert (foreign.status, foreign.body) == (unknown.status, unknown.body)
    assert foreign.status == 404
    assert (await request("DELETE", f"{LIST}/MY_OWN", **his)).status == 404
    assert "MY_OWN" not in [secret["key"] for secret in await read_all(500, **his)]
    await send_json("PUT", ONE, {"value": "bobs"}, **his)
    assert await db(reveal_secret, alice.pk, "OPENAI_API_KEY") is None


# --- S-03: revealing


async def test_s03_desktop_reveals_on_demand():
    await db(set_secret, "1", "OPENAI_API_KEY", VALUE)

    answer = await request("GET", f"{ONE}?decrypt=true")

    assert answer.json["value"] == VALUE
    assert answer.headers["cache-control"] == "no-store"
    assert "value" not in (await request("GET", f"{ONE}?decrypt=false")).json
    assert (await request("GET", f"{ONE}?decrypt=maybe")).status == 422
    assert (await db(Secret.objects.get)).last_used_at is None


@pytest.mark.parametrize(
    ("mode", "is_production"),
    [("private", False), ("public", False), ("desktop", True)],
)
async def test_s03_nothing_reveals_elsewhere(settings, mode, is_production):
    settings.SERVER_MODE, settings.IS_PRODUCTION = mode, is_production
    await db(set_secret, "1", "OPENAI_API_KEY", VALUE)

    for path in (f"{ONE}?decrypt=true", f"{LIST}/UNKNOWN?decrypt=1"):
        answer = await request("GET", path)
        assert answer.status == 403
        assert VALUE.encode() not in answer.body
    assert (await request("GET", ONE)).status == 200
    assert (await send_json("PUT", ONE, {"value": "new"})).status == 200
    assert (await request("GET", LIST)).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "http://127.0.0.1:7777", "sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"origin": "http://localhost:3000", "sec_fetch_site": "cross-site"}, 403),
    ],
)
@pytest.mark.parametrize("provider", ["local", "static"])
async def test_s03_pages_of_other_sites_see_no_value(
    settings, headers, status, provider
):
    settings.AUTH_PROVIDER = provider
    settings.SERVER_AUTH_TOKEN = "a-token-of-this-server-0123"
    await db(set_secret, "1", "OPENAI_API_KEY", VALUE)
    token = {"authorization": f"Bearer {settings.SERVER_AUTH_TOKEN}"}

    answer = await request("GET", f"{ONE}?decrypt=true", **headers, **token)

    assert answer.status == status
    assert (VALUE.encode() in answer.body) is (status == 200)


# --- Settings


async def listed(**headers) -> dict[str, dict]:
    answer = await request("GET", ALL, **headers)
    assert answer.status == 200
    return {row["env_var"]: row for row in answer.json["settings"]}


async def test_settings_are_listed_with_group_kind_and_mask(settings):
    await db(set_secret, "1", "OPENAI_API_KEY", VALUE)

    rows = await listed()

    assert set(rows) == {each.name for each in (*SETTINGS, *SECRETS)}
    assert rows["OPENAI_API_KEY"] == {
        "package_name": "nodetool",
        "env_var": "OPENAI_API_KEY",
        "group": "LLM",
        "description": "API key for OpenAI",
        "enum": None,
        "value": "****",
        "is_secret": True,
    }
    assert rows["GROQ_API_KEY"]["value"] is None
    assert rows["AUTOSAVE_KEEP_DAYS"]["value"] == 7
    assert rows["JOB_EXECUTION_STRATEGY"]["enum"] == [
        "threaded",
        "subprocess",
        "docker",
    ]
    for name in ("DB_PATH", "REDIS_URL", "SERVER_AUTH_TOKEN", "PORT", "AUTH_PROVIDER"):
        assert name not in rows


async def test_a_change_counts_at_once_and_null_takes_it_back(settings):
    body = {"settings": {"AUTOSAVE_KEEP_DAYS": 3}, "secrets": {"HF_TOKEN": VALUE}}

    answer = await send_json("PUT", ALL, body)

    assert answer.json == {"message": "Settings updated successfully"}
    assert settings.AUTOSAVE_KEEP_DAYS == 3
    assert (await listed())["AUTOSAVE_KEEP_DAYS"]["value"] == 3
    assert await db(reveal_secret, "1", "HF_TOKEN") == VALUE
    await send_json("PUT", ALL, {"settings": {"AUTOSAVE_KEEP_DAYS": None}})
    assert settings.AUTOSAVE_KEEP_DAYS == 7
    assert not await db(StoredSetting.objects.exists)


async def test_a_mask_is_skipped_and_an_empty_secret_is_deleted():
    await db(set_secret, "1", "HF_TOKEN", VALUE)

    await send_json(
        "PUT", ALL, {"secrets": {"HF_TOKEN": "****", "GROQ_API_KEY": "***"}}
    )

    assert await db(reveal_secret, "1", "HF_TOKEN") == VALUE
    assert await db(Secret.objects.count) == 1
    await send_json("PUT", ALL, {"secrets": {"HF_TOKEN": "", "GROQ_API_KEY": None}})
    assert not await db(Secret.objects.exists)


async def test_the_environment_wins(settings):
    settings.SET_BY_ENVIRONMENT = {"AUTOSAVE_KEEP_DAYS"}

    await send_json("PUT", ALL, {"settings": {"AUTOSAVE_KEEP_DAYS": 3}})

    assert settings.AUTOSAVE_KEEP_DAYS == 7
    assert (await listed())["AUTOSAVE_KEEP_DAYS"]["value"] == 7


async def test_what_is_stored_counts_from_the_next_start_on(settings, tmp_path):
    settings.ASSET_FOLDER = tmp_path / "before"
    after = str(tmp_path / "after")
    await send_json(
        "PUT",
        ALL,
        {
            "settings": {"ASSET_FOLDER": after},
            "secrets": {"S3_SECRET_ACCESS_KEY": VALUE},
        },
    )
    assert tmp_path / "before" == settings.ASSET_FOLDER
    assert (await listed())["ASSET_FOLDER"]["value"] == after

    settings.S3_SECRET_ACCESS_KEY = ""
    await db(stored_settings.apply_stored)

    assert tmp_path / "after" == settings.ASSET_FOLDER
    assert settings.S3_SECRET_ACCESS_KEY == VALUE
    assert (await listed())["S3_SECRET_ACCESS_KEY"]["value"] == "****"
    assert not await db(StoredSetting.objects.filter(value__contains=VALUE).exists)


async def test_a_stored_value_that_does_not_fit_any_more_is_ignored(settings):
    await db(StoredSetting.objects.create, name="AUTOSAVE_KEEP_DAYS", value="soon")
    await db(StoredSetting.objects.create, name="GONE", value="1")

    await db(stored_settings.apply_stored)

    assert settings.AUTOSAVE_KEEP_DAYS == 7
    assert (await listed())["AUTOSAVE_KEEP_DAYS"]["value"] == 7


@pytest.mark.parametrize(
    "body",
    [
        {"settings": {"DB_PATH": "/data/x"}},
        {"settings": {"SERVER_AUTH_TOKEN": VALUE}},
        {"settings": {"S3_SECRET_ACCESS_KEY": VALUE}},
        {"settings": {"AUTOSAVE_KEEP_DAYS": "soon"}},
        {"settings": {"AUTOSAVE_KEEP_DAYS": -1}},
        {"settings": {"AUTOSAVE_KEEP_DAYS": [1]}},
        {"settings": {"AUTOSAVE_ENABLED": "perhaps"}},
        {"settings": {"JOB_EXECUTION_STRATEGY": "rocket"}},
        {"settings": {"ASSET_DOMAIN": "javascript:alert(1)"}},
        {"settings": {"ASSET_FOLDER": "relative"}},
        {"settings": {"ASSET_BUCKET": "a\nb"}},
        {"settings": [1]},
        {"secrets": {"UNKNOWN": VALUE}},
        {"secrets": {"HF_TOKEN": [VALUE]}},
        {"settings": {"AUTOSAVE_KEEP_DAYS": 3}, "secrets": {"UNKNOWN": VALUE}},
    ],
)
async def test_a_wrong_change_changes_nothing(body, settings):
    answer = await send_json("PUT", ALL, body)

    assert answer.status == 422
    assert VALUE.encode() not in answer.body
    assert settings.AUTOSAVE_KEEP_DAYS == 7
    assert not await db(StoredSetting.objects.exists)
    assert not await db(Secret.objects.exists)


@pytest.mark.parametrize(
    ("mode", "is_production"),
    [("private", False), ("public", False), ("desktop", True)],
)
async def test_settings_are_for_desktop_alone(settings, mode, is_production):
    settings.SERVER_MODE, settings.IS_PRODUCTION = mode, is_production

    assert (await request("GET", ALL)).status == 403
    assert (await send_json("PUT", ALL, {})).status == 403


async def test_where_users_are_told_apart_only_staff_changes_settings(settings, alice):
    settings.AUTH_PROVIDER = "multi_user"
    hers = await bearer(alice)
    change = {"settings": {"AUTOSAVE_KEEP_DAYS": 3}}

    assert (await send_json("PUT", ALL, change, **hers)).status == 403
    s3 = {"secrets": {"S3_SECRET_ACCESS_KEY": VALUE}}
    assert (await send_json("PUT", ALL, s3, **hers)).status == 403
    assert (
        await send_json("PUT", ALL, {"secrets": {"HF_TOKEN": VALUE}}, **hers)
    ).status == 200
    assert await db(reveal_secret, "alice", "HF_TOKEN") == VALUE
    boss = await bearer(await db(User.objects.get, pk="1"))
    assert (await send_json("PUT", ALL, change, **boss)).status == 200


def test_settings_show_masks(capsys, settings):
    from nodetool_site import cli

    settings.S3_SECRET_ACCESS_KEY = VALUE
    set_secret("1", "OPENAI_API_KEY", VALUE)

    for arguments in (["settings", "show"], ["settings", "show", "--json"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        out = capsys.readouterr().out
        assert stop.value.code == 0
        assert VALUE not in out
        assert out.count("****") == 2
    assert len(json.loads(out)["settings"]) == len(SETTINGS) + len(SECRETS)
