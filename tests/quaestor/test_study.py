"""Studies and manifests are read strictly, and a typo is answered with the word that was meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from flows.inventory_study import read_inventory_study
from flows.payments_study import read_payments_study
from quaestor.errors import UsageError
from quaestor.study import parse, read_toml
from tests.conftest import STUDIES


@dataclass(frozen=True)
class Round:
    kind: Literal["round"]
    radius: float


@dataclass(frozen=True)
class Square:
    kind: Literal["square"]
    side: float


@dataclass(frozen=True)
class Shape:
    outline: Round | Square
    name: str
    weights: tuple[float, ...] = ()
    count: int | None = None
    solid: bool = True

    def __post_init__(self) -> None:
        if self.name == "void":
            raise ValueError("a shape needs a name other than 'void'.")


GOOD = {"outline": {"kind": "round", "radius": 2}, "name": "disc", "weights": [1, 2.5], "count": 3}


def test_values_take_their_types() -> None:
    shape = parse(Shape, GOOD, "here")
    assert shape == Shape(Round("round", 2.0), "disc", (1.0, 2.5), 3, True)
    assert isinstance(shape.weights[0], float)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nmae": "x"}, "here: Shape has no 'nmae'. Did you mean 'name'?"),
        ({"colour": "red"}, "Shape has no 'colour'. Known: count, name, outline, solid, weights."),
        ({"outline": {"kind": "squere", "side": 1}}, "Did you mean 'square'?"),
        ({"outline": {"kind": "round"}}, "Round needs 'radius'; add it."),
        ({"outline": {"kind": "round", "radius": "wide"}}, "Round.radius must be a number, found 'wide'."),
        ({"outline": {"kind": "round", "radius": float("nan")}}, "must be a finite number"),
        ({"outline": 3}, "must be a table, found 3."),
        ({"weights": [1, "a"]}, "Shape.weights[1] must be a number, found 'a'."),
        ({"count": True}, "Shape.count must be a whole number, found True."),
        ({"count": 2.5}, "must be a whole number, found 2.5."),
        ({"solid": 1}, "must be true or false, found 1."),
        ({"name": "void"}, "here: a shape needs a name other than 'void'."),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(Shape, {**GOOD, **change}, "here")
    assert said in str(refused.value)


def test_a_missing_file_and_broken_toml(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No study at"):
        read_toml(tmp_path / "nothing.toml")
    (tmp_path / "broken.toml").write_text("a = = 3")
    with pytest.raises(UsageError, match="not valid TOML"):
        read_toml(tmp_path / "broken.toml")


def test_every_study_that_ships_can_be_read() -> None:
    payments, inventory = sorted((STUDIES / "payments").glob("*.toml")), sorted((STUDIES / "inventory").glob("*.toml"))
    assert len(payments) >= 2
    for path in payments:
        read_payments_study(path)
    for path in inventory:
        if not path.name.endswith(".network.toml"):
            assert read_inventory_study(path).network.exists()
