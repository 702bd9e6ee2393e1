"""The commands and how each of them ends: 0 ok, 1 failed, 2 usage, 3 gate refused, 4 busy, 5 store damaged."""

from __future__ import annotations

import errno
import sys

import typer

from quaestor.cli import (
    bound_commands,
    certificate_commands,
    deciding,
    evaluating,
    flow_commands,
    keeping,
    operating,
    quarantining,
    registry_commands,
)
from quaestor.errors import QuaestorError

app = typer.Typer(
    name="quaestor",
    help="Learns payment and inventory policies from logs, proves each iteration, and exports it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(flow_commands.demo)
app.command("ingest")(flow_commands.ingest)
app.command("describe-actions")(flow_commands.describe_actions)
app.add_typer(flow_commands.run_app, name="run")
app.command("status")(registry_commands.status)
app.command("alerts")(operating.alerts)
app.command("retention")(flow_commands.retention)
app.command("backfill")(flow_commands.backfill)
app.command("backup")(keeping.backup)
app.command("restore")(keeping.restore)
app.command("forget")(keeping.forget)
app.add_typer(operating.config_app, name="config")
app.add_typer(quarantining.quarantine_app, name="quarantine")
app.command("iterations")(registry_commands.iterations)
app.command("estimate-propensities")(evaluating.estimate_propensities)
app.command("evaluate")(evaluating.evaluate)
app.command("canary")(evaluating.canary)
app.command("estimates")(evaluating.estimates)
app.command("promote")(registry_commands.promote)
app.command("reject")(registry_commands.reject)
app.command("rollback")(registry_commands.rollback)
app.command("export")(registry_commands.export)
app.command("verify")(deciding.verify)
app.command("certify")(certificate_commands.certify)
app.command("certificate-bound")(bound_commands.certificate_bound)
app.command("certificate-quantile")(bound_commands.certificate_quantile)
app.command("certificate-schema")(bound_commands.certificate_schema)
app.command("decide")(deciding.decide)
app.command("serve")(deciding.serve)
app.command("explain")(deciding.explain)

_EXTRAS = {
    "duckdb": "store", "tenacity": "store", "pyarrow": "store", "scipy": "store",
    "onnxruntime": "runtime", "cryptography": "runtime", "fastapi": "service", "uvicorn": "service",
    "prefect": "flows", "flows": "flows", "torch": "training", "sklearn": "training",
}  # fmt: skip
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
"""What a full, read-only or broken disk says."""


def main() -> None:
    """Runs the command line."""
    run(app)


def run(commands: typer.Typer) -> None:
    """Runs a command; what is refused ends with one sentence and its exit code, never with a trace."""
    try:
        commands()
    except QuaestorError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in _EXTRAS:
            raise
        _say(f"This command needs {missing}: pip install 'quaestor[{_EXTRAS[missing]}]'.")
        sys.exit(1)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        where = f" at {error.filename}" if error.filename else ""
        _say(
            f"The disk takes nothing{where}: {error.strerror}. What was written is whole; make room, or give this user "
            "the right to write there, and run the same command again to go on."
        )
        sys.exit(1)
    except KeyboardInterrupt:
        _say("Stopped. Run the same command again to go on.")
        sys.exit(130)


def _say(sentence: str) -> None:
    typer.echo(f"quaestor: {sentence}", err=True)
