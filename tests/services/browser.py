"""Run a command with a browser within its reach.

    python -m tests.services.browser pytest -m browser

The command finds Chromium in TEST_CHROMIUM. It is looked for, else installed as root on
Debian or Ubuntu, else the command does not run: an error with REQUIRE_SERVICES=1.
"""

import os
import shutil
import subprocess
import sys

from tests.services.resolve import install, may_install

VARIABLE = "TEST_CHROMIUM"
PROGRAMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
CURE = (
    "install it (apt-get install chromium, brew install --cask chromium) "
    f"or set {VARIABLE}"
)


def find() -> str | None:
    """The path of the first browser that is installed."""
    configured = os.environ.get(VARIABLE)
    candidates = (configured,) if configured else PROGRAMS
    return next((path for name in candidates if (path := shutil.which(name))), None)


def main(argv: list[str]) -> int:
    browser = find()
    if browser is None and may_install():
        install(["chromium"])
        browser = find()
    if browser is None:
        print(f"left out the tests of the page: no Chromium: {CURE}", file=sys.stderr)
        return int(os.environ.get("REQUIRE_SERVICES") == "1")
    environment = {**os.environ, VARIABLE: browser}
    return subprocess.run(argv, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
