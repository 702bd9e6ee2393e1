"""Textbook and reference figures of the exact yardsticks.

Serial: the reference page's table (Clark and Scarf; N(5, 2) clipped, holding .1, .2, .5, 1 from upstream to the store,
lead times 2, 4, 3 and the store's). The rest: Snyder and Shen 2019, "Fundamentals of Supply Chain Theory", examples
4.3, 4.6, 4.7 and 6.1.
"""

from __future__ import annotations

import pytest

from models.inventory.yardsticks.clark_scarf import serial_optimum
from models.inventory.yardsticks.grid_demand import normal_on_grid, poisson_on_grid
from models.inventory.yardsticks.newsvendor import grid_newsvendor, normal_newsvendor
from models.inventory.yardsticks.reorder_point import reorder_optimum

SERIAL = {
    (1, 4): 6.899, (1, 9): 8.367, (1, 19): 9.608, (1, 39): 10.701,
    (2, 4): 7.598, (2, 9): 9.261, (2, 19): 10.670, (2, 39): 11.913,
    (4, 4): 8.753, (4, 9): 10.734, (4, 19): 12.420, (4, 39): 13.910,
}  # fmt: skip


@pytest.mark.parametrize(("lead_time", "underage"), SERIAL)
def test_the_optimum_of_a_chain(lead_time: int, underage: int) -> None:
    """The page's figures are to three decimals; at L = 4, p = 4 the exact 8.75246 stands there as 8.753."""
    chain = serial_optimum(normal_on_grid(5.0, 2.0), (lead_time, 3, 4, 2), (1.0, 0.5, 0.2, 0.1), float(underage))
    assert chain.cost == pytest.approx(SERIAL[lead_time, underage], abs=0.00055)


def test_the_levels_of_a_chain() -> None:
    chain = serial_optimum(normal_on_grid(5.0, 2.0), (4, 3, 4, 2), (1.0, 0.5, 0.2, 0.1), 9.0)
    assert chain.levels == pytest.approx((32.36, 49.00, 72.82, 83.18), abs=0.01)


def test_the_chain_of_the_textbook() -> None:
    """Example 6.1: its costs include goods in transit, and count upstream stock before the period's demand."""
    chain = serial_optimum(normal_on_grid(5.0, 1.0), (0, 1, 2), (7.0, 4.0, 2.0), 37.12)
    in_transit = 5.0 * (4.0 * 0 + 2.0 * 1)
    assert chain.cost + in_transit + 5.0 * 4.0 == pytest.approx(47.65, abs=0.012)  # theirs: on a coarser grid
    assert chain.levels == pytest.approx((6.49, 12.02, 22.71), abs=0.015)


def test_the_newsvendors_of_the_textbook() -> None:
    normal = normal_newsvendor(50.0, 8.0, 0.18, 0.70)
    assert (normal.quantity, normal.cost) == (pytest.approx(56.60, abs=0.005), pytest.approx(1.9976, abs=5e-5))
    poisson = grid_newsvendor(poisson_on_grid(50.0), 0.18, 0.70)
    assert (poisson.quantity, poisson.cost) == (56.0, pytest.approx(1.797235, abs=5e-7))


def test_the_reorder_point_of_the_textbook() -> None:
    optimum = reorder_optimum(poisson_on_grid(6.0), 0, 1.0, 4.0, 5.0)
    assert (optimum.reorder_point, optimum.up_to) == (4.0, 10.0)
    assert optimum.cost == pytest.approx(8.034111561, abs=1e-8)
