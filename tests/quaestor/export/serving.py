"""A real server in a process of its own, on loopback, and a client of it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CALLER, OPERATOR = "caller-0123456789abcdef", "operator-0123456789abcdef"


class Server:
    """`quaestor serve` on a free port; records go to `folder`."""

    def __init__(self, bundle: Path, folder: Path, key: Path | None, options: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        tokens = folder / "tokens"
        tokens.write_text(f"caller {CALLER}\noperator {OPERATOR}\n")
        trust = ["--key", str(key)] if key is not None else ["--unsigned"]
        self.process = subprocess.Popen(
            [
                sys.executable, "-c", "from quaestor.cli import main; main()",
                "serve", str(bundle), "--port", "0", "--records", str(folder), "--tokens", str(tokens),
                *trust, *options,
            ],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server ended"
        self.port = int(line.rsplit(":", 1)[1])

    def client(self) -> Client:
        """A connection of its own."""
        return Client(self.port)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self, path: str, body: Any = None, token: str = CALLER) -> tuple[int, Any]:
        """Status and JSON of one request."""
        content = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {token}"}
        self._connection.request("GET" if body is None else "POST", path, content, headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())


def point(link: Path, bundle: Path) -> None:
    """Makes a link name another bundle, in one step."""
    replacement = link.with_name(f"{link.name}.next")
    replacement.symlink_to(bundle)
    os.replace(replacement, link)
