"""The bound that is named for a network is the right one, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.inventory.demand_law import DemandLaw
from models.inventory.instances import Instance, one_store_backlogged, one_store_lost, serial, transshipment
from models.inventory.network import Edge, Network, Node
from models.inventory.yardsticks.known import known_bound


@pytest.mark.parametrize(
    ("instance", "cost"),
    [
        (one_store_lost(1, 4.0), 4.0407),
        (one_store_lost(2, 9.0), 6.0936),
        (one_store_backlogged(4, 9.0), 6.277),
        (one_store_backlogged(10, 39.0), 12.402),
        (serial(4, 9.0), 10.734),
        (serial(1, 39.0), 10.701),
    ],
)
def test_known_optima_are_those_of_the_reference_table(instance: Instance, cost: float) -> None:
    found = known_bound(instance.network, instance.demand)
    assert found is not None
    assert found.exact
    assert found.cost == pytest.approx(cost, abs=6e-4)


def test_a_cross_dock_has_a_lower_bound_only_while_its_stores_are_alike() -> None:
    instance = transshipment(3, 2, 9.0, 0.5, 0)
    found = known_bound(instance.network, instance.demand)
    assert found is not None
    assert not found.exact
    first = instance.network.stores[0]
    nodes = tuple(replace(n, underage_cost=4.0) if n == first else n for n in instance.network.nodes)
    assert known_bound(replace(instance.network, nodes=nodes), instance.demand) is None


def test_a_fixed_cost_of_orders_has_the_best_reorder_point_for_an_optimum() -> None:
    """A cost of nearly 0 leaves the newsvendor's optimum; a real one costs less than ordering each period."""
    instance = one_store_backlogged(4, 9.0)
    (edge,) = instance.network.edges
    cheap, dear = (replace(instance.network, edges=(replace(edge, order_cost=cost),)) for cost in (1e-9, 30.0))
    (nearly_none, some) = (known_bound(network, instance.demand) for network in (cheap, dear))
    assert nearly_none is not None
    assert some is not None
    assert nearly_none.exact
    assert nearly_none.cost == pytest.approx(6.277, rel=1e-3)
    assert nearly_none.cost + 30.0 > some.cost > nearly_none.cost + 5.0
    chain = serial(2, 9.0)
    first = replace(chain.network.edges[0], order_cost=10.0)
    assert known_bound(replace(chain.network, edges=(first, *chain.network.edges[1:])), chain.demand) is None


def test_no_bound_is_named_where_none_is_known() -> None:
    instance = serial(2, 9.0)
    paid = tuple(replace(edge, unit_cost=0.5) for edge in instance.network.edges)
    assert known_bound(replace(instance.network, edges=paid), instance.demand) is None
    forked = Network(
        "fork",
        "backlogged",
        (
            Node("supplier", "supplier"),
            Node("hub", "warehouse", 0.1),
            Node("a", "store", 1, 9),
            Node("b", "store", 1, 9),
        ),
        (Edge("supplier", "hub", 1), Edge("hub", "a", 1), Edge("hub", "b", 1)),
    )
    assert known_bound(forked, DemandLaw("normal", (5.0, 5.0), (1.0, 1.0))) is None
