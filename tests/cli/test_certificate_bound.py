"""quaestor certificate-bound: the page's oracles from a CSV file, and a sentence for what it cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quaestor.cli.app import app
from quaestor.errors import UsageError

RUN = CliRunner()


@pytest.fixture
def costs(tmp_path: Path) -> Path:
    """x_i = 100(i − ½)/m, m = 1000."""
    path = tmp_path / "costs.csv"
    path.write_text("episode,cost\n" + "\n".join(f"{i},{100 * (i - 0.5) / 1000}" for i in range(1, 1001)) + "\n")
    return path


def asked(path: Path, *more: str) -> list[str]:
    return ["certificate-bound", str(path), "--cap", "100", *more]


@pytest.mark.parametrize(
    ("method", "sigma", "alpha", "expected"),
    [
        ("dkw", "2", "0.05", 67.4675459484),
        ("dkw", "2", "0.025", 67.8464866503),
        ("clopper-pearson", "2", "0.05", 68.1687324692),
        ("dkw", "1", "0.01", 80.0803519027),
        ("dkw", "1", "0.005", 80.3386962884),
        ("clopper-pearson", "1", "0.01", 80.1547933148),
    ],
)
def test_the_last_number_is_the_bound(costs: Path, method: str, sigma: str, alpha: str, expected: float) -> None:
    result = RUN.invoke(app, asked(costs, "--sigma", sigma, "--budget", "1", "--alpha", alpha, "--method", method))
    assert result.exit_code == 0
    last = result.stdout.split()[-1]
    assert len(last.split(".")[1]) == 10
    assert float(last) == pytest.approx(expected, abs=1.1e-10)


def test_every_method_lies_between_the_estimate_and_the_cap(costs: Path) -> None:
    found = {}
    for method in ("plug-in", "berk-jones", "tangent-betting", "dkw", "clopper-pearson"):
        result = RUN.invoke(app, [*asked(costs, "--sigma", "2", "--budget", "1", "--method", method), "--json"])
        found[method] = json.loads(result.stdout)["bound"]
    assert found["plug-in"] == pytest.approx(63.8163195084, abs=1e-4)
    assert found["plug-in"] == min(found.values())
    assert max(found.values()) < 100
    assert found["tangent-betting"] == min(value for name, value in found.items() if name != "plug-in")


def test_a_budget_in_another_norm_is_covered_by_one_in_l2(costs: Path) -> None:
    """l1 at most as large, linf times the root of the entries; so much is proved, and no more is claimed."""

    def bound(*more: str) -> float:
        return float(RUN.invoke(app, [*asked(costs, "--sigma", "2"), *more]).stdout.split()[-1])

    assert bound("--budget", "1", "--norm", "l1") == bound("--budget", "1")
    assert bound("--budget", "0.1", "--norm", "linf", "--entries", "100") == bound("--budget", "1")


def test_a_quantile_needs_no_cap_and_enough_episodes(costs: Path) -> None:
    """r = min{r: P(Bin(1000, 1 − p*) ≤ r − 1) ≥ .95} with p* = Φ(Φ⁻¹(.1) − ½)."""
    from scipy.stats import binom, norm

    kept = 1 - norm.cdf(norm.ppf(0.1) - 0.5)
    rank = next(r for r in range(1, 1001) if binom.cdf(r - 1, 1000, kept) >= 0.95)
    wanted = ["certificate-quantile", str(costs), "--sigma", "2", "--budget", "1"]
    said = RUN.invoke(app, [*wanted, "--exceedance", "0.1"]).stdout
    assert float(said.split()[-1]) == pytest.approx(100 * (rank - 0.5) / 1000, abs=1e-9)
    refused = RUN.invoke(app, [*wanted, "--exceedance", "0.001"]).exception
    assert isinstance(refused, UsageError)
    assert "are needed" in str(refused)


def test_the_schema_is_printed() -> None:
    schema = json.loads(RUN.invoke(app, ["certificate-schema"]).stdout)
    assert {"bounds", "subject", "params", "costs_digest"} <= set(schema["properties"])


@pytest.mark.parametrize(
    ("content", "more", "match"),
    [
        ("price\n1\n2\n", (), "no column `cost`; found price"),
        ("cost\n1\nmany\n", (), "every cost must be a number"),
        ("cost\n1\n", (), "holds 1 episodes"),
        ("cost\n1\ninf\n", (), "finite"),
        ("cost\n1\n2\n", ("--method", "dkv"), "Did you mean 'dkw'"),
        ("cost\n1\n2\n", ("--alpha", "0.7"), "alpha in"),
        ("cost\n1\n2\n", ("--norm", "l3"), "No norm 'l3'"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, content: str, more: tuple[str, ...], match: str) -> None:
    path = tmp_path / "costs.csv"
    path.write_text(content)
    result = RUN.invoke(app, [*asked(path, "--sigma", "1", "--budget", "1"), *more])
    assert isinstance(result.exception, UsageError)
    assert match in str(result.exception)
