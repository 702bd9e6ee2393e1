"""Long work that was asked for in the browser: a process of its own, so that a closed page stops nothing."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

import streamlit as st

from quaestor.clock import utc_now
from quaestor.settings import Settings

State: TypeAlias = Literal["runs", "done", "failed"]

REMEMBERED = 20
SAID_CHARACTERS = 2000


@dataclass(frozen=True)
class Job:
    """A command line at work. asked: in words, by whom it was asked for; log: what it says."""

    asked: str
    started_at: datetime
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def state(self) -> State:
        """How it stands."""
        code = self.process.poll()
        return "runs" if code is None else "done" if code == 0 else "failed"

    def said(self) -> str:
        """What it has said so far, from the end."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-SAID_CHARACTERS:].strip()
        except OSError:
            return ""


def start(asked: str, arguments: Sequence[str]) -> Job:
    """Starts a command of quaestor; what a person typed comes as single arguments and meets no shell."""
    folder = Settings().data / "work"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{secrets.token_hex(8)}.log"
    command = [sys.executable, "-c", "from quaestor.cli.app import main; main()", *arguments]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    job = Job(asked, utc_now(), process, log)
    jobs().append(job)
    del jobs()[:-REMEMBERED]
    return job


@st.cache_resource(max_entries=1, show_spinner=False)
def jobs() -> list[Job]:
    """What was started since this console runs, oldest first."""
    return []
