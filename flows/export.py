"""The flow that exports a certified iteration as a bundle."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.alone import alone
from flows.tasks import say, step
from quaestor.export.from_iteration import export_iteration
from quaestor.export.signature import signing_key
from quaestor.settings import Settings
from quaestor.store import lease


@step("export a bundle")
def export_one(iteration_id: str, out: Path | None = None, override: str | None = None) -> tuple[str, bool]:
    """Exports one iteration, signed where QUAESTOR_SIGNING_KEY is set; returns its folder and whether it is new."""
    settings = Settings()
    with alone(lease.of_bundle(iteration_id)):
        bundle, new = export_iteration(
            settings.store,
            settings.data,
            iteration_id,
            out or settings.bundles,
            settings.actor,
            override,
            signing_key(),
        )
    return str(bundle.path), new


@flow(name="export", log_prints=True)
def run_export(iteration_id: str, out: Path | None = None, override: str | None = None) -> str:
    """Exports an iteration that the gate lets through; returns the bundle's folder."""
    folder, new = export_one(iteration_id, out, override)
    say(f"{'exported' if new else 'already exported'}: {folder}")
    return folder
