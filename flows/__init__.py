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
os.environ.setdefault("PREFECT_LOGGING_TO_API_ENABLED", "false")
