"""`pip install .` gives a working server: nothing that it needs stays behind."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.end_to_end.server import ROOT, Backend, ServerProcess

STATIC_LINK = re.compile(r'(?:href|src)="(/static/[^"]+)"')
NOT_SOURCE = (".*", "__pycache__", "*.egg-info", "build", "dist", "bench-results")
APPS = ("chat", "jobs", "nodetool_site", "storage", "workflows")


def test_every_package_is_listed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(project["tool"]["setuptools"]["packages"])

    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for app in APPS
        for file in (ROOT / app).rglob("__init__.py")
    }

    assert listed == found | {"nodetool_site.templates"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # The build writes into its source, and may run beside another.
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    _pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    return next(folder.glob("*.whl"))


def test_wheel_holds_templates_static_files_and_examples(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())

    wanted = {
        str(path.relative_to(ROOT))
        for app in APPS
        for folder in ("static", "templates", "examples")
        for path in (ROOT / app / folder).rglob("*")
        if path.is_file()
    }
    wanted |= {
        f"nodetool_site/{path.relative_to(ROOT)}"
        for path in (ROOT / "templates").rglob("*")
        if path.is_file()
    }
    assert wanted <= names
    assert not [name for name in names if name.startswith("tests/")]


@pytest.mark.embedded
def test_installed_package_serves(wheel, tmp_path):
    installed = tmp_path / "installed"
    _pip("install", "--target", str(installed), str(wheel))
    data = tmp_path / "data"
    (data / "home").mkdir(parents=True)
    server = ServerProcess(
        Backend("embedded", data), env={"PYTHONPATH": str(installed)}
    )

    try:
        server.start()
        result = server.cli("workflows", "list", "--type", "example", "--json")
        pages = [read(server.base_url + path) for path in ("/", "/admin/login/")]
        linked = {path for page in pages for path in STATIC_LINK.findall(page)}
        files = [read(server.base_url + path) for path in linked]
    finally:
        server.close()

    assert result.code == 0, result.err
    assert "hello" in [w["id"] for w in json.loads(result.out)["workflows"]]
    assert linked
    assert all(files)
    server.assert_clean_log()


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return str(reply.read().decode())


def _pip(command: str, *arguments: str) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps"]
    argv = [sys.executable, "-m", "pip", command, *options, *arguments]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
