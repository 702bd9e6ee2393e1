"""Runs the service until it is told to stop; what it was doing then is finished first."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from quaestor.errors import QuaestorError, UsageError
from quaestor.export.records import RecordParams, Records
from quaestor.export.service.app import application
from quaestor.export.service.deployment import Deployment
from quaestor.export.service.gate import GateParams
from quaestor.export.service.patience import PatientProtocol
from quaestor.export.service.tokens import read_tokens
from quaestor.export.signature import Keys

TOKENS = "QUAESTOR_TOKENS"
"""Environment variable: the path of the tokens file."""

MOST_CONNECTIONS = 1000
DRAIN_SECONDS = 10

LONGEST_TURN = 0.0005
"""Seconds for which one thread may keep the others from Python: the one that checks a new bundle, or writes records,
must not keep requests waiting (Python's own 5 ms are as long as 20 requests)."""


@dataclass(frozen=True)
class ServeParams:
    """Where to listen, where records go, and who may call.

    upstream: something in front authenticates callers, so no tokens are needed. also_log: features that callers may
    send for the record although the policy does not read them.
    """

    bundle: Path
    records: Path
    host: str = "127.0.0.1"
    port: int = 8080
    tokens: Path | None = None
    upstream: bool = False
    unsigned: bool = False
    hosts: tuple[str, ...] = ()
    also_log: tuple[str, ...] = ()
    flush_seconds: float = 0.5


def serve(params: ServeParams, keys: Keys | None) -> None:
    """Serves a bundle; returns after SIGTERM or SIGINT, when open requests are answered and records are on disk.

    Raises UsageError where neither keys nor `unsigned`, or neither tokens nor `upstream`, are given, and
    QuaestorError for a bundle that is refused or an address that is taken.
    """
    if keys is None and not params.unsigned:
        raise UsageError("Give the trusted keys with --key, or say --unsigned to serve a bundle of unknown origin.")
    tokens_path = params.tokens or (Path(os.environ[TOKENS]) if os.environ.get(TOKENS) else None)
    if tokens_path is None and not params.upstream:
        raise UsageError("Give --tokens FILE, or say --upstream-auth where something in front authenticates callers.")
    for name in params.also_log:
        if not name.startswith(("numeric_", "category_")):
            raise UsageError(f"--also-log {name}: a feature is named numeric_… or category_….")
    sys.setswitchinterval(LONGEST_TURN)
    listening = _listen(params.host, params.port)
    deployment = Deployment(params.bundle, params.records, keys, frozenset(params.also_log))
    bundle = deployment.live.bundle
    if bundle.signed_by is None:
        logging.getLogger("quaestor").warning("%s: %s", bundle.path, bundle.trust())
    records = Records(params.records, RecordParams(flush_seconds=params.flush_seconds))
    hosts = {"localhost", "127.0.0.1", "[::1]", params.host.lower(), *(host.lower() for host in params.hosts)}
    gate = GateParams(tuple(hosts), read_tokens(tokens_path) if tokens_path else (), params.upstream)
    config = uvicorn.Config(
        application(deployment, records, gate),
        http=PatientProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=15,
    )
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:
        server.should_exit = True

    for told in (signal.SIGTERM, signal.SIGINT):  # also one that comes before uvicorn listens to them
        signal.signal(told, stop)
    gc.collect()
    gc.freeze()  # what is loaded now stays: no collection need look through it while requests wait
    print(
        f"serving {bundle.system} {bundle.iteration_id[:12]} on http://{params.host}:{listening.getsockname()[1]}",
        flush=True,
    )
    try:
        server.run(sockets=[listening])
    finally:
        records.close()  # where it was told to stop before it had begun, nothing else does


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(MOST_CONNECTIONS)  # from now on callers wait instead of being refused
    except OSError as error:
        listening.close()
        raise QuaestorError(f"Nothing can listen on {host}:{port}: {error.strerror}.") from None
    return listening
