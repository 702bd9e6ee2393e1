"""Prefect flows: order, retries, schedules and progress; the arithmetic is in models and quaestor.

Importing this package settles Prefect's surroundings before Prefect reads them.
"""

import os
from pathlib import Path

from quaestor.settings import Settings

# Everything Prefect writes stays under the data folder, and nothing is reported to anyone.
home = os.environ.setdefault("PREFECT_HOME", str((Settings().data / "prefect").resolve()))
Path(home).mkdir(parents=True, exist_ok=True)  # Prefect's database does not create its folder
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90")
# A server that is killed forgets leases held in memory, and what is limited to one run at a time then never runs again.
os.environ.setdefault("PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE", "prefect.server.concurrency.lease_storage.filesystem")
# SQLite on a busy machine: better late than "database is locked".
os.environ.setdefault("PREFECT_SERVER_DATABASE_TIMEOUT", "60")
os.environ.setdefault("PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT", "60")
os.environ.setdefault("PREFECT_LOGGING_TO_API_ENABLED", "false")
