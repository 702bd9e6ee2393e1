"""The runtime: `load` a bundle, then `decide`; needs onnxruntime, and neither torch nor a database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from quaestor.export.bundle import Bundle, open_bundle
from quaestor.export.decide import decide


@dataclass(frozen=True)
class Runtime:
    """A checked bundle that decides."""

    bundle: Bundle

    def decide(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Decides every row: decision records for payments, orders for inventory; see `quaestor.export.decide`."""
        return decide(self.bundle.policy, rows, self.bundle.iteration_id)


def load(folder: Path | str) -> Runtime:
    """Loads a bundle after checking it; raises QuaestorError when it was changed or does not repeat its choices."""
    return Runtime(open_bundle(Path(folder)))


__all__ = ["Runtime", "load"]
