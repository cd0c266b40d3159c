"""Run a command with the environment of a production server in scale-out mode."""

import os
import secrets
import subprocess
import sys

from cryptography.fernet import Fernet

from tests.services.available import service_url_or_none


def main(argv: list[str]) -> int:
    environment = {
        "ENV": "production",
        "AUTH_PROVIDER": "static",
        "SERVER_AUTH_TOKEN": secrets.token_urlsafe(32),
        "ADMIN_TOKEN": secrets.token_urlsafe(32),
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(64),
        "SECRETS_MASTER_KEY": Fernet.generate_key().decode(),
        "ALLOWED_HOSTS": "nodetool.example.org",
        "DATABASE_URL": service_url_or_none("PostgreSQL") or "",
        "REDIS_URL": service_url_or_none("Redis") or "",
    }
    return subprocess.run(
        argv, env={**os.environ, **environment}, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
