"""The inventory screen: what it draws is what the policies do when they are played again."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import polars as pl
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import changed_orders, stock
from app.queries.inventory import InventoryEvidence, inventory_evidence
from app.replays import Replay, beside, players, replay
from app.style import plain, short
from quaestor.registry.judging import keep
from quaestor.settings import Settings
from quaestor.simulation.figures import cost
from quaestor.simulation.network import Terms
from quaestor.simulation.scenarios import SCENARIOS
from tests.app.filled import Filled
from tests.app.shops import FIRST_PERIOD, PERIODS, PRODUCTS, WARMUP, kept_scenarios
from tests.app.test_screens import commands, opened, report_of, said

MARKS = 5_000


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Plays are remembered by the names of iterations, which are the same in every test."""
    st.cache_resource.clear()


@pytest.fixture
def played(filled: Filled) -> tuple[InventoryEvidence, Replay]:
    """The policies of the filled store, played again."""
    evidence = inventory_evidence("shops", filled.graph, "network")
    found = replay(evidence, {"candidate": filled.graph, "incumbent": filled.base_stock}, Terms())
    assert found is not None
    return evidence, found


def charts(test: AppTest) -> int:
    return len(test.get("vega_lite_chart"))


def play_again(test: AppTest, **terms: float) -> AppTest:
    for name, value in terms.items():
        test.number_input(key=f"what if {name.replace('_', ' ')}").set_value(value)
    return next(button for button in test.button if button.label == "Play again").click().run()


@pytest.mark.slow
def test_the_chosen_place_product_and_policy_are_drawn(settings: Settings, filled: Filled) -> None:
    test = opened("inventory")
    assert test.header[0].value == plain(report_of(settings, filled.graph).sentence())
    at_store = charts(test)
    assert [box.label for box in test.selectbox][2:] == ["Place", "Product", "Policy in the picture"]
    assert [box.value for box in test.selectbox][2:] == ["north", "P1", "candidate"]
    test.selectbox[2].set_value("depot").run()  # it ships, and sees no demand
    assert not test.exception
    assert charts(test) == at_store - 1
    test.selectbox[3].set_value("all").run()
    test.selectbox[4].set_value("incumbent").run()
    assert not test.exception
    asked = {name: test.query_params[name] for name in ("place", "product", "policy", "iteration")}
    assert asked == {"place": "depot", "product": "all", "policy": "incumbent", "iteration": short(filled.graph)}
    again = opened("inventory", **asked)
    assert [box.value for box in again.selectbox][2:] == ["depot", "all", "incumbent"]
    assert not again.warning
    dead = opened("inventory", place="../nowhere")
    assert "The link names" in dead.warning[0].value
    assert dead.selectbox[2].value == "north"
    assert f"quaestor promote {short(filled.graph)} --reason '…'" in commands(test)


def test_units_balance_at_every_place(played: tuple[InventoryEvidence, Replay]) -> None:
    """What a place has tomorrow is what it had, less what left it, plus what arrived: read off the drawn frames."""
    _, found = played

    def drawn(place: str, quantity: stock.Quantity) -> np.ndarray:
        frame = stock.trace(found, 1, place, quantity).filter(pl.col("who") == "candidate")
        assert frame["period"].to_list() == list(range(FIRST_PERIOD, FIRST_PERIOD + PERIODS))
        return frame["units"].to_numpy()

    def left(place: str) -> np.ndarray:
        if place == "depot":
            return drawn(place, "shipped")
        demand = stock.trace(found, 1, place, "demand")["units"].to_numpy()
        return demand - drawn(place, "unmet")

    for place in ("depot", "north", "south"):
        position = drawn(place, "on_hand") + drawn(place, "in_transit")
        following = position + drawn(place, "ordered") - left(place)
        np.testing.assert_allclose(position[1:], following[:-1], atol=1e-4)
    received = drawn("north", "ordered") + drawn("south", "ordered")
    np.testing.assert_allclose(drawn("depot", "shipped"), received, atol=1e-9)


def test_products_add_up_and_causes_make_the_total(played: tuple[InventoryEvidence, Replay]) -> None:
    _, found = played
    each = sum(stock.trace(found, number, "north", "on_hand")["units"].to_numpy() for number in range(len(PRODUCTS)))
    np.testing.assert_allclose(stock.trace(found, None, "north", "on_hand")["units"], each)
    split = stock.cost_split(found)
    for who, frame in split.group_by("who"):
        values = dict(frame.select("cause", "value").iter_rows())
        total = values.pop("total")
        assert total == pytest.approx(sum(values.values()))
        assert total == pytest.approx(cost(found.played[str(who[0])], WARMUP).mean())
    assert (split["lower"] <= split["value"]).all()
    assert (split["upper"] >= split["value"]).all()
    level = stock.service(found, "north")
    assert level["value"].is_between(0, 1).all()
    assert level["where"].unique().sort().to_list() == ["north", "the whole network"]
    assert stock.service(found, "depot")["where"].unique().to_list() == ["the whole network"]


def test_flow_into_a_place_is_drawn_as_it_was_played(played: tuple[InventoryEvidence, Replay]) -> None:
    evidence, found = played
    assert evidence.drawn is not None
    nodes = stock.nodes(found, evidence.drawn, "candidate", 0, "north")
    edges = stock.edges(found, nodes, "candidate", 0, "north")
    assert dict(nodes.select("name", "x").iter_rows()) == {"maker": 0.0, "depot": 1.0, "north": 2.0, "south": 2.0}
    ordered = stock.trace(found, 0, "north", "ordered").filter(pl.col("who") == "candidate")["units"]
    (flow,) = edges.filter(pl.col("target") == "north")["flow"]
    assert flow == pytest.approx(ordered[WARMUP:].mean())
    assert edges.filter("chosen")["target"].to_list() == ["north"]


@pytest.mark.slow
def test_what_if_plays_again_on_other_terms(filled: Filled) -> None:
    test = opened("inventory")
    assert "Change a figure and play again" in said(test)
    before = charts(test)
    play_again(test, holding_cost=2.0, lead_time=1, demand=1.5)
    assert not test.exception
    assert charts(test) == before + 4
    assert any("played again in" in caption.value for caption in test.caption)
    table = next(frame.value for frame in test.dataframe if "cost, what if" in frame.value)
    assert table["policy"].tolist() == ["candidate", "incumbent"]
    assert (table["cost, as it is"] != table["cost, what if"]).all()


def test_twice_the_holding_cost_is_twice_the_cost_of_holding(
    filled: Filled, played: tuple[InventoryEvidence, Replay]
) -> None:
    evidence, usual = played
    dear = replay(evidence, {"candidate": filled.graph}, Terms(holding=2.0))
    assert dear is not None
    holding = pl.col("cause") == "holding", pl.col("who") == "candidate"
    once, twice = (stock.cost_split(each).filter(*holding)["value"][0] for each in (usual, dear))
    assert twice == pytest.approx(2 * once)
    gains = stock.compared((("as it is", usual),))
    own, other = (cost(usual.played[who], WARMUP) for who in ("candidate", "incumbent"))
    assert gains["value"][0] == pytest.approx((other - own).mean())


def test_base_stock_is_played_once_where_it_is_the_incumbent(filled: Filled) -> None:
    kept = kept_scenarios(filled.base_stock)["yardsticks"]
    assert players(filled.graph, filled.base_stock, kept) == {"candidate": filled.graph, "incumbent": filled.base_stock}
    assert players(filled.graph, "other", kept)["base stock"] == filled.base_stock


@pytest.mark.slow
def test_a_policy_that_was_changed_on_disk_is_said_and_the_others_are_drawn(settings: Settings, filled: Filled) -> None:
    graph = settings.data / "iterations" / filled.base_stock / "policy.onnx"
    graph.write_bytes(graph.read_bytes() + b"x")
    test = opened("inventory")
    assert not test.exception
    assert not test.error
    assert "The policy of the incumbent cannot be played" in test.warning[0].value.replace("\\", "")
    assert test.selectbox[4].options == ["candidate"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken", [{"demand": "none"}, {"products": None}, {"demand": [[[1.0]]]}, {"calendar": [[1.0, 2.0]] * 12}]
)
def test_kept_demand_that_cannot_be_read_is_one_sentence(
    settings: Settings, filled: Filled, broken: dict[str, object]
) -> None:
    keep(settings.store, filled.graph, SCENARIOS, kept_scenarios(filled.base_stock) | broken, filled.base_stock)
    test = opened("inventory")
    assert not test.exception
    assert len(test.error) + len(test.warning) >= 1
    assert test.header[0].value == plain(report_of(settings, filled.graph).sentence()), "the rest is shown"


@pytest.mark.slow
def test_without_kept_demand_the_screen_says_how_to_keep_it(settings: Settings, filled: Filled) -> None:
    with settings.store.write() as connection:
        connection.execute("delete from evidence where kind = ?", [SCENARIOS])
    test = opened("inventory")
    assert not test.exception
    assert "No held-out demand was kept" in said(test)
    assert "quaestor run inventory --study STUDY" in commands(test)


def test_no_picture_holds_more_marks_than_can_be_seen(played: tuple[InventoryEvidence, Replay]) -> None:
    """Of very long futures, very large networks and very long trainings a part is drawn."""
    _, found = played
    periods = 4 * stock.PERIODS_DRAWN
    long = {
        name: replace(one, **{each.name: np.repeat(getattr(one, each.name)[:, :1], periods, 1) for each in fields(one)})
        for name, one in found.played.items()
    }
    trace = stock.trace(replace(found, played=long), 0, "north", "on_hand")
    assert trace["period"].max() == FIRST_PERIOD + stock.PERIODS_DRAWN - 1
    assert len(trace) <= MARKS
    epochs = [{"number": number, "train_cost": 1.0, "dev_cost": 1.0} for number in range(1, 9_998)]
    assert len(stock.learning({"epochs": epochs, "best": 1})) <= MARKS
    stores = tuple(f"store {number}" for number in range(3 * stock.EDGES_DRAWN))
    edges = np.arange(len(stores) + 1)
    large = replace(
        found.network, places=("depot", *stores), stores=stores, source=np.where(edges == 0, len(stores) + 1, 0),
        target=edges, lead_time=np.ones_like(edges), unit_cost=np.zeros(len(edges)),
    )  # fmt: skip
    one = found.played["candidate"]
    flat = replace(one, orders=np.ones((3, PERIODS, len(edges))), on_hand=np.ones((3, PERIODS, len(stores) + 1)))
    wide = replace(found, network=large, played={"candidate": flat})
    content = {"nodes": [{"name": name, "kind": "store"} for name in ("depot", "maker", *stores)]}
    nodes = stock.nodes(wide, content, "candidate", 0, "depot")
    assert len(stock.edges(wide, nodes, "candidate", 0, "depot")) == stock.EDGES_DRAWN
    assert len(stock.edges(wide, stock.nodes(wide, content, "candidate", 0, stores[7]), "candidate", 0, stores[7])) == 1


def test_orders_that_change_are_those_of_the_two_policies_asked_about_the_same_stock(filled: Filled) -> None:
    evidence = inventory_evidence("shops", filled.graph, "network")
    assert evidence.network is not None
    assert evidence.scenarios is not None
    same = beside(evidence, filled.graph, filled.graph)
    other = beside(evidence, filled.graph, filled.base_stock)
    assert same is not None
    assert other is not None
    for place in changed_orders.by_place(evidence.network, evidence.scenarios, *same):
        assert place["value"].to_list() == [0.0] * len(place)
    share, more = changed_orders.by_place(evidence.network, evidence.scenarios, *other)
    assert share["segment"].to_list()[0] == changed_orders.ALL
    assert set(share["segment"]) == {changed_orders.ALL, "depot", "north", "south"}
    assert share["value"].to_list()[1:] == sorted(share["value"].to_list()[1:], reverse=True)
    asked, led = (orders[:, WARMUP:] for orders in other)
    everywhere = (np.abs(asked - led) >= changed_orders.LEAST).mean()
    assert share["value"][0] == pytest.approx(everywhere)
    assert more["value"][0] > 0, "higher levels order more of the same stock"
    by_product = changed_orders.by_product(evidence.network, evidence.scenarios, *other)
    assert by_product["units more a period"].mean() == pytest.approx(more["value"][0])
    assert set(by_product["product"]) == set(PRODUCTS)


@pytest.mark.slow
def test_orders_that_change_are_shown_beside_each_other_and_on_the_iterations_page(filled: Filled) -> None:
    pair = f"{short(filled.graph)},{short(filled.base_stock)}"
    for test in (opened("iteration", iteration=short(filled.graph)), opened("side_by_side", iterations=pair)):
        assert not test.exception
        assert "of orders change by 0.5 units or more" in said(test)
        assert "By product" in [part.label for part in test.expander]


def test_series_on_terms_of_their_own_are_played_again(settings: Settings, filled: Filled) -> None:
    """Of a policy that was learnt for the network: each product on its own costs and lead times."""
    kept = kept_scenarios(filled.base_stock)
    terms = {
        "holding_cost": [[0.3, 1.0, 1.0], [0.3, 2.0, 2.0], [0.3, 4.0, 4.0]],
        "underage_cost": [[9.0, 9.0]] * 3,
        "unit_cost": [[0.5, 0.0, 0.0]] * 3,
        "lead_time": [[3, 1, 2], [3, 1, 2], [2, 2, 1]],
    }
    keep(settings.store, filled.graph, SCENARIOS, kept | {"terms": terms}, filled.base_stock)
    evidence = inventory_evidence("shops", filled.graph, "network")
    own = replay(evidence, {"candidate": filled.graph}, Terms())
    assert own is not None
    assert not own.absent
    costs = stock.by_product(own)
    keep(settings.store, filled.graph, SCENARIOS, kept, filled.base_stock)
    shared = replay(inventory_evidence("shops", filled.graph, "network"), {"candidate": filled.graph}, Terms())
    assert shared is not None
    usual = stock.by_product(shared)
    assert costs["cost"][0] == usual["cost"][0], "its terms are those of the network"
    assert costs["holding cost"][1] > usual["holding cost"][1]
    assert costs["served"][2] != usual["served"][2], "lead times are its own"


def test_iterations_that_were_played_on_the_same_demand_share_a_play(filled: Filled) -> None:
    one, other = (inventory_evidence("shops", name, "network") for name in (filled.graph, filled.base_stock))
    assert one.demand_digest == other.demand_digest
    first, again = (replay(each, {"incumbent": filled.base_stock}, Terms()) for each in (one, other))
    assert first is not None
    assert again is not None
    assert first.played["incumbent"] is again.played["incumbent"]
