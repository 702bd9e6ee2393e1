"""The demo: from raw event files to certified, exported policy iterations, for payments and for inventory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from prefect import flow

from flows import payments_training
from flows.conclude import iteration
from flows.ingest import run_ingest
from flows.outcome import Retrained, report_of
from flows.payments_study import read_payments_study
from flows.retrain_inventory import run_retrain_inventory
from flows.retrain_payments import run_retrain_payments
from flows.tasks import say, step
from models.payments.deploy import deploy
from models.payments.world import ACTIONS, PaymentsWorld, WorldParams, decision_log
from quaestor.errors import UsageError
from quaestor.export.rows import written_rows
from quaestor.log.adapters.favorita import CALENDAR
from quaestor.log.lookalike.favorita import write_favorita
from quaestor.log.lookalike.open_bandit import write_open_bandit
from quaestor.registry.gate import Stage
from quaestor.registry.judging import keep
from quaestor.registry.promotion import promote
from quaestor.registry.report import IterationReport
from quaestor.settings import Settings
from quaestor.store import audit

STUDIES = Path(__file__).parent.parent / "data" / "studies"
SALES = "favorita_weekly_sales.parquet"
BANDIT = ("obd_men_random.parquet", "obd_men_bts.parquet")
ROUNDS = (80_000, 40_000)
FRESH = 20_000
SEED = 0


@dataclass(frozen=True)
class Shown:
    """One row of the demo's table: a candidate's report, and for the payments world its true share of the gap
    between uniform and optimal."""

    report: IterationReport
    share_of_gap: float | None
    done_before: tuple[str, ...]


@flow(name="demo", log_prints=True)
def run_demo(source: Path | None = None) -> list[Shown]:
    """Plays the demo on the files in `source`, or on look-alikes of them where it is not given.

    Payments: two generations in the payments world, the second decided by the first's policy, and the Open Bandit
    logs. Inventory: three warehouses and 21 stores on the Favorita series. Run again, it finds its work done.
    """
    settings = Settings()
    files = find_files(settings.incoming, source)
    run_ingest("open-bandit", [files / name for name in BANDIT])
    run_ingest("favorita", [files / SALES])
    played = play_world()
    played.append((run_retrain_payments(STUDIES / "payments" / "open_bandit_men.toml"), None))
    played.append((run_retrain_inventory(STUDIES / "inventory" / "favorita_demo.toml"), None))
    return [Shown(report_of(r.candidate_id), share, r.done_before) for r, share in played]


@step("find or generate event files")
def find_files(incoming: Path, source: Path | None) -> Path:
    """The folder of the public data files; look-alikes are generated once."""
    wanted = (*BANDIT, SALES, CALENDAR)
    if source is not None:
        missing = [name for name in wanted if not (source / name).exists()]
        if missing:
            raise UsageError(f"{source} lacks {', '.join(missing)}; leave the folder out to use look-alikes.")
        return source
    if not all((incoming / name).exists() for name in wanted):
        incoming.mkdir(parents=True, exist_ok=True)
        write_open_bandit(incoming, SEED)
        write_favorita(incoming, SEED)
        say(f"generated look-alikes of the Open Bandit and Favorita files in {incoming}")
    return incoming


def play_world() -> list[tuple[Retrained, float | None]]:
    """Two generations of the payments world through the real path: log files, ingest, retrain, promote.

    Each comes with the candidate's true share of the gap.
    """
    settings = Settings()
    study_path = STUDIES / "payments" / "world.toml"
    study = read_payments_study(study_path)
    live = payments_training.ensure_rule(settings, study, ACTIONS).iteration_id
    played: list[tuple[Retrained, float | None]] = []
    first = 0
    for number, rounds in enumerate(ROUNDS, 1):
        files, newest = log_world(live, first, rounds, number)
        run_ingest("decisions", [files[0]])
        run_ingest("outcomes", [files[1]])
        as_of = newest + timedelta(hours=study.maturity.attribution_hours)
        retrained = run_retrain_payments(study_path, as_of=as_of, incumbent_id=live)
        played.append((retrained, measure_truth(retrained.candidate_id)))
        if retrained.stage != Stage.PROMOTE:
            break
        if number < len(ROUNDS):
            go_live(retrained.candidate_id, live)
        live, first = retrained.candidate_id, first + rounds
    return played


@step("let a policy decide the world's payments")
def log_world(iteration_id: str, first: int, rounds: int, number: int) -> tuple[tuple[Path, Path], datetime]:
    """Writes what a policy decided and what came of it as event files; returns them and the last decision's time."""
    settings = Settings()
    folder = settings.incoming / "payments-world"
    paths = folder / f"decisions-{number}.parquet", folder / f"outcomes-{number}.parquet"
    if not all(path.exists() for path in paths):
        world = PaymentsWorld(WorldParams(seed=SEED))
        payments = world.payments(rounds, first, "payment")
        policy = payments_training.payments_policy(iteration(iteration_id))
        choice = deploy(policy, payments)
        system = policy.spec.system
        decided = decision_log(payments, choice.probabilities, choice.action, system, iteration_id)
        written_rows(decided, paths[0], "decisions")
        written_rows(world.outcomes(payments, choice.action, system), paths[1], "outcomes")
        say(f"{system}: iteration {iteration_id[:12]} decided {rounds:,} payments")
    newest = pl.scan_parquet(paths[0]).select(pl.col("decided_at").dt.replace_time_zone(None).max()).collect().item()
    return paths, newest


@step("measure the true value")
def measure_truth(iteration_id: str) -> float:
    """A policy's true share of the gap between uniform (0) and optimal (1), on fresh payments, as deployed."""
    world = PaymentsWorld(WorldParams(seed=SEED))
    payments = world.payments(FRESH, sum(ROUNDS), "fresh")
    policy = payments_training.payments_policy(iteration(iteration_id))
    share = world.share_of_gap(payments, deploy(policy, payments).probabilities)
    keep(Settings().store, iteration_id, "truth", {"share_of_gap": share})
    return share


@step("make the first generation live")
def go_live(candidate_id: str, replaced_id: str) -> None:
    """Promotes the candidate, as the demo's operator would, while the policy it replaces is still live."""
    settings = Settings()
    with settings.store.read() as connection:
        live = audit.live(connection, iteration(candidate_id).inputs.system)
    if live == replaced_id:
        promote(settings.store, candidate_id, settings.actor, "the demo's operator agrees with the gate")
