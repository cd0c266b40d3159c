"""``nodetool serve``: what it refuses, what it prints, how it ends."""

import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing

import psutil
import pytest

from chat.providers import is_on
from nodetool_site import reload
from nodetool_site.management.commands.serve import Command
from nodetool_site.serve_options import apply_mode
from tests.end_to_end.processes import wait_until
from tests.services.ports import free_port

ANYWHERE = ".".join("0000")
LISTENING = re.compile(
    r"^NodeTool server listening on http://127\.0\.0\.1:(\d+) "
    r"\(mode=desktop, auth=local\)$",
    re.MULTILINE,
)
POSTGRES = "postgres://user:word@127.0.0.1:1/none"
PRODUCTION = {
    "ENV": "production",
    "DJANGO_SECRET_KEY": "a-long-key-of-many-letters-" * 3,
    "SECRETS_MASTER_KEY": "7HAVi3bxQ8Le_prje1_jXKAPrQJiYVpTo_fEvTJqJIY=",
    "NODETOOL_SERVER_MODE": "desktop",
}
OPTION = ("--production",)
WITH_OPTION = {k: v for k, v in PRODUCTION.items() if k != "ENV"}
KEYS = {k: v for k, v in WITH_OPTION.items() if k != "NODETOOL_SERVER_MODE"}


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "80.0", ""])
def test_port_that_is_none_exits_with_2(nodetool, port):
    assert nodetool.run("serve", "--port", port).returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--mode", "nonsense"),
        ("--auth-provider", "nonsense"),
        ("--workers", "0"),
        ("--reload", "--production"),
    ],
)
def test_bad_choice_exits_with_2(nodetool, words):
    assert nodetool.run("serve", *words).returncode == 2


@pytest.mark.parametrize(
    ("words", "env", "named"),
    [
        ((), {"AUTH_PROVIDER": "nonsense"}, "static"),
        (("--workers", "2"), {}, "REDIS_URL"),
        (("--no-worker",), {}, "REDIS_URL"),
        ((), {"REDIS_URL": "redis://127.0.0.1:1"}, "DATABASE_URL"),
        ((), {"CELERY_BROKER_URL": "amqp://127.0.0.1:1"}, "DATABASE_URL"),
        (
            (),
            {"DATABASE_URL": POSTGRES, "CELERY_BROKER_URL": "amqp://127.0.0.1:1"},
            "REDIS_URL",
        ),
        ((), {"PORT": "70000"}, "PORT is 70000"),
        ((), {"NODETOOL_SERVER_MODE": "nonsense"}, "private"),
        (("--static-folder", "/does/not/exist"), {}, "/does/not/exist"),
        ((), {"DATABASE_URL": POSTGRES}, "DATABASE_URL or DB_PATH"),
        ((), {"ASSET_FOLDER": "/dev/null/assets"}, "ASSET_FOLDER"),
        ((), {"DB_PATH": "/dev/null/data.sqlite3"}, "DB_PATH"),
    ],
)
def test_what_cannot_start_exits_with_1_and_one_line(nodetool, words, env, named):
    _assert_refused(nodetool, words, env, named)


def _assert_refused(nodetool, words, env, named):
    done = nodetool.run("serve", *words, **env)

    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("❌ ")
    assert named in line
    assert not (nodetool.data / "nodetool.sqlite3").exists()


PRIVATE = ("--mode", "private")
PUBLIC = ("--mode", "public", "--auth-provider", "supabase")
SUPABASE = {"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_KEY": "k" * 40}
OPEN_TO_ALL = ("--host", ANYWHERE, "--allow-unauthenticated")


@pytest.mark.parametrize(
    ("words", "env", "named"),
    [
        # Open where others come by.
        (("--host", ANYWHERE, "--auth-provider", "none"), {}, "--allow-unauth"),
        (("--host", ANYWHERE), {"AUTH_PROVIDER": "local"}, "--allow-unauth"),
        (("--host", "::", "--auth-provider", "none"), {}, "--allow-unauth"),
        # Private and public ask who is calling.
        ((*PRIVATE, "--auth-provider", "none"), {}, "AUTH_PROVIDER=none"),
        ((*PRIVATE, "--auth-provider", "local"), {}, "AUTH_PROVIDER=local"),
        (PRIVATE, {"AUTH_PROVIDER": " LOCAL "}, "AUTH_PROVIDER=local"),
        ((), {"NODETOOL_SERVER_MODE": "private", "AUTH_PROVIDER": "none"}, "=none"),
        ((*PRIVATE, *OPEN_TO_ALL, "--auth-provider", "none"), {}, "AUTH_PROVIDER=none"),
        (("--mode", "public"), {}, "AUTH_PROVIDER=supabase"),
        (("--mode", "public", "--auth-provider", "static"), {}, "=supabase"),
        (PUBLIC, {}, "SUPABASE_URL and SUPABASE_KEY"),
        (PUBLIC, {**SUPABASE, "SUPABASE_KEY": ""}, "needs SUPABASE_KEY"),
        ((*PRIVATE, "--auth-provider", "supabase"), {}, "SUPABASE_URL"),
        # What strangers could guess, see or point at it.
        (PRIVATE, {"SERVER_AUTH_TOKEN": "fifteen-letters"}, "SERVER_AUTH_TOKEN"),
        (PRIVATE, {"DEBUG": "1"}, "DEBUG"),
        (PRIVATE, {"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        (PRIVATE, {"ALLOWED_HOSTS": "nodetool.example.org,*"}, "ALLOWED_HOSTS"),
        # A key of a template, in every mode.
        ((), {"DJANGO_SECRET_KEY": "change-me"}, "DJANGO_SECRET_KEY"),
        (PRIVATE, {"DJANGO_SECRET_KEY": "django-insecure-" + "k3y" * 20}, "SECRET_KEY"),
        # Production, however it is said.
        ((), {**PRODUCTION, "DEBUG": "1"}, "DEBUG"),
        ((), {**PRODUCTION, "DJANGO_SECRET_KEY": ""}, "DJANGO_SECRET_KEY"),
        ((), {**PRODUCTION, "SECRETS_MASTER_KEY": ""}, "SECRETS_MASTER_KEY"),
        ((), {"SECRETS_MASTER_KEY": "changeme"}, "Fernet.generate_key"),
        ((), {**PRODUCTION, "AUTH_PROVIDER": "none"}, "AUTH_PROVIDER"),
        ((), {**PRODUCTION, "ADMIN_TOKEN": "short"}, "ADMIN_TOKEN"),
        (OPTION, {**WITH_OPTION, "DEBUG": "1"}, "DEBUG"),
        (OPTION, {**WITH_OPTION, "DJANGO_SECRET_KEY": ""}, "DJANGO_SECRET_KEY"),
        (OPTION, {**WITH_OPTION, "SECRETS_MASTER_KEY": ""}, "SECRETS_MASTER_KEY"),
        (OPTION, {**WITH_OPTION, "AUTH_PROVIDER": "local"}, "AUTH_PROVIDER"),
        # With nothing else said production is private.
        (OPTION, {**KEYS, "ALLOWED_HOSTS": "*"}, "private"),
        ((), {**KEYS, "ENV": "production", "ALLOWED_HOSTS": "*"}, "private"),
    ],
)
def test_a09_what_must_not_start_exits_with_1_and_names_the_cure(
    nodetool, words, env, named
):
    _assert_refused(nodetool, words, env, named)


def test_a09_database_of_an_older_version_is_left_alone_outside_desktop(nodetool):
    assert nodetool.run("db", "migrate").returncode == 0
    with closing(sqlite3.connect(nodetool.data / "nodetool.sqlite3")) as database:
        database.execute("DELETE FROM django_migrations WHERE app = 'jobs'")
        database.commit()

    done = nodetool.run("serve", *PRIVATE)

    assert done.returncode == 1
    assert "❌" in done.stderr
    assert "nodetool db migrate" in done.stderr


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"AUTH_PROVIDER": "none"}, "AUTH_PROVIDER=none with private mode"),
        ({"SERVER_AUTH_TOKEN": "fifteen-letters"}, "SERVER_AUTH_TOKEN is shorter"),
    ],
)
def test_a09_other_servers_of_the_same_application_refuse_too(nodetool, env, named):
    done = nodetool.python(
        "-c", "import nodetool_site.asgi", NODETOOL_SERVER_MODE="private", **env
    )

    assert done.returncode == 1
    assert named in done.stderr


UVICORN = ("-m", "uvicorn", "--port", "1", "nodetool_site.asgi:application")


def test_a09_uvicorn_refuses_a_database_that_is_behind(nodetool):
    empty = nodetool.python(*UVICORN)
    away = nodetool.python(*UVICORN, DATABASE_URL=POSTGRES)

    assert empty.returncode == away.returncode == 3
    assert "run `nodetool db migrate`" in empty.stderr
    assert "Database not usable" in away.stderr
    assert "Traceback" not in empty.stderr + away.stderr


CELERY = ("-m", "celery", "-A", "nodetool_site", "worker")
REDIS = "redis://127.0.0.1:1"


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"DATABASE_URL": POSTGRES}, "Database not usable"),
        ({"DATABASE_URL": POSTGRES, "DEBUG": "1"}, "DEBUG is on with private mode"),
    ],
)
def test_a09_celerys_own_worker_refuses_too(nodetool, env, named):
    done = nodetool.python(
        *CELERY, REDIS_URL=REDIS, NODETOOL_SERVER_MODE="private", **env
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("❌ ")
    assert named in done.stderr


def test_taken_port_is_named(nodetool):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])

        done = nodetool.run("serve", "--port", port)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"❌ Port {port} is already in use"


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_address_of_another_machine_is_named(nodetool, host):
    done = nodetool.run("serve", "--host", host)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"❌ Cannot listen on {host}")
    assert "Traceback" not in done.stderr


def test_first_start_makes_everything_and_the_second_says_little(nodetool):
    first = nodetool.serve()
    assert first.get("/health")[0] == 200
    assert first.get("/api/workflows/")[0] == 200
    assert first.terminate() == 0

    second = nodetool.serve()
    second.terminate()

    assert LISTENING.search(first.log())
    assert "password" in first.log()
    starts = second.log().splitlines()
    assert LISTENING.match(starts[0])
    assert "password" not in second.log()


def test_printed_curl_line_works_when_pasted(nodetool):
    server = nodetool.serve()
    (line,) = re.findall(r"^Try: (curl .*)$", server.log(), re.MULTILINE)

    done = subprocess.run(
        ["bash", "-c", f"{line} --silent --fail"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 0
    assert "Hello, World" in done.stdout


def test_option_wins_over_the_environment(nodetool):
    port = free_port()
    server = nodetool.serve("--port", str(port))

    assert f"http://127.0.0.1:{port} " in server.log()


def test_open_address_gets_a_generated_token_printed_once(nodetool):
    first = nodetool.serve("--host", ANYWHERE)
    (token,) = re.findall(r"^Token \(.*\): (\S+)$", first.log(), re.MULTILINE)
    stranger, _ = first.get("/api/workflows/")
    guest, _ = first.get("/api/workflows/", token=token)
    first.terminate()
    second = nodetool.serve("--host", ANYWHERE)
    kept, _ = second.get("/api/workflows/", token=token)

    assert "auth=static" in first.log()
    assert (stranger, guest, kept) == (401, 200, 200)
    assert token not in second.log()
    file = nodetool.data / "server_auth_token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_open_address_without_authentication_when_it_is_said_twice(nodetool):
    server = nodetool.serve(
        "--host", ANYWHERE, "--auth-provider", "none", "--allow-unauthenticated"
    )

    assert server.get("/api/workflows/")[0] == 200


def test_private_mode_starts_with_nothing_said_and_the_token_works(nodetool):
    """As a new user would start it: no question, a token once, the line to paste."""
    first = nodetool.serve(*PRIVATE)
    log = first.log()
    (token,) = re.findall(r"^Token \(.*\): (\S+)$", log, re.MULTILINE)
    (line,) = re.findall(r"^Try: (curl .*)$", log, re.MULTILINE)

    pasted = subprocess.run(
        ["bash", "-c", f"{line} --silent --fail"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert "(mode=private, auth=static)" in log
    assert "Serves requests to localhost, 127.0.0.1, [::1]; ALLOWED_HOSTS" in log
    assert "Hello, World" in pasted.stdout
    assert first.get("/api/workflows/", token=token)[0] == 200
    assert first.get("/api/workflows/")[0] == 401
    assert first.get("/")[0] == 404
    assert first.terminate() == 0
    assert token not in nodetool.serve(*PRIVATE).log()


def test_private_mode_on_every_address_serves_its_own_names_alone(nodetool):
    server = nodetool.serve(*PRIVATE, "--host", ANYWHERE)
    (names,) = re.findall(r"^Serves requests to (.*);", server.log(), re.MULTILINE)

    assert socket.gethostname().lower() in names.split(", ")
    assert "*" not in names
    assert server.get("/health")[0] == 200
    assert "Try: curl http://localhost:" in server.log()


def test_public_mode_starts_for_a_supabase_project(nodetool):
    server = nodetool.serve(*PUBLIC, **SUPABASE)

    assert "(mode=public, auth=supabase)" in server.log()
    assert "Admin pages" not in server.log()
    assert server.get("/health")[0] == 200
    assert server.get("/admin/")[0] == 404
    assert server.get("/api/workflows/")[0] == 401


def test_editor_is_another_word_for_desktop(nodetool):
    assert LISTENING.search(nodetool.serve("--mode", "editor").log())


def test_data_folder_is_for_its_owner_alone(nodetool):
    nodetool.serve().terminate()

    assert stat.S_IMODE(nodetool.data.stat().st_mode) == 0o700


def test_front_end_folder_is_served_beside_the_api(nodetool):
    folder = nodetool.folder / "front"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<p>front</p>")
    (folder / "js" / "app.js").write_text("1")

    server = nodetool.serve("--static-folder", str(folder))

    assert server.get("/") == (200, "<p>front</p>")
    assert server.get("/js/app.js") == (200, "1")
    assert server.get("/../data/nodetool.sqlite3")[0] == 404
    assert server.get("/health")[0] == 200


def test_surfaces_can_be_switched_off(nodetool):
    server = nodetool.serve("--disable-default-api")

    assert server.get("/api/workflows/")[0] == 404
    assert server.get("/health")[0] == 200


def test_flags_of_other_servers_are_accepted_with_one_warning(nodetool):
    server = nodetool.serve("--mcp", "--ui-url", "http://x", "--force-fp16")

    (line,) = [one for one in server.log().splitlines() if "No effect" in one]
    assert line == "No effect here: --mcp --ui-url --force-fp16"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_with_0_and_frees_the_port(nodetool, number):
    server = nodetool.serve()

    server.signal(number)

    assert server.wait(30) == 0
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", int(server.port)))


def test_words_of_a_choice_may_be_written_in_any_case():
    parser = Command().create_parser("nodetool", "serve")

    options = parser.parse_args(["--mode", " Private", "--auth-provider", "STATIC"])

    assert (options.mode, options.auth_provider) == ("private", "static")


def test_mock_means_the_offline_provider_in_every_mode(settings):
    settings.FAKE_PROVIDER_CHOSEN = False
    options = {"mode": "private", "production": False, "mock": True}

    apply_mode(options)

    assert is_on("fake")
    assert settings.SERVER_MODE == "private"


def test_reload_serves_and_ends_with_0(nodetool):
    server = nodetool.serve("--reload")
    child = psutil.Process(server.pid).children()[0]

    server.signal(signal.SIGTERM)

    assert server.wait(30) == 0
    assert not child.is_running()


def test_reload_starts_again_when_a_source_changes(tmp_path, monkeypatch):
    source, log = tmp_path / "source.py", tmp_path / "log"
    source.write_text("1")
    program = (
        "import sys, time\n"
        f"with open({str(log)!r}, 'a') as log: log.write('started ')\n"
        f"sys.exit(3) if open({str(log)!r}).read().count('started') > 1 else 0\n"
        "time.sleep(30)\n"
    )
    monkeypatch.setattr(
        reload, "_sources", lambda: [(source, source.stat().st_mtime_ns)]
    )
    monkeypatch.setattr(reload, "INTERVAL_S", 0.05)

    def change_it_once_it_runs() -> None:
        wait_until(log.exists, what="the program")
        source.write_text("2")

    changing = threading.Thread(target=change_it_once_it_runs)
    changing.start()
    code = reload.run_with_reload([sys.executable, "-c", program])
    changing.join()

    assert code == 3
    assert log.read_text() == "started started "
