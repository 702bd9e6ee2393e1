"""Two hours of operation in one test: every flow as it is scheduled, on a told clock, down to the exact counts."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from flows import payments_training
from flows.ingest import run_ingest_inbox
from flows.payments_study import read_payments_study
from flows.payments_training import ensure_rule, payments_policy
from flows.retrain_payments import run_retrain_payments
from flows.watch_alarms import run_watch_alarms
from flows.watch_canary import run_watch_canary
from models.payments.deploy import deploy
from models.payments.world import ACTIONS, Payments, PaymentsWorld, WorldParams, decision_log
from quaestor.cli.app import app as command_line
from quaestor.clock import told_by
from quaestor.errors import GateRefusedError
from quaestor.registry import iteration as registry
from quaestor.registry.gate import Stage
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from quaestor.store import audit
from tests.conftest import STUDIES

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1)
MINUTES, EVERY, A_FILE = 120, 5, 2000
WINDOW = timedelta(minutes=15)


class Site:
    """A site whose payments are decided by whatever is live, and whose files arrive every five minutes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder, self.minute = settings, folder, 0
        # So few merchants and issuers that an hour teaches them: verdicts must not hang on how policies happen to draw.
        few = WorldParams(merchants=6, issuers=8, seed=5, payments_per_hour=60 / EVERY * A_FILE, delay_hours=0.07)
        self.world = PaymentsWorld(few)
        self.beside: str | None = None
        self.inverted = False
        self.wrong: list[pl.DataFrame] = []
        self.decided: list[pl.DataFrame] = []
        self.answered: list[pl.DataFrame] = []
        text = (STUDIES / "payments" / "world.toml").read_text()
        for usual, here in (
            ("attribution_hours = 72", "attribution_hours = 0.25"),
            ("payments_per_episode = 400", "payments_per_episode = 50"),
            ("episodes = 10000", "episodes = 200"),
            ("budgets = [0.05, 0.1, 0.2]", "budgets = [0.1]"),
            ("certified_budget = 0.1", "effective_size = 200.0"),
            ("share = 0.1", "share = 0.5"),
            ("epsilon = 0.5", "epsilon = 1.0"),
            ('{ kind = "falcon" }', '{ kind = "epsilon_greedy", epsilon = 0.3 }'),
        ):
            assert usual in text
            text = text.replace(usual, here)
        self.study, self.short_study = folder / "all.toml", folder / "short.toml"
        self.study.write_text(text)
        self.short_study.write_text(text.replace('kind = "payments"', f'kind = "payments"\nmemory_days = {25 / 1440}'))
        (folder / "alerts.toml").write_text("[all]\n")

    def now(self) -> datetime:
        return START + timedelta(minutes=self.minute)

    @property
    def live(self) -> str:
        with self.settings.store.read() as connection:
            return str(audit.live(connection, "payments-world"))

    def go_on_to(self, minute: int) -> None:
        """Files arrive and are brought in every five minutes, up to this one."""
        while self.minute < minute:
            number = self.minute // EVERY
            payments = self.world.payments(A_FILE, number * A_FILE, "site")
            decided, action = self.decide(payments)
            self.decided.append(decided)
            self.answered.append(self.world.outcomes(payments, action, "payments-world"))
            before = START.replace(tzinfo=UTC) + timedelta(minutes=self.minute)
            self.minute += EVERY
            after = START.replace(tzinfo=UTC) + timedelta(minutes=self.minute)
            answers = pl.concat(self.answered).filter(pl.col("observed_at").is_between(before, after, closed="right"))
            self.deliver("decisions", f"{number:02d}.parquet", decided)
            if self.inverted:
                self.wrong.append(answers)
                answers = answers.with_columns(reward=1 - pl.col("reward"))
            self.deliver("outcomes", f"{number:02d}.parquet", answers)
            run_ingest_inbox()

    def decide(self, payments: Payments) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        """What the live iteration decides; beside it, where there is a canary, the one before decides every second."""
        parts, taken = [], np.zeros(len(payments), dtype=np.int64)
        deciding = [self.live] if self.beside is None else [self.live, self.beside]
        for turn, iteration_id in enumerate(deciding):
            policy = payments_policy(registry.get(self.settings.store, self.settings.data, iteration_id))
            choice = deploy(policy, payments)
            mine = np.arange(len(payments)) % len(deciding) == turn
            logged = decision_log(payments, choice.probabilities, choice.action, "payments-world", iteration_id)
            parts.append(logged.filter(pl.Series(mine)))
            taken[mine] = choice.action[mine]
        return pl.concat(parts), taken

    def deliver(self, kind: str, name: str, frame: pl.DataFrame) -> None:
        path = self.settings.inbox / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path)

    def statuses(self) -> dict[str, int]:
        """How many rounds are matured, expired and pending now, told from the world and not from the store."""
        decided = pl.concat(self.decided).select("event_id", pl.col("decided_at"))
        answered = pl.concat(self.answered).select("event_id", "observed_at")
        joined = decided.join(answered, on="event_id", how="left")
        closed = pl.col("decided_at") + WINDOW <= self.now().replace(tzinfo=UTC)
        in_time = pl.col("observed_at") <= pl.col("decided_at") + WINDOW
        status = (
            pl.when(~closed).then(pl.lit("pending")).when(in_time).then(pl.lit("matured")).otherwise(pl.lit("expired"))
        )
        return dict(Counter(joined.select(status.alias("status"))["status"].to_list()))


def learnt_from(settings: Settings, iteration_id: str) -> dict[str, int]:
    return dict(registry.get(settings.store, settings.data, iteration_id).inputs.data["statuses"])


def judged_anew(candidate_id: str, incumbent_id: str) -> str:
    """What the gate says to whoever evaluates a pair at the command line."""
    pair = ["--candidate", candidate_id, "--incumbent", incumbent_id]
    return str(json.loads(CliRunner().invoke(command_line, ["evaluate", *pair, "--json"]).stdout)["verdict"]["stage"])


def test_two_hours_of_operation(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Policies draw by the digest of their inputs, the code among them: a comment somewhere must not draw another world.
    monkeypatch.setattr(payments_training, "code_digest", lambda code: "salt 0")
    site = Site(settings, tmp_path)
    with told_by(site.now):
        rule = ensure_rule(settings, read_payments_study(site.study), ACTIONS).iteration_id
        site.go_on_to(45)

        # Files come twice, rows come again in another file, an answer to nothing, a row that may not enter.
        shutil.copy(settings.ingested / "decisions" / "00.parquet", settings.inbox / "decisions" / "again.parquet")
        site.deliver("decisions", "other.parquet", site.decided[1].reverse())
        strange = (
            site.answered[0].head(3).with_columns(pl.lit("nobody").alias("event_id") + pl.int_range(3).cast(pl.String))
        )
        site.deliver("outcomes", "strange.parquet", strange)
        bad = (
            site.decided[0]
            .head(2)
            .with_columns(event_id=pl.lit("bad") + pl.int_range(2).cast(pl.String), propensity=0.0)
        )
        site.deliver("decisions", "bad.parquet", bad)
        run_ingest_inbox()

        first = run_retrain_payments(site.study)
        assert first.stage == Stage.PROMOTE
        assert learnt_from(settings, first.candidate_id) == site.statuses()
        assert run_watch_canary(site.study) is None  # nothing was live before the rule
        promote(settings.store, first.candidate_id, "operator", "the gate agrees")

        # Success and failure are mixed up where they come from, and what was learnt from that is not promoted. Once the
        # corrections are in, the same candidate is judged anew on the truth, and rejected. The operator sends it live
        # all the same, and the canary gate takes it back.
        site.inverted = True
        site.go_on_to(80)
        site.inverted = False
        second = run_retrain_payments(site.short_study)
        assert second.stage != Stage.PROMOTE
        with pytest.raises(GateRefusedError):
            promote(settings.store, second.candidate_id, "operator", "it seems good")
        alarms = {alarm.subject for alarm in run_watch_alarms(tmp_path / "alerts.toml")}
        assert "generation" in alarms
        corrected = pl.concat(site.wrong).with_columns(revision=pl.lit(1))
        site.deliver("outcomes", "corrected.parquet", corrected)
        run_ingest_inbox()
        assert judged_anew(second.candidate_id, first.candidate_id) == Stage.REJECT
        with pytest.raises(GateRefusedError, match="The gate says 'reject'"):
            promote(settings.store, second.candidate_id, "operator", "it did seem good")
        promote(settings.store, second.candidate_id, "operator", "a mistake", override=True)
        site.beside = first.candidate_id
        site.go_on_to(MINUTES)
        watched = run_watch_canary(site.study)
        assert (watched.candidate_id, watched.live_id) == (second.candidate_id, first.candidate_id)
        assert site.live == first.candidate_id

        third = run_retrain_payments(site.study)
        assert third.incumbent_id == first.candidate_id
        assert learnt_from(settings, third.candidate_id) == site.statuses()

        # Everything is done: the same flows again change nothing.
        before = tables(settings)
        assert run_retrain_payments(site.study).candidate_id == third.candidate_id
        run_ingest_inbox()
        assert tables(settings) == before

    decisions = MINUTES // EVERY * A_FILE
    answers = pl.concat(site.answered).filter(pl.col("observed_at") <= site.now().replace(tzinfo=UTC))
    assert before["decisions"] == decisions == 48_000
    assert before["outcomes"] == len(answers) + len(corrected)
    assert before["quarantine"] == 3 + 2
    assert before["ingested_files"] == 2 * MINUTES // EVERY + 4  # a file that came twice was ingested once
    assert before["iterations"] == 4  # the rule and three retrainings
    assert before["verdicts"] == 4  # one of each retraining, and the one after the corrections
    assert before["bundles"] == sum(each.stage == Stage.PROMOTE for each in (first, second, third))
    with settings.store.read() as connection:
        trail = audit.trail(connection)
    moves = (
        trail.filter(pl.col("action").is_in(["promote", "rollback"])).select("action", "actor", "iteration_id").rows()
    )
    assert moves == [
        ("promote", "tester", rule),
        ("promote", "operator", first.candidate_id),
        ("promote", "operator", second.candidate_id),
        ("rollback", "canary gate", first.candidate_id),
    ]
    assert Counter(trail["action"].to_list())["verdict"] == 4
    assert np.all(np.diff(trail["entered_at"].to_numpy()) >= np.timedelta64(0))


def tables(settings: Settings) -> dict[str, int]:
    names = ("decisions", "outcomes", "quarantine", "ingested_files", "iterations", "verdicts", "bundles", "audit")
    with settings.store.read() as connection:
        return {name: connection.execute(f"select count(*) from {name}").fetchone()[0] for name in names}
