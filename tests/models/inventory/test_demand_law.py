"""Drawn demand is what its law says, and laws that cannot be are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.inventory.demand_law import DemandLaw

MEAN, DEVIATION = (5.0, 8.0, 3.0), (2.5, 4.0, 2.0)
LAWS = {
    "poisson": DemandLaw("poisson", MEAN),
    "normal": DemandLaw("normal", MEAN, DEVIATION, clipped=False),
    "correlated": DemandLaw("normal", MEAN, DEVIATION, correlation=0.5, clipped=False),
    "against each other": DemandLaw("normal", MEAN, DEVIATION, correlation=-0.5, clipped=False),
    "negative binomial": DemandLaw("negative_binomial", MEAN, DEVIATION),
}


@pytest.mark.parametrize("name", LAWS)
def test_moments_are_the_declared_ones(name: str) -> None:
    law = LAWS[name]
    demand = law.draw(400, 250, seed=1).transpose(1, 0, 2).reshape(3, -1)
    count = demand.shape[1]
    deviation = np.sqrt(MEAN) if law.law == "poisson" else np.array(DEVIATION)
    np.testing.assert_allclose(demand.mean(axis=1), MEAN, atol=5 * deviation.max() / count**0.5)
    np.testing.assert_allclose(demand.std(axis=1), deviation, rtol=0.02)
    between = np.corrcoef(demand)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(between, law.correlation, atol=5 / count**0.5)
    if law.law != "normal":
        assert (demand == demand.round()).all()
        assert demand.min() >= 0


def test_clipped_demand_never_comes_back_and_the_seed_decides_it() -> None:
    clipped = DemandLaw("normal", (1.0,), (2.0,))
    demand = clipped.draw(100, 50, seed=2)
    whole = DemandLaw("normal", (1.0,), (2.0,), clipped=False).draw(100, 50, seed=2)
    assert demand.min() == 0.0
    assert np.array_equal(demand, np.maximum(whole, 0.0))
    assert np.array_equal(demand, clipped.draw(100, 50, seed=2))
    assert not np.array_equal(demand, clipped.draw(100, 50, seed=3))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"law": "poisson", "mean": ()}, "for every store"),
        ({"law": "poisson", "mean": (5.0,), "deviation": (1.0,)}, "needs 0 deviations"),
        ({"law": "normal", "mean": (5.0, 6.0), "deviation": (1.0,)}, "needs 2 deviations"),
        ({"law": "normal", "mean": (5.0, -6.0), "deviation": (1.0, 1.0)}, "above 0"),
        ({"law": "normal", "mean": MEAN, "deviation": DEVIATION, "correlation": -0.6}, "cannot all have"),
        ({"law": "poisson", "mean": (5.0,), "clipped": False}, "belong to normal"),
        ({"law": "negative_binomial", "mean": (5.0,), "deviation": (2.0,)}, "more than Poisson"),
    ],
)
def test_laws_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DemandLaw(**wrong)
