"""One seed, one run: traffic, flows and faults over some days, the invariants after each step, and the end that must
come once the faults cease."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flows import payments_training
from models.payments.refit import Refit, RefitParams, refit
from quaestor.clock import told_by
from quaestor.disk import written_to
from quaestor.export import from_iteration
from quaestor.export.from_iteration import GOLDEN_ROWS
from quaestor.export.materials import bill_of_materials, lock
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.runtime import Runtime
from quaestor.export.signature import Keys, key_id
from quaestor.export.spec import spec_json
from quaestor.log.manifest import training_manifest
from quaestor.log.maturity import judge, matured_batch
from quaestor.registry import iteration as registry
from quaestor.registry.certificates import newest_certificate
from quaestor.registry.iteration import Inputs
from quaestor.registry.judging import EVALUATION, judge_iteration, keep
from quaestor.registry.promotion import promote
from quaestor.registry.served import served_checks
from quaestor.store import Connection, Store, files, lease, rounds
from quaestor.store.fencing import Grant
from tests.evidence import evaluation
from tests.rounds import bandit
from tests.simulation import scripts
from tests.simulation.disk import ForgetfulDisk
from tests.simulation.invariants import Registry, check_whole
from tests.simulation.joiner import Joiner, rows_of
from tests.simulation.plants import Plant
from tests.simulation.scheduler import START, ViolationError, Worker, World
from tests.simulation.scripts import STUDY, SYSTEM, WINDOW, Server
from tests.simulation.store import SimulatedStore

DAYS = 1.0
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class Run:
    """A simulated run. `plant` is a bug that is put in on purpose."""

    def __init__(self, seed: int, folder: Path, plant: Plant | None = None) -> None:
        self.plant = plant = plant or Plant()
        self.world, self.folder, self.data = World(seed), folder, folder / "data"
        shutil.copytree(_template(folder.parent), folder)
        (folder / "upstream").mkdir()
        self.disk = ForgetfulDisk(self.world, self.data, plant.deaf, plant.deaf_folders)
        self.store = SimulatedStore(self.world, folder / "store.duckdb")
        self.store.db.execute("update bundles set folder = replace(folder, '/template/', ?)", [f"/{folder.name}/"])
        self.key, self.keys = KEY, Keys({key_id(KEY.public_key()): KEY.public_key()})
        self.server, self.joiner = Server(), Joiner()
        self.registry = Registry(self)
        self.decided = 0
        self.poisoned: set[str] = set()
        self.settled: set[Path] = set()
        self.promised: dict[Path, pl.DataFrame] = {}
        self.seen: dict[str, int] = {}
        self._ingested: set[str] = set()
        self._announced: list[tuple[str, Path]] = []
        self._files = 0
        self.store.committed = self._committed
        self.world.on_power_loss, self.world.on_move = self._power_lost, self._moved
        self.world.on_beat, self.world.context = self._beat, self._in_context

    def simulate(self) -> None:
        """The whole run; raises ViolationError for the first invariant that does not hold."""
        with ExitStack() as stack:
            for target, value in {**_REPLACED, **self.plant.replaced}.items():
                stack.enter_context(patch(target, value))
            try:
                self.registry.look(self.store.db)
                self._plan()
                self.world.run(START + timedelta(days=DAYS))
                self.world.power_loss()
                self._drain()
            finally:
                self.world.end()
                self.store.db.close()

    def _plan(self) -> None:
        """When what starts: the schedules of the flows, traffic, people, and two at once now and then."""
        world, draw = self.world, self.world.draw
        for hours in _times(draw.uniform(3.5, 5.5)):
            world.at(START + timedelta(hours=hours), partial(world.start, "serve", partial(scripts.serve, self)))
        for hours in _times(draw.uniform(5, 8)):
            for _ in range(draw.choice((1, 1, 2))):
                world.at(START + timedelta(hours=hours), partial(world.start, "ingest", partial(scripts.ingest, self)))
        for hours in _times(draw.uniform(5, 9)):
            for _ in range(draw.choice((1, 1, 2))):
                moment = START + timedelta(hours=hours + draw.choice((0, 0.05, 0.2)))
                world.at(moment, partial(world.start, "retrain", partial(scripts.retrain, self)))
        for hours in _times(draw.uniform(4, 6)):
            for _ in range(draw.choice((1, 2))):
                world.at(START + timedelta(hours=hours), partial(world.start, "person", partial(scripts.operate, self)))

    def served(self, path: Path, decided: pl.DataFrame, runtime: Runtime) -> None:
        """Decisions are on disk, as far as their server knows: they must never be lost, and outcomes will follow."""
        for chosen, sets, each in decided.select("propensity", "propensities", "iteration_id").iter_rows():
            if not (0 < chosen <= 1 and abs(sum(sets) - 1) < 1e-9 and each == runtime.bundle.iteration_id):
                raise ViolationError(f"3: propensities {sets} of iteration {each}")
        self.promised[path] = decided
        rows = self._outcomes(rows_of(decided))
        moments = sorted({row["observed_at"] for row in rows})
        for moment in (moments[len(moments) // 2], moments[-1]) if moments else ():
            arrived = [row for row in rows if row["observed_at"] <= moment]
            rows = [row for row in rows if row not in arrived]
            late = timedelta(hours=self.world.draw.choice((0.0, 0.5, 9.0)))
            if arrived:
                self.world.at(max(moment, self.world.now) + late, partial(self._deliver, arrived))

    def _outcomes(self, decisions: list[Any]) -> list[dict[str, Any]]:
        """What comes of decisions: on time, late, never; twice, otherwise, too early, of nothing, out of range."""
        draw, rows = self.world.draw, []
        for decision in decisions:
            if draw.random() < 0.15:
                continue
            hours = draw.choice((0.5, 2.0, WINDOW / timedelta(hours=1), 8.0, 12.0))
            row = {
                "system": SYSTEM, "event_id": decision["event_id"], "revision": 0,
                "reward": float(draw.random() < 0.6), "observed_at": decision["decided_at"] + timedelta(hours=hours),
            }  # fmt: skip
            rows.append(row)
            odd = draw.random()
            if odd < 0.08:
                rows.append(dict(row))
            elif odd < 0.16:
                rows.append(
                    {**row, "reward": 1 - row["reward"], "observed_at": row["observed_at"] + timedelta(hours=1)}
                )
            elif odd < 0.22:
                rows.append(
                    {**row, "revision": 1, "reward": 0.5, "observed_at": row["observed_at"] + timedelta(hours=1)}
                )
            elif odd < 0.26:
                rows.append({**row, "revision": 2, "observed_at": decision["decided_at"] - timedelta(hours=1)})
            elif odd < 0.30:
                rows.append({**row, "event_id": f"x{row['event_id']}"})
            elif odd < 0.33:
                rows.append({**row, "revision": 3, "reward": 2.0})
        return rows

    def _deliver(self, rows: list[dict[str, Any]]) -> None:
        """A file of outcomes arrives: whole, torn on the way, announced before it is there, or under two names."""
        draw = self.world.draw
        for _ in range(1 if draw.random() < 0.9 else 2):
            self._files += 1
            path = self.folder / "upstream" / f"outcomes-{self._files:04d}.parquet"
            scripts.write_outcomes(path, rows)
            fate = draw.random()
            if fate < 0.08:
                whole = path.read_bytes()
                path.write_bytes(whole[: len(whole) // 2])
                self.poisoned.add(path.name)
                self.world.at(self.world.now + timedelta(hours=5), partial(self._deliver_again, path, whole))
            elif fate < 0.16:
                hidden = path.rename(path.with_suffix(".late"))
                self.world.at(self.world.now + timedelta(hours=4), partial(hidden.rename, path))
            self._announced.append(("outcomes", path))

    def _deliver_again(self, path: Path, whole: bytes) -> None:
        again = path.with_name(f"again-{path.name}")
        again.write_bytes(whole)
        self._announced.append(("outcomes", again))

    def waiting_files(self) -> list[tuple[str, Path]]:
        """Files that lie there and are not known to be in the store, in the order of their names."""
        logged = [("decisions", path) for path in sorted((self.data / "incoming").glob("[!.]*.parquet"))]
        return [(kind, path) for kind, path in logged + self._announced if path not in self.settled and path.exists()]

    def check_taught(self, loaded: payments_training.Rounds, as_of: datetime) -> None:
        """Invariants 2 and 8: what teaches is exactly what has closed, with the reward that stood when it closed."""
        expected = self.joiner.rounds(as_of, WINDOW, STUDY.maturity.default_reward)
        found = dict(zip(loaded.batch.logged.event_ids.to_list(), loaded.batch.reward.tolist(), strict=True))
        if found != expected:
            raise ViolationError(f"2: taught {set(found.items()) ^ set(expected.items())} otherwise")

    def check_loaded(self, runtime: Runtime) -> None:
        """Invariant 1: the bundle that decides was signed, and its certificate valid when it was promoted."""
        bundle = runtime.bundle
        if bundle.signed_by is None:
            raise ViolationError(f"1: {bundle.path} is served unsigned")
        self.registry.check_promoted(bundle)

    def _committed(self, connection: Connection) -> None:
        for name, token in connection.execute("select name, token from leases").fetchall():
            self.store.newest[name] = max(token, self.store.newest.get(name, 0))
        names = {name for (name,) in connection.execute("select name from ingested_files").fetchall()}
        for name in sorted(names - self._ingested):
            kind = "decisions" if name.startswith("decisions") else "outcomes"
            path = (self.data / "incoming" if kind == "decisions" else self.folder / "upstream") / name
            self.joiner.take(kind, rows_of(pl.read_parquet(path)))
            self.joiner.compare(connection)
        self._ingested = names
        self.registry.look(connection)

    def _moved(self) -> None:
        while self.disk.renamed:
            check_whole(self.disk.renamed.pop(), self.keys)

    def _power_lost(self) -> None:
        self.disk.lose_power()
        self.server.runtime = None
        for path, decided in self.promised.items():
            check_whole(path, self.keys)
            if not path.exists() or not pl.read_parquet(path).equals(decided):
                raise ViolationError(f"6: {path.name} was written, and a power loss took it")
        self.registry.check_everything(self.store.db)

    def _beat(self, worker: Worker, grant: Grant) -> None:
        with suppress(Exception):
            lease.renew(self.store, grant)  # type: ignore[arg-type]

    def _in_context(self, worker: Worker, script: Callable[[], None]) -> None:
        with written_to(self.disk):
            script()

    def _drain(self) -> None:
        """Invariant 9: once faults have ceased, everything arrives and a fresh certificate or a named reason comes."""
        world = self.world
        world.heal()
        world.run()
        world.now += timedelta(seconds=lease.SECONDS) + 3 * WINDOW
        while (waiting := self.waiting_files()) and not all(path.name in self.poisoned for _, path in waiting):
            self._alone("ingest", partial(scripts.ingest, self))
        if {name for name in self.joiner.waiting if not name[0].startswith("x")}:
            raise ViolationError(f"9: outcomes wait for decisions that have arrived: {list(self.joiner.waiting)[:3]}")
        last = self._alone("retrain", partial(scripts.retrain, self))
        before = self.registry.everything(self.store.db)
        again = self._alone("retrain", partial(scripts.retrain, self))
        if self.registry.everything(self.store.db) != before:
            raise ViolationError("5: the same retraining again changed something")
        if not self.joiner.rounds(files.heard_until(self.store.db, world.now), WINDOW, 0.0):
            if "No decisions" not in last.ended and "No round" not in last.ended:
                raise ViolationError(f"9: nothing to learn from, but the retraining said {last.ended!r}")
            return
        if last.ended != "done" or again.ended != "done":
            raise ViolationError(f"9: the last retrainings ended with {last.ended!r} and {again.ended!r}")
        self._check_fresh()

    def _alone(self, name: str, script: Callable[[Worker], None]) -> Worker:
        worker = self.world.start(name, script)
        self.world.run()
        return worker

    def _check_fresh(self) -> None:
        """There is a valid certificate on today's data; what bundles logged they derive again."""
        with told_by(lambda: self.world.now):
            decisions, outcomes = rounds.decisions(self.store.db, SYSTEM), rounds.outcomes(self.store.db, SYSTEM)
            as_of = files.heard_until(self.store.db, self.world.now)
            judged = judge(decisions, outcomes, STUDY.maturity, as_of)
            batch = matured_batch(judged)
            digest = training_manifest(batch, judged, STUDY.maturity, as_of).digest
            fresh = [
                found
                for name in self.registry.iterations
                if (found := newest_certificate(self.store, name)) and found.subject.data_digest == digest  # type: ignore[arg-type]
            ]
            if not fresh or max(each.expires_at for each in fresh) <= self.world.now.isoformat():
                raise ViolationError("9: no fresh certificate on today's data")
            for found in served_checks(self.store, self.data, batch.logged):  # type: ignore[arg-type]
                if found.status == "stop":
                    raise ViolationError(f"3: {found.sentence}")


def _times(every: float) -> list[float]:
    return [every * (number + 0.5) for number in range(int(24 * DAYS / every))]


@cache
def _template(folder: Path) -> Path:
    """A store in which the team's rule is live and exported, to begin every run with."""
    template = folder / "template"
    shutil.rmtree(template, ignore_errors=True)
    data = template / "data"
    (data / "incoming").mkdir(parents=True)
    store = Store(template / "store.duckdb")
    settings = scripts.settings_at(store, data, "setup")
    with told_by(lambda: START), ExitStack() as stack:
        for target, value in _REPLACED.items():
            stack.enter_context(patch(target, value))
        rule = payments_training.ensure_rule(settings, STUDY, scripts.ACTIONS)
        keep(store, rule.iteration_id, EVALUATION, evaluation(incumbent_id="nothing").as_json(), "nothing")
        scripts.certify_case(settings, rule.iteration_id, scripts.case(rule, "none"), STUDY.certificate, lambda _: None)
        from_iteration.export_iteration(store, data, rule.iteration_id, settings.bundles, "setup", "the rule", KEY)
        for number in range(3):
            _add_earlier(settings, rule.iteration_id, number)
    return template


def _add_earlier(settings: Any, rule_id: str, number: int) -> None:
    """An iteration from before the run, exported; the first is live, the others wait for a person."""
    made = _policies()[number]
    golden = pl.DataFrame({"event_id": ["g0", "g1"], "decided_at": [payments_training.GOLDEN_TIME] * 2,
                           "eligible": [list(scripts.ACTIONS)] * 2, "numeric_x": [0.5, -0.5],
                           "category_level": ["L0", "L1"]})  # fmt: skip
    files = {GRAPH: made.graph, SPEC: spec_json(made.spec), GOLDEN_ROWS: golden.write_json().encode()}
    inputs = Inputs(SYSTEM, f"earlier {number}", {"role": "candidate"}, {"digest": f"earlier {number}"}, 0, "code")
    candidate = registry.register(settings.store, settings.data, inputs, files, rule_id, "setup")
    name = candidate.iteration_id
    keep(settings.store, name, EVALUATION, evaluation(incumbent_id=rule_id).as_json(), rule_id)
    scripts.certify_case(settings, name, scripts.case(candidate, "earlier"), STUDY.certificate, lambda _: None)
    judge_iteration(settings.store, SYSTEM, name, rule_id, STUDY.gate, "setup")
    from_iteration.export_iteration(settings.store, settings.data, name, settings.bundles, "setup", None, KEY)
    if number == 0:
        promote(settings.store, name, "setup", "the first")


@cache
def _policies() -> tuple[Refit, ...]:
    """Fitted policies that stand for what a refit would give: fitting is not what is simulated."""
    made = []
    for seed in range(3):
        batch = bandit(300, seed, actions=3).batch
        batch = replace(batch, logged=replace(batch.logged, system=SYSTEM))
        made.append(refit(batch, RefitParams(default_action="a0"), 0.1, salt=f"salt {seed}"))
    return tuple(made)


def _stand_in(batch: Any, params: Any, noise_scale: float, salt: str, *_: Any) -> Refit:
    return _policies()[int(salt, 16) % 3]


@cache
def _lock() -> Any:
    return lock()


_ONE_BILL = bill_of_materials(SYSTEM, "any", {})
_REPLACED: dict[str, Any] = {
    "flows.payments_training.GOLDEN_ROUNDS": 4,
    "flows.payments_training.refit": _stand_in,
    "quaestor.export.from_iteration.lock": _lock,
    "quaestor.export.from_iteration.bill_of_materials": lambda *_: _ONE_BILL,
}
