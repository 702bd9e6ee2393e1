"""Decisions on payments over HTTP, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from quaestor.export.records import Records, as_json
from quaestor.export.service.deployment import Deployment
from quaestor.export.service.desk import Route, held
from quaestor.export.service.documentation import decide_documentation, outcome_documentation
from quaestor.export.service.memory import Recent
from quaestor.export.service.metrics import Metrics
from quaestor.export.service.parsing import decision_rows, outcome_record
from quaestor.export.service.refusal import RefusedError

_ANSWERED = ("event_id", "decided_at", "iteration_id", "eligible", "propensities", "action", "propensity", "fallback")


class PaymentsDesk:
    """Decides payments and takes their outcomes."""

    def __init__(self, deployment: Deployment, records: Records, metrics: Metrics) -> None:
        self._deployment, self._records, self._metrics = deployment, records, metrics
        self._decided: Recent[tuple[str, str, datetime]] = Recent()  # asked, answered, when
        self._outcomes: Recent[str] = Recent()

    @property
    def routes(self) -> Mapping[str, Route]:
        """Its routes by path."""
        bundle = self._deployment.live.bundle
        return {
            "/v1/decide": Route(
                self.decide, "caller", "Decide one payment, or a list; the same event always gets the same decision.",
                decide_documentation(bundle),
            ),
            "/v1/outcome": Route(
                self.outcome, "caller", "Report what became of a payment.", outcome_documentation()
            ),
        }  # fmt: skip

    def decide(self, body: bytes) -> tuple[int, bytes]:
        """Decides the rows of a request; a repeated event gets the decision that it got before."""
        live = self._deployment.live
        rows, is_list = decision_rows(body, live.fields, live.actions)
        answers = [self._decide_row(row) for row in rows]
        return 200, (f"[{','.join(answers)}]" if is_list else answers[0]).encode()

    def outcome(self, body: bytes) -> tuple[int, bytes]:
        """Keeps an outcome; ingest joins it to its decision."""
        record = outcome_record(body, self._deployment.live.bundle.system)
        name, content = (record["event_id"], record["revision"]), as_json(record)
        before, decided = self._outcomes.get(name), self._decided.get(record["event_id"])
        if before is not None and before != content:
            self._metrics.outcomes["conflict"] += 1
            raise RefusedError(
                "conflict", "Another outcome of this event and revision was reported; neither overwrites it."
            )
        if decided is not None and record["observed_at"] < decided[2]:
            self._metrics.outcomes["early"] += 1
            raise RefusedError(
                "early", "The outcome was observed before its decision; check the clocks.", "observed_at"
            )
        state = "accepted" if before is None else "duplicate"
        if before is None:
            held(lambda: self._records.append("outcomes", record))
            self._outcomes.keep(name, content)
        self._metrics.outcomes[state] += 1
        return 202, as_json({"event_id": record["event_id"], "state": state}).encode()

    def _decide_row(self, row: dict[str, Any]) -> str:
        event_id, asked = row["event_id"], repr(sorted(row.items()))
        before = self._decided.get(event_id)
        if before is not None:
            if before[0] != asked:
                raise RefusedError("conflict", "This event was decided already, from other features.", "event_id")
            self._metrics.repeated += 1
            return before[1]
        start = time.perf_counter()
        record, draw = self._deployment.live.runtime.single.decide(row)
        self._metrics.decided(record["action"], record["fallback"], time.perf_counter() - start)
        answer = as_json({name: record[name] for name in _ANSWERED})
        rest = as_json({name: value for name, value in record.items() if name not in _ANSWERED})
        held(lambda: self._records.decision(record, draw, f"{answer[:-1]},{rest[1:]}"))
        # Text alone is kept: objects that live on are what the garbage collector stops every request for.
        self._decided.keep(event_id, (asked, answer, record["decided_at"]))
        return answer
