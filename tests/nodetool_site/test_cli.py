"""The program: commands, exit codes, where things are printed."""

import sys
import tomllib

import pytest

from nodetool_site import __version__
from nodetool_site.cli import commands
from tests.end_to_end.server import ROOT


def test_every_noun_is_a_command():
    expected = {"serve", "worker", "db", "workflows", "nodes", "users"}

    assert expected <= commands().keys()


def test_version_is_that_of_the_package(nodetool):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    done = nodetool.run("--version")

    assert (done.returncode, done.stdout) == (0, f"nodetool {__version__}\n")
    assert project["version"] == __version__


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_commands(nodetool, option):
    done = nodetool.run(option)

    assert done.returncode == 0
    assert "  serve\n" in done.stdout
    assert not done.stderr


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("deploy",),
        ("runserver",),
        ("--nonsense",),
        ("serve", "--nonsense"),
        ("workflows",),
        ("workflows", "nonsense"),
        ("db",),
    ],
)
def test_wrong_usage_exits_with_2_and_says_so_on_stderr(nodetool, words):
    done = nodetool.run(*words)

    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert not done.stdout


def test_unknown_command_costs_nothing_and_touches_nothing(nodetool):
    nodetool.run("deploy")

    assert not nodetool.data.exists()


def test_command_makes_the_tables_of_an_empty_data_folder(nodetool):
    done = nodetool.run("workflows", "list")

    assert done.returncode == 0, done.stderr


def test_failure_is_one_line_on_stderr(nodetool):
    nodetool.run("db", "migrate")

    done = nodetool.run("workflows", "get", "nothing")

    assert done.returncode == 1
    assert done.stderr.startswith("❌ ")
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_unusable_setting_is_one_line_that_names_it(nodetool):
    done = nodetool.run("workflows", "list", DEBUG="maybe")

    assert done.returncode == 1
    assert done.stderr.startswith("❌ DEBUG ")
    assert done.stderr.count("\n") == 1


def test_dotenv_is_read_and_the_environment_wins(nodetool):
    (nodetool.folder / ".env").write_text("DEBUG=maybe\n")

    read = nodetool.run("workflows", "list")
    overruled = nodetool.run("workflows", "list", DEBUG="0")

    assert "DEBUG" in read.stderr
    assert overruled.returncode == 0


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("run", ("secrets", "list")),
        ("run", ("serve",)),
        ("manage", ("db", "migrate")),
        ("manage", ("serve",)),
    ],
)
def test_file_that_is_no_database_is_one_line(nodetool, program, words):
    nodetool.data.mkdir()
    (nodetool.data / "nodetool.sqlite3").write_text("no database at all")

    done = getattr(nodetool, program)(*words)

    assert done.returncode == 1
    assert done.stdout == ""
    line = done.stderr.splitlines()[-1]
    assert "Database not usable: file is not a database; see that" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("noun", ["users", "jobs"])
def test_missing_tables_are_one_line_with_the_cure(nodetool, noun):
    done = nodetool.manage(noun, "list")

    assert done.returncode == 1
    assert done.stderr.startswith("❌ Database not usable: no such table")
    assert "`nodetool db migrate` makes its tables" in done.stderr
    assert done.stderr.count("\n") == 1


def test_process_without_standard_streams_says_nothing_and_has_no_input(nodetool):
    nodetool.run("db", "migrate")
    program = f"exec {sys.executable} -m nodetool_site.cli secrets"

    stored = nodetool.shell(f"{program} store KEY <&-")
    listed = nodetool.shell(f"{program} list >&- 2>&-")

    assert (stored.returncode, stored.stderr) == (
        1,
        "❌ The value of secret 'KEY' is empty\n",
    )
    assert (listed.returncode, listed.stderr) == (0, "")


def test_db_migrate_can_be_repeated(nodetool):
    first = nodetool.run("db", "migrate")
    second = nodetool.run("db", "migrate")

    assert first.returncode == second.returncode == 0
    assert (nodetool.data / "nodetool.sqlite3").exists()


def test_manage_py_has_the_same_commands():
    from django.core.management import get_commands

    names = {name.replace("_", "-") for name in get_commands()}

    assert commands().keys() <= names


def test_worker_without_a_broker_says_what_it_needs(nodetool):
    done = nodetool.run("worker")

    assert done.returncode == 1
    assert "REDIS_URL" in done.stderr
