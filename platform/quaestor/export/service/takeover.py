"""Whether a new bundle may take over: it must read what callers send, decide the same kind of thing, and be quick."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from quaestor.errors import QuaestorError
from quaestor.export.bundle import GOLDEN, Bundle
from quaestor.export.inventory_policy import InventoryPolicy
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.runtime import Runtime
from quaestor.export.strict_json import strict_json

SLOWEST_SECONDS = 0.005
"""A decision of a new bundle may take this long (median over its golden rows) before it is refused as too slow."""

TRIED = 100


@dataclass(frozen=True)
class Live:
    """What decides now: the runtime, the fields that callers may send, and a payments policy's actions."""

    runtime: Runtime
    fields: frozenset[str]
    actions: frozenset[str]

    @property
    def bundle(self) -> Bundle:
        """The bundle behind it."""
        return self.runtime.bundle


def take_over(runtime: Runtime, before: Live | None, also_log: frozenset[str] = frozenset()) -> Live:
    """What goes live with a new bundle; raises QuaestorError where it may not follow the one before.

    also_log: features that callers may send for the record although the policy does not read them.
    """
    bundle, policy = runtime.bundle, runtime.bundle.policy
    if before is not None and bundle.system != before.bundle.system:
        raise QuaestorError(f"{bundle.path} is of system {bundle.system!r}; {before.bundle.system!r} is served here.")
    if isinstance(policy, InventoryPolicy):
        fields, actions = frozenset(policy.shapes()), frozenset[str]()
        if before is not None:
            _refuse_another_network(policy, before)
    else:
        spec = policy.spec
        fields = frozenset(
            [f"numeric_{f.name}" for f in spec.features.numeric]
            + [f"category_{f.name}" for f in spec.features.category]
        )
        actions = frozenset(spec.actions)
        if before is not None:
            _refuse_other_requests(policy, fields, before)
    _refuse_slow(runtime)
    return Live(runtime, fields | also_log | (before.fields if before else frozenset()), actions)


def _refuse_other_requests(policy: PaymentsPolicy, fields: frozenset[str], before: Live) -> None:
    if not fields <= before.fields:
        missing = ", ".join(sorted(fields - before.fields))
        raise QuaestorError(
            f"The new bundle reads {missing}, which callers do not send yet; restart the service with it then."
        )
    live = before.bundle.policy
    if not isinstance(live, PaymentsPolicy) or policy.spec.actions != live.spec.actions:
        raise QuaestorError("The new bundle has other actions than the live one; restart the service with it.")


def _refuse_another_network(policy: InventoryPolicy, before: Live) -> None:
    live = before.bundle.policy
    for name in ("places", "stores", "edges", "lead", "window", "calendar", "own_terms"):
        wanted, found = getattr(live.spec, name, None), getattr(policy.spec, name)
        if wanted != found:
            raise QuaestorError(f"The new bundle has other {name} than the live one; restart the service with it.")


def _refuse_slow(runtime: Runtime) -> None:
    rows: list[dict[str, Any]] = strict_json(runtime.bundle.files[GOLDEN])["rows"]
    if isinstance(runtime.bundle.policy, PaymentsPolicy):
        rows = rows or [{"event_id": "warm-up"}]
    decide = (
        runtime.single.decide if isinstance(runtime.bundle.policy, PaymentsPolicy) else runtime.single_orders.decide
    )
    taken = []
    for golden in (rows * TRIED)[:TRIED]:
        start = time.perf_counter()
        decide(golden)
        taken.append(time.perf_counter() - start)
    median = sorted(taken)[len(taken) // 2] if taken else 0.0
    if median > SLOWEST_SECONDS:
        raise QuaestorError(
            f"{runtime.bundle.path} takes {median * 1e3:.1f} ms for a decision; "
            f"{SLOWEST_SECONDS * 1e3:g} ms are allowed."
        )
