"""Our exact yardsticks beside Stockpyl's on textbook instances: newsvendor, (s, S) and serial.

Stockpyl lives in an environment of its own (benchmarks/peers/stockpyl.txt): `--peers PYTHON` names its Python, or the
variable QUAESTOR_STOCKPYL.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import options, report
from models.inventory.yardsticks.clark_scarf import serial_optimum
from models.inventory.yardsticks.grid_demand import normal_on_grid, poisson_on_grid
from models.inventory.yardsticks.newsvendor import grid_newsvendor, normal_newsvendor
from models.inventory.yardsticks.reorder_point import reorder_optimum
from quaestor.errors import UsageError

NORMAL = ((50.0, 8.0, 0.18, 0.70), (5.0, 1.6, 1.0, 9.0), (100.0, 30.0, 2.0, 38.0))
"""Mean, deviation, holding, underage; the first is Example 4.3 of Snyder and Shen 2019."""

POISSON = ((50.0, 0.18, 0.70), (6.0, 1.0, 9.0), (0.7, 1.0, 4.0))
"""Mean, holding, underage."""

FIXED = ((6.0, 1.0, 4.0, 5.0), (20.0, 0.18, 0.70, 2.5), (10.0, 1.0, 9.0, 64.0), (2.0, 1.0, 19.0, 24.0))
"""Mean of Poisson demand, holding, underage, order cost; the first is Example 4.7 of Snyder and Shen 2019."""

SERIAL = (
    (5.0, 1.0, (0, 1, 2), (7.0, 4.0, 2.0), 37.12),
    (5.0, 0.8, (1, 3, 4, 2), (1.0, 0.5, 0.2, 0.1), 9.0),
    (20.0, 3.0, (4, 2), (1.0, 0.6), 19.0),
)
"""Mean, deviation, lead times and holding costs from the store upstream, underage; the first is Example 6.1."""

PEER = Path(__file__).parent / "peers" / "stockpyl_costs.py"


def main() -> None:
    """Rows: problem, instance, ours, theirs, difference (of the optimal cost), relative; ours alone without a peer."""
    parser = options(__doc__)
    parser.add_argument("--peers", type=Path, default=os.environ.get("QUAESTOR_STOCKPYL"), help="Python with Stockpyl")
    arguments = parser.parse_args()
    ours = _ours()
    if arguments.peers is None:
        print("No environment with Stockpyl was named: give --peers PYTHON or set QUAESTOR_STOCKPYL to compare.")
        report([{"problem": p, "instance": i, "ours": cost} for p, i, cost in ours], arguments.json)
        return
    theirs = _theirs(arguments.peers, 1000 if arguments.quick else 2000)
    rows = [
        {
            "problem": problem,
            "instance": instance,
            "ours": cost,
            "theirs": peer,
            "difference": cost - peer,
            "relative": abs(cost - peer) / peer,
        }
        for (problem, instance, cost), peer in zip(ours, theirs, strict=True)
    ]
    report(rows, arguments.json)


def _ours() -> list[tuple[str, str, float]]:
    answers = [("newsvendor, normal", str(given), normal_newsvendor(*given).cost) for given in NORMAL]
    for mean, holding, underage in POISSON:
        newsvendor = grid_newsvendor(poisson_on_grid(mean), holding, underage)
        answers.append(("newsvendor, Poisson", str((mean, holding, underage)), newsvendor.cost))
    for mean, holding, underage, order_cost in FIXED:
        reorder = reorder_optimum(poisson_on_grid(mean), 0, holding, underage, order_cost)
        answers.append(("(s, S)", str((mean, holding, underage, order_cost)), reorder.cost))
    for given in SERIAL:
        mean, deviation, leads, holding_costs, underage = given
        serial = serial_optimum(normal_on_grid(mean, deviation), leads, holding_costs, underage)
        answers.append(("serial", str(given), serial.cost + _held_in_transit(mean, leads, holding_costs)))
    return answers


def _held_in_transit(mean: float, leads: tuple[int, ...], holding: tuple[float, ...]) -> float:
    """What Stockpyl charges and we do not: each stage's holding cost on goods on their way down from it, and
    upstream stock counted before a period's demand rather than after it."""
    return mean * (sum(cost * lead for cost, lead in zip(holding[1:], leads[:-1], strict=True)) + holding[1])


def _theirs(peer: Path, cells: int) -> list[float]:
    serial = [
        # Their store pays as goods arrive, ours one period's demand later: one period more of lead time.
        (mean, deviation, (leads[0] + 1, *leads[1:]), _echelon(holding), underage)
        for mean, deviation, leads, holding, underage in SERIAL
    ]
    given: dict[str, Any] = {"normal": NORMAL, "poisson": POISSON, "fixed": FIXED, "serial": serial, "cells": cells}
    done = subprocess.run(
        [str(peer), "-W", "ignore", str(PEER)], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UsageError(f"Stockpyl did not answer in {peer}: {last}")
    answers: list[float] = json.loads(done.stdout)
    return answers


def _echelon(holding: tuple[float, ...]) -> list[float]:
    return [below - above for below, above in zip(holding, (*holding[1:], 0.0), strict=True)]


if __name__ == "__main__":
    main()
