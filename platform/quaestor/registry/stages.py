"""Where each iteration stands, told from its verdicts and the audit trail."""

from __future__ import annotations

import json

import polars as pl

from quaestor.registry.gate import Stage
from quaestor.store import Connection, audit, evidence, iterations

_AFTER_VERDICT = {
    Stage.PROMOTE: "waits for approval",
    Stage.REJECT: "rejected by the gate",
    Stage.NOT_ENOUGH: "needs more evidence",
}


def with_stages(connection: Connection, system: str | None = None) -> pl.DataFrame:
    """Every iteration with its stage and the gate's reasons, oldest first.

    Columns: iteration_id, system, parent_id, policy, stage, reasons, incumbent_id, created_at, manifest, folder.
    """
    rows = iterations.listing(connection, system)
    verdicts = {row["iteration_id"]: row for row in evidence.verdicts(connection).iter_rows(named=True)}
    live = dict(audit.pointers(connection).select("system", "iteration_id").iter_rows())
    last_move = {
        iteration_id: action
        for action, iteration_id in audit.trail(connection)
        .filter(pl.col("action").is_in(["promote", "reject", "rollback"]))
        .select("action", "iteration_id")
        .iter_rows()
    }
    stages, reasons, incumbents = [], [], []
    for iteration_id, of_system, manifest in rows.select("iteration_id", "system", "manifest").iter_rows():
        role = json.loads(manifest)["configuration"].get("role", "candidate")
        verdict = verdicts.get(iteration_id)
        is_live = live.get(of_system) == iteration_id
        stages.append(_stage(is_live, last_move.get(iteration_id), verdict, role))
        reasons.append(list(verdict["reasons"]) if verdict else [])
        incumbents.append(verdict["incumbent_id"] if verdict else None)
    return rows.with_columns(
        stage=pl.Series(stages, dtype=pl.String),
        reasons=pl.Series(reasons, dtype=pl.List(pl.String)),
        incumbent_id=pl.Series(incumbents, dtype=pl.String),
    )


def _stage(is_live: bool, last_move: str | None, verdict: dict[str, object] | None, role: str) -> str:
    if is_live:
        return "live"
    if last_move == "reject":
        return "rejected"
    if last_move in ("promote", "rollback"):
        return "retired"
    if verdict is None:
        return role
    return _AFTER_VERDICT[Stage(str(verdict["stage"]))]
