"""Processes that use secrets while ``nodetool secrets rotate`` is killed beside them.

``python -m tests.end_to_end.rotation seed|load|watch|left``, in a server's environment.
"""

import json
import os
import random
import sys
import time

import django

KEPT, CHANGED = 600, 5


def kept(number: int) -> tuple[str, str]:
    """A secret that nobody changes."""
    return f"KEPT_{number}", f"value-{number}-" + "k" * 40


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def seed() -> None:
    """Store the secrets that are kept, for users 1 and 2."""
    # Models, once the applications are there; so everywhere below.
    from django.db import transaction

    from storage.models import User
    from storage.vault import set_secret

    User.objects.get_or_create(id="2", username="two")
    with transaction.atomic():
        for number in range(KEPT // 2):
            for owner_id in ("1", "2"):
                set_secret(owner_id, *kept(number))


def load(seconds: float) -> None:
    """Read and store secrets for a time; print what did not come back."""
    from storage.vault import reveal_secret, set_secret

    rng, last = random.Random(os.getpid()), dict[str, str]()
    faults, reads, writes = [], 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name, value = kept(rng.randrange(KEPT // 2))
        reads += 1
        if reveal_secret(rng.choice("12"), name) != value:
            faults.append(f"{name} has another value")
        if rng.random() < 0.3:
            writes += 1
            name = f"CHANGED_{os.getpid()}_{rng.randrange(CHANGED)}"
            last[name] = f"{name}-{writes}"
            set_secret("1", name, last[name])
        if last:
            name = rng.choice(sorted(last))
            if reveal_secret("1", name) != last[name]:
                faults.append(f"{name} was overwritten")
    say(json.dumps({"reads": reads, "writes": writes, "faults": faults}))


def watch() -> None:
    """Print a line when a rotation has begun to change rows."""
    from storage.master_key import reading_ring
    from storage.models import Secret

    moved = Secret.objects.filter(
        key_id=reading_ring().primary_id, key__startswith="KEPT_"
    )
    end = time.monotonic() + 30
    while not moved.exists() and time.monotonic() < end:
        time.sleep(0.005)
    say("begun")


def left() -> None:
    """Print how many secrets another key than the first has written."""
    from storage.master_key import reading_ring
    from storage.models import Secret

    others = Secret.objects.exclude(key_id=reading_ring().primary_id)
    say(str(others.count()))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nodetool_site.settings")
    django.setup()
    {"seed": seed, "load": load, "watch": watch, "left": left}[sys.argv[1]](
        *map(float, sys.argv[2:])
    )
