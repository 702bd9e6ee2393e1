"""kill -9 at random moments of each flow: what is torn, lost or doubled afterwards, and how many runs are resumed.

Half of the moments are drawn over the steps on disk and store, half over the time that the flow takes. After each kill
the files and the store are checked as they lie there; then the flow is started again and its result is compared, row by
row and iteration by iteration, with that of a run that was never killed. A run counts as resumed where it comes to that
end and says what it picked up, if the killed one had left a lease behind.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import Row, options, report
from benchmarks.drills.state import content, left_behind

if TYPE_CHECKING:
    from benchmarks.drills.flows import Ended

FLOWS = ("ingest", "payments", "inventory", "certify", "export")
LONGEST = 300.0


@dataclass(frozen=True)
class Straight:
    """A run that was not killed: its content afterwards, how long it took and in how many steps."""

    content: Counter[str]
    seconds: float
    steps: int


def main() -> None:
    """Drills each flow."""
    parser = options(__doc__ or "")
    parser.add_argument("--kills", type=int, default=20, help="of each flow")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flows", nargs="+", choices=FLOWS, default=FLOWS)
    arguments = parser.parse_args()
    kills, flows = (2, ("ingest", "export")) if arguments.quick else (arguments.kills, arguments.flows)
    report(drill(flows, kills, arguments.seed), arguments.json)


def drill(flows: tuple[str, ...], kills: int, seed: int) -> list[Row]:
    """One row a flow, against one Prefect server and scratch stores in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="quaestor-drill-") as name:
        scratch = Path(name)
        os.environ["PREFECT_HOME"] = str(scratch / "prefect")
        (scratch / "prefect").mkdir()
        os.environ.update(PREFECT_LOGGING_TO_API_ENABLED="false", OMP_NUM_THREADS="1", QUAESTOR_ACTOR="drill")
        from flows.server import local_server

        with local_server() as url:
            os.environ["PREFECT_API_URL"] = url
            return Drill(scratch, seed).rows(flows, kills)


class Drill:
    """Scratch folders and a process from which drilled runs are forked, with everything imported."""

    def __init__(self, scratch: Path, seed: int) -> None:
        from benchmarks.drills.flows import write_inputs

        self.scratch, self.draw = scratch, random.Random(seed)
        self.inputs = scratch / "inputs"
        self.context = get_context("forkserver")
        self.context.set_forkserver_preload(["benchmarks.drills.flows"])
        write_inputs(self.inputs)
        self._begun: dict[tuple[str, ...], Path] = {}

    def rows(self, flows: tuple[str, ...], kills: int) -> list[Row]:
        """The figures of each flow."""
        return [self.row(flow, kills) for flow in flows]

    def row(self, flow: str, kills: int) -> Row:
        """Kills one flow so many times."""
        from benchmarks.drills.flows import BEGINS, prepare

        template = self.scratch / f"template-{flow}"
        shutil.copytree(self._after(BEGINS[flow]), template)
        prepare(flow, template)
        straight = self._straight(flow, template)
        row: Row = {"flow": flow, "kills": 0, "torn": 0, "lost": 0, "doubled": 0, "resumed": 0}
        while row["kills"] < kills:
            data = self.scratch / "data"
            shutil.rmtree(data, ignore_errors=True)
            shutil.copytree(template, data)
            if not self._kill(flow, data, straight):
                continue  # it had ended before
            row["kills"] += 1
            row["torn"] += _torn(data)
            picked_up = left_behind(data)
            ended = self._run(flow, data)
            found = content(data)
            lost, doubled = (sum(rest.values()) for rest in (straight.content - found, found - straight.content))
            row["lost"], row["doubled"] = row["lost"] + lost, row["doubled"] + doubled
            row["torn"] += _torn(data)
            said = any("picked up from an earlier run" in line for line in ended.picked_up)
            row["resumed"] += int(not ended.error and not lost + doubled and (said or not picked_up))
        return row

    def _after(self, done: tuple[str, ...]) -> Path:
        """A data folder in which these flows have run."""
        if done not in self._begun:
            data = self.scratch / f"after-{'-'.join(done) or 'nothing'}"
            if done:
                shutil.copytree(self._after(done[:-1]), data)
                self._run(done[-1], data, must=True)
            else:
                data.mkdir()
            self._begun[done] = data
        return self._begun[done]

    def _straight(self, flow: str, template: Path) -> Straight:
        data = self.scratch / f"straight-{flow}"
        shutil.copytree(template, data)
        started = time.monotonic()
        ended = self._run(flow, data, must=True)
        return Straight(content(data), time.monotonic() - started, ended.steps)

    def _run(self, flow: str, data: Path, must: bool = False) -> Ended:
        from benchmarks.drills.flows import Ended, child

        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=child, args=(flow, self.inputs, data, None, theirs))
        process.start()
        theirs.close()
        try:
            ended = ours.recv() if ours.poll(LONGEST) else Ended(0, (), f"it did not end within {LONGEST:.0f} s")
        except EOFError:
            ended = Ended(0, (), "it ended without a word")
        process.kill()
        process.join()
        if must and ended.error:
            raise RuntimeError(f"{flow} failed without being killed: {ended.error}")
        return ended

    def _kill(self, flow: str, data: Path, straight: Straight) -> bool:
        """Starts a run and kills it; False where it was faster."""
        from benchmarks.drills.flows import child

        by_step = self.draw.random() < 0.5
        kill_at = self.draw.randint(1, straight.steps) if by_step else None
        seconds = LONGEST if by_step else self.draw.uniform(0.0, straight.seconds)
        _ours, theirs = self.context.Pipe()
        process = self.context.Process(target=child, args=(flow, self.inputs, data, kill_at, theirs))
        process.start()
        theirs.close()
        process.join(seconds)
        killed = process.exitcode is None or process.exitcode == -9
        process.kill()
        process.join()
        return killed


def _torn(data: Path) -> int:
    from quaestor.registry.integrity import damages
    from quaestor.store import Store

    return len(damages(Store(data / "quaestor.duckdb"), data))


if __name__ == "__main__":
    main()
