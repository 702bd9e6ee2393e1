"""The runtime: `load` a bundle, then `decide`; needs numpy and onnxruntime, and neither torch nor a database.

>>> policy = load("bundle.zip", keys="trusted.pem")                                               # doctest: +SKIP
>>> policy.decide({"event_id": "p-1", "numeric_amount": 12.5, "category_issuer": "I7"})["action"]  # doctest: +SKIP
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaestor.errors import QuaestorError, UsageError
from quaestor.export.signature import Keys, find_keys

if TYPE_CHECKING:
    from quaestor.export.bundle import Bundle
    from quaestor.export.single import Draw, Record, SingleDecisions
    from quaestor.export.single_orders import SingleOrders


@dataclass(frozen=True)
class Runtime:
    """A checked bundle that decides. It may be used from several threads at once."""

    bundle: Bundle

    def decide(self, rows: Any) -> Any:
        """Decides a row (a mapping), a list of rows, or a frame (polars, arrow, pandas); returns the same kind.

        Payments give decision records in the format that ingest takes; inventory gives orders, one row an edge.
        The same rows give the same decisions, alone or together. Raises UsageError for rows that are not what the
        manifest declares.
        """
        if isinstance(rows, Mapping):
            return self.decide_one(rows)[0] if self._is_payments else self._frame([rows]).to_dicts()
        if isinstance(rows, list | tuple):
            if self._is_payments:
                return [self.decide_one(row)[0] for row in rows]
            return self._frame(list(rows)).to_dicts()
        return _as_kind(self._frame(rows), rows)

    def decide_one(self, row: Mapping[str, Any]) -> tuple[Record, Draw]:
        """The decision record of one payment, and the chance behind it: its seed and its noise."""
        return self.single.decide(row)

    @property
    def _is_payments(self) -> bool:
        return self.bundle.policy.spec.kind == "payments"

    @cached_property
    def single(self) -> SingleDecisions:
        """Decisions on one payment, as a service makes them; raises UsageError for an inventory bundle."""
        from quaestor.export.payments_policy import PaymentsPolicy
        from quaestor.export.single import SingleDecisions

        if not isinstance(self.bundle.policy, PaymentsPolicy):
            raise UsageError(f"{self.bundle.system!r} is an inventory system; give its rows to decide().")
        return SingleDecisions(self.bundle.policy, self.bundle.iteration_id)

    @cached_property
    def single_orders(self) -> SingleOrders:
        """Orders of one product, as a service gives them; raises UsageError for a payments bundle."""
        from quaestor.export.inventory_policy import InventoryPolicy
        from quaestor.export.single_orders import SingleOrders

        if not isinstance(self.bundle.policy, InventoryPolicy):
            raise UsageError(f"{self.bundle.system!r} is a payments system; it orders nothing.")
        return SingleOrders(self.bundle.policy, self.bundle.iteration_id)

    def _frame(self, rows: Any) -> Any:
        import polars as pl

        from quaestor.export.decide import decide

        try:
            frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows, infer_schema_length=None)
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            cause = str(error).splitlines()[0]
            raise UsageError(
                f"Expected a mapping, a list of mappings or a frame, found {type(rows)}: {cause}"
            ) from None
        return decide(self.bundle.policy, frame, self.bundle.iteration_id)


def load(
    bundle: Path | str, keys: Keys | Path | str | None = None, after: int | None = None, quiet: bool = False
) -> Runtime:
    """Loads a bundle, folder or archive, after checking it: signature, digests, graph, certificate, golden choices.

    keys: the trusted public keys, or a PEM file of them; those of QUAESTOR_KEYS where None. With keys, one of them
    must have signed the bundle; without, a warning says that its origin is unknown, unless `quiet`. after: the
    serial number that it must not fall behind. Raises QuaestorError for the first thing that does not hold.
    """
    try:
        from quaestor.export.bundle import open_bundle
    except ModuleNotFoundError as error:
        raise QuaestorError(f"The runtime needs {error.name}: pip install 'quaestor[runtime]'.") from None
    trusted = keys if isinstance(keys, Keys) else find_keys([keys] if keys is not None else [])
    opened = open_bundle(Path(bundle), trusted, after)
    if opened.signed_by is None and not quiet:
        logging.getLogger("quaestor").warning("%s: %s", opened.path, opened.trust())
    return Runtime(opened)


def _as_kind(decided: Any, like: Any) -> Any:
    library = type(like).__module__.split(".")[0]
    if library == "pyarrow":
        return decided.to_arrow()
    return decided.to_pandas() if library == "pandas" else decided


__all__ = ["Runtime", "load"]
