"""Reaper, cancel, worker, claim and user on one job at once, on both databases (J-05).

The first commit wins, no job leaves a terminal state, what readers were told equals
what is stored, and a holder from whom a job was taken writes nothing more (J-06).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROUNDS = 510
PROGRAM = """
import sys, django
django.setup()
from tests.jobs.race_rounds import run
print(run(int(sys.argv[1]), int(sys.argv[2])))
"""
ROOT = Path(__file__).resolve().parents[2]
# At least so many rounds must have ended in each of these ways, or nothing raced.
EXPECTED = {
    "holder fenced": 50,
    "completed after 1 claims": 10,
    "failed after 1 claims": 50,
    "cancelled after 1 claims": 50,
    "cancelled after 0 claims": 5,
    "given away": 10,
}


def test_j05_the_first_end_of_a_job_is_its_only_one(mode, request, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "DB_PATH": str(tmp_path / "nodetool.sqlite3"),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    if mode == "scale_out":
        environment["DATABASE_URL"] = request.getfixturevalue("postgres_database")
    seed = int(os.environ.get("RACES_SEED", "1"))

    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROUNDS), str(seed)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert ended.returncode == 0, f"seed {seed}:\n{ended.stderr[-4000:]}"
    report = json.loads(ended.stdout)
    assert not report["problems"], f"seed {seed}: {report}"
    for outcome, least in EXPECTED.items():
        assert report["outcomes"].get(outcome, 0) >= least, f"seed {seed}: {report}"
