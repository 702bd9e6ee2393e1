"""A network is read from TOML as written, and one that cannot be is refused with a sentence that helps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.inventory.layout import layout_of
from models.inventory.network import Edge, Network, network_from, read_network
from quaestor.errors import UsageError
from tests.conftest import STUDIES
from tests.models.inventory.networks import two_level

GOOD = """
name = "small"
unmet_demand = "lost"
nodes = [
    { name = "shop", kind = "store", holding_cost = 1, underage_cost = 9.0 },
    { name = "mill", kind = "supplier" },
    { name = "depot", kind = "warehouse", holding_cost = 0.5 },
]
edges = [
    { source = "depot", target = "shop", lead_time = 2 },
    { source = "mill", target = "depot", lead_time = 3, unit_cost = 0.25 },
]
"""


def read(tmp_path: Path, text: str) -> Network:
    path = tmp_path / "network.toml"
    path.write_text(text, encoding="utf-8")
    return read_network(path)


def test_a_network_is_read_as_written(tmp_path: Path) -> None:
    network = read(tmp_path, GOOD)
    assert (network.name, network.unmet_demand, network.longest_lead_time) == ("small", "lost", 3)
    assert [place.name for place in network.places] == ["depot", "shop"]
    assert network.stores[0].underage_cost == 9.0
    assert network.edges[1] == Edge("mill", "depot", 3, 0.25)


def test_the_layout_numbers_warehouses_then_stores_then_suppliers(tmp_path: Path) -> None:
    layout = layout_of(read(tmp_path, GOOD))
    assert (layout.places, layout.stores, layout.nodes, layout.edges, layout.depth) == (2, 1, 3, 2, 2)
    assert layout.source.tolist() == [0, 2]
    assert layout.target.tolist() == [1, 0]
    assert layout.holding_cost.tolist() == [[0.5, 1.0]]
    assert layout.longest_incoming_lead_time.tolist() == [[3, 2]]


def test_demand_is_split_evenly_over_the_ways_to_a_store() -> None:
    """b buys half in the north and half in the south; c half in the south and half from the supplier itself."""
    layout = layout_of(two_level(), torch.float64)
    assert layout.store_share.tolist() == [[1, 0, 1, 0, 0], [0.5, 0.5, 0, 1, 0], [0, 0.5, 0, 0, 1]]


def test_the_study_in_the_house_is_three_warehouses_and_21_stores() -> None:
    network = read_network(STUDIES / "inventory" / "favorita.network.toml")
    assert (len(network.suppliers), len(network.warehouses), len(network.stores)) == (1, 3, 21)
    inbound = [edge.lead_time for edge in network.edges if edge.source == "supplier"]
    assert inbound == [3, 3, 3]
    allowed = {"W0": {5, 6}, "W1": {1, 2}, "W2": {4, 5, 6}}  # lead times of the reference's instance
    for edge in network.edges[3:]:
        assert edge.lead_time in allowed[edge.source]


REFUSED = {
    "cycle": (
        '{ source = "mill", target = "depot", lead_time = 3, unit_cost = 0.25 },',
        '{ source = "mill", target = "depot", lead_time = 3 },\n{ source = "shop", target = "depot", lead_time = 1 },',
        r"the network has a cycle: .*(shop -> depot|depot -> shop).*remove an edge",
    ),
    "self-supply": (
        'source = "depot", target = "shop"',
        'source = "shop", target = "shop"',
        r"cycle: shop -> shop",
    ),
    "lead time 0": (
        "lead_time = 2",
        "lead_time = 0",
        r"edge depot -> shop: lead_time must be 1 or more, found 0",
    ),
    "lead time not whole": (
        "lead_time = 2",
        "lead_time = 2.5",
        r"edges\[0\]: Edge\.lead_time must be a whole number, found 2\.5",
    ),
    "unknown key": (
        "lead_time = 2",
        "leadtime = 2",
        r"Edge has no 'leadtime'\. Did you mean 'lead_time'\?",
    ),
    "unknown key of the network": (
        'unmet_demand = "lost"',
        'unmet_demands = "lost"',
        r"Network has no 'unmet_demands'\. Did you mean 'unmet_demand'\?",
    ),
    "unknown way to treat unmet demand": (
        'unmet_demand = "lost"',
        'unmet_demand = "backlog"',
        r"unmet_demand cannot be 'backlog'\. Did you mean 'backlogged'\?",
    ),
    "unknown kind": (
        'kind = "warehouse"',
        'kind = "warehous"',
        r"kind cannot be 'warehous'\. Did you mean 'warehouse'\?",
    ),
    "unknown node": (
        'source = "depot"',
        'source = "dept"',
        r"edge dept -> shop: no node 'dept'\. Did you mean 'depot'\?",
    ),
    "repeated node": (
        'name = "depot", kind',
        'name = "shop", kind',
        r"node 'shop' appears 2 times; names must differ",
    ),
    "repeated edge": (
        '{ source = "mill",',
        '{ source = "depot", target = "shop", lead_time = 1 },\n{ source = "mill",',
        r"edge 'depot -> shop' appears 2 times",
    ),
    "store without supplier": (
        '{ source = "depot", target = "shop", lead_time = 2 },',
        "",
        r"store 'shop' has no supplier: add an edge that ends in it",
    ),
    "supplier that orders": (
        '{ source = "mill",',
        '{ source = "depot", target = "mill", lead_time = 1 },\n{ source = "mill",',
        r"edge depot -> mill: a supplier orders from nobody",
    ),
    "store that never orders": (
        ", underage_cost = 9.0",
        "",
        r"store 'shop' needs an underage_cost above 0",
    ),
    "negative cost": (
        "holding_cost = 0.5",
        "holding_cost = -0.5",
        r"node 'depot': costs must be 0 or more",
    ),
    "infinite cost": (
        "holding_cost = 0.5",
        "holding_cost = inf",
        r"holding_cost must be a finite number, found inf",
    ),
    "missing key": (
        ", lead_time = 2",
        "",
        r"Edge needs 'lead_time'; add it",
    ),
    "no TOML": (
        "edges = [",
        "edges = [[",
        r"is not valid TOML",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_network_is_refused_with_one_clear_sentence(case: str, tmp_path: Path) -> None:
    right, wrong, sentence = REFUSED[case]
    assert right in GOOD
    with pytest.raises(UsageError, match=sentence) as caught:
        read(tmp_path, GOOD.replace(right, wrong))
    message = str(caught.value)
    assert "\n" not in message
    assert "network.toml" in message
    assert message.rstrip()[-1] in ".?"
    assert caught.value.exit_code == 2


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No study at .*absent\.toml"):
        read_network(tmp_path / "absent.toml")


def test_a_network_without_stores_is_refused() -> None:
    mapping = {
        "name": "empty",
        "unmet_demand": "lost",
        "nodes": [{"name": "mill", "kind": "supplier"}],
        "edges": [],
    }
    with pytest.raises(UsageError, match="at least one store"):
        network_from(mapping, "empty.toml")
