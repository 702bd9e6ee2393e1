"""Orders of a supply network over HTTP."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from quaestor.errors import QuaestorError, UsageError
from quaestor.export.inventory_policy import InventoryPolicy
from quaestor.export.records import Records, as_json
from quaestor.export.service.deployment import Deployment
from quaestor.export.service.desk import Route, held
from quaestor.export.service.documentation import orders_documentation
from quaestor.export.service.memory import Recent
from quaestor.export.service.metrics import Metrics
from quaestor.export.service.parsing import order_rows
from quaestor.export.service.refusal import RefusedError

_ANSWERED = ("product", "period", "decided_at", "iteration_id")


class OrdersDesk:
    """Orders for products, each once a period."""

    def __init__(self, deployment: Deployment, records: Records, metrics: Metrics) -> None:
        self._deployment, self._records, self._metrics = deployment, records, metrics
        self._decided: Recent[tuple[str, str]] = Recent()  # asked, answered

    @property
    def routes(self) -> Mapping[str, Route]:
        """Its routes by path."""
        says = "Order one product for one period, or a list of them; asked again, the orders are the same."
        return {"/v1/orders": Route(self.order, "caller", says, orders_documentation(self._deployment.live.bundle))}

    def order(self, body: bytes) -> tuple[int, bytes]:
        """Orders for the rows of a request; a product and period that was asked before gets the orders it got."""
        policy = self._deployment.live.bundle.policy
        assert isinstance(policy, InventoryPolicy)
        rows, is_list = order_rows(body, policy.shapes())
        answers = [self._order_row(row) for row in rows]
        return 200, (f"[{','.join(answers)}]" if is_list else answers[0]).encode()

    def _order_row(self, row: dict[str, Any]) -> str:
        name, asked = (row["product"], row["period"]), repr(sorted(row.items()))
        before = self._decided.get(name)
        if before is not None:
            if before[0] != asked:
                raise RefusedError(
                    "conflict", "This product and period was ordered already, from other observations.", "period"
                )
            self._metrics.repeated += 1
            return before[1]
        start = time.perf_counter()
        try:
            record, noise = self._deployment.live.runtime.single_orders.decide(row)
        except (UsageError, QuaestorError) as error:
            raise RefusedError("out_of_range", str(error)) from None
        self._metrics.decided("orders", False, time.perf_counter() - start)
        held(lambda: self._records.orders(record, noise))
        edges = zip(record["sources"], record["targets"], record["units"], strict=True)
        orders = [{"source": source, "target": target, "units": units} for source, target, units in edges]
        answer = as_json({name: record[name] for name in _ANSWERED} | {"orders": orders})
        self._decided.keep(name, (asked, answer))
        return answer
