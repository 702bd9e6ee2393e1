"""Prefect flows: order, retries, schedules and progress; the arithmetic is in models and quaestor.

Importing this package settles Prefect's surroundings before Prefect reads them.
"""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from quaestor.settings import Settings

# Everything Prefect writes stays under the data folder, and nothing is reported to anyone.
home = os.environ.setdefault("PREFECT_HOME", str((Settings().data / "prefect").resolve()))
Path(home).mkdir(parents=True, exist_ok=True)  # Prefect's database does not create its folder

SERVING = Path(home) / "serving"
"""Where `make serve` says at which address it serves: what is run by hand meanwhile is seen there, too."""


def _is_up(address: str) -> bool:
    place = urlsplit(address)
    try:
        with socket.create_connection((place.hostname or "", place.port or 80), timeout=0.5):
            return True
    except OSError:
        return False


if "PREFECT_API_URL" not in os.environ and SERVING.exists() and _is_up(SERVING.read_text()):
    os.environ["PREFECT_API_URL"] = SERVING.read_text()
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90")
# A server that is killed forgets leases held in memory, and what is limited to one run at a time then never runs again.
os.environ.setdefault("PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE", "prefect.server.concurrency.lease_storage.filesystem")
# SQLite on a busy machine: better late than "database is locked".
os.environ.setdefault("PREFECT_SERVER_DATABASE_TIMEOUT", "60")
os.environ.setdefault("PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT", "60")
os.environ.setdefault("PREFECT_LOGGING_TO_API_ENABLED", "false")
