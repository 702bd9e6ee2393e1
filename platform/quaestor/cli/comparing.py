"""The table of a played candidate against its yardsticks."""

from __future__ import annotations

from collections.abc import Sequence

from quaestor.cli.output import print_table
from quaestor.registry.comparison import Compared


def print_comparison(unit: str, evaluated_on: str, compared: Sequence[Compared]) -> None:
    """Prints each policy's cost, and the candidate's cost minus it where both met the same demand."""
    print_table(
        f"Cost on {evaluated_on}, as deployed", ("policy", unit, "candidate minus it"), [_row(c) for c in compared]
    )


def _row(compared: Compared) -> list[str]:
    difference = compared.difference
    if difference is None:
        return [compared.policy, f"{compared.cost:.4f}", ""]
    interval = f"{difference.value:+.4f} ({difference.lower:+.4f} to {difference.upper:+.4f})"
    return [compared.policy, f"{compared.cost:.4f}", interval]
