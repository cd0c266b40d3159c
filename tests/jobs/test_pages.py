"""The page as it leaves the server: where it is, and what it may load."""

import posixpath
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles.finders import find
from django.test import Client

pytestmark = pytest.mark.urls("jobs.page_urls")

SCRIPTS = ("jobs/page.js", "chat/chat.js")


def test_page_is_there():
    assert Client().get("/").status_code == 200


def test_policy_lets_in_nothing_but_the_servers_own():
    policy = Client().get("/")["Content-Security-Policy"]

    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_page_has_nothing_inline_and_all_its_files():
    text = Client().get("/").content.decode()

    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert re.findall(r"<script(.*?)>(.*?)</script>", text) == [
        (f' type="module" src="/static/{name}"', "") for name in SCRIPTS
    ]
    files = re.findall(rf'"{settings.STATIC_URL}(.*?)"', text)
    assert sorted(files) == [
        *("chat/chat.js", "jobs/page.js"),
        *("nodetool_site/icon.svg", "nodetool_site/site.css"),
    ]
    assert all(find(name) for name in files)


def _scripts(name: str) -> dict[str, str]:
    """A script of the page with all that it imports, by name."""
    text = Path(find(name)).read_text()
    found = {name: text}
    for path in re.findall(r'from "(.*?)"', text):
        found |= _scripts(posixpath.normpath(f"{posixpath.dirname(name)}/{path}"))
    return found


def test_scripts_write_text_alone():
    scripts = {name: text for one in SCRIPTS for name, text in _scripts(one).items()}

    assert {"chat/messages.js", "nodetool_site/dom.js"} <= scripts.keys()
    for name, script in scripts.items():
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
            assert word not in script, name


def test_page_is_read_only():
    assert Client().head("/").status_code == 200
    assert Client().post("/", {}).status_code == 405
