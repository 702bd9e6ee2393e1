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


@pytest.mark.parametrize(
    ("content", "more", "match"),
    [
        ("price\n1\n2\n", (), "no column `cost`; found price"),
        ("cost\n1\nmany\n", (), "every cost must be a number"),
        ("cost\n1\n", (), "holds 1 episodes"),
        ("cost\n1\ninf\n", (), "finite"),
        ("cost\n1\n2\n", ("--method", "dkv"), "Did you mean 'dkw'"),
        ("cost\n1\n2\n", ("--alpha", "0.7"), "alpha in"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, content: str, more: tuple[str, ...], match: str) -> None:
    path = tmp_path / "costs.csv"
    path.write_text(content)
    result = RUN.invoke(app, [*asked(path, "--sigma", "1", "--budget", "1"), *more])
    assert isinstance(result.exception, UsageError)
    assert match in str(result.exception)
