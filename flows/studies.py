"""Studies of either kind. What needs only one kind imports that kind alone: a payments run does without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flows.payments_study import PaymentsStudy, read_payments_study
from quaestor.study import read_toml

if TYPE_CHECKING:
    from flows.inventory_study import InventoryStudy


def read_study(path: Path) -> PaymentsStudy | InventoryStudy:
    """Reads a study of either kind; raises UsageError for anything it does not name."""
    if read_toml(path).get("kind") != "inventory":
        return read_payments_study(path)
    from flows.inventory_study import read_inventory_study

    return read_inventory_study(path)
