"""Counts what the service does, in the text format of Prometheus; every label has few values."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from quaestor.export.records import Records
from quaestor.export.service.deployment import Deployment

BOUNDS = (2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2e-2)
"""Of the histogram of decision times, in seconds."""


class Metrics:
    """Counters since the start."""

    def __init__(self) -> None:
        self.decisions: Counter[tuple[str, bool]] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.repeated = 0
        self._times = [0] * (len(BOUNDS) + 1)
        self._total = 0.0

    def decided(self, action: str, fallback: bool, seconds: float) -> None:
        """Counts one decision."""
        self.decisions[action, fallback] += 1
        self._times[bisect_left(BOUNDS, seconds)] += 1
        self._total += seconds

    def text(self, deployment: Deployment, records: Records, refused: dict[str, int]) -> str:
        """Everything, as Prometheus reads it."""
        bundle = deployment.live.bundle
        made = {f'action="{_escaped(a)}",fallback="{str(f).lower()}"': n for (a, f), n in self.decisions.items()}
        live = f'iteration="{bundle.iteration_id[:12]}",signed="{str(bundle.signed_by is not None).lower()}"'
        lines = [
            *_counter("decisions_total", "Decisions by action and whether the default was taken", made),
            *_counter("repeats_total", "Decisions asked for again and answered from memory", {"": self.repeated}),
            *_counter("outcomes_total", "Outcomes by what became of them",
                      {f'state="{state}"': n for state, n in self.outcomes.items()}),
            *_counter("refused_total", "Requests refused, by code", {f'code="{c}"': n for c, n in refused.items()}),
            *_counter("swaps_total", "Bundles offered while running, by what became of them",
                      {f'result="{result}"': n for result, n in deployment.swaps.items()}),
            *_counter("records_written_total", "Records on disk", {"": records.written}),
            *_gauge("records_waiting", "Records not on disk yet", {"": records.waiting}),
            *_gauge("records_problem", "1 while the disk takes no records", {"": int(records.problem is not None)}),
            *_gauge("bundle_serial", "Serial number of the live iteration", {live: bundle.serial}),
            *self._histogram(),
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def _histogram(self) -> list[str]:
        name = "quaestor_decision_seconds"
        lines, below = [f"# HELP {name} Time of a decision in the runtime", f"# TYPE {name} histogram"], 0
        for bound, count in zip((*BOUNDS, "+Inf"), self._times, strict=True):
            below += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {below}')
        return [*lines, f"{name}_sum {self._total}", f"{name}_count {below}"]


def _counter(name: str, what: str, values: dict[str, int]) -> list[str]:
    return _lines(name, "counter", what, values)


def _gauge(name: str, what: str, values: dict[str, int]) -> list[str]:
    return _lines(name, "gauge", what, values)


def _lines(name: str, kind: str, what: str, values: dict[str, int]) -> list[str]:
    head = [f"# HELP quaestor_{name} {what}", f"# TYPE quaestor_{name} {kind}"]
    return head + [
        f"quaestor_{name}{{{labels}}} {n}" if labels else f"quaestor_{name} {n}" for labels, n in values.items()
    ]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
