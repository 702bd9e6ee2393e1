"""The command line as a user meets it: results, refusals in one sentence, exit codes, JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quaestor.cli import main
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from quaestor.store import lease
from tests.conftest import STUDIES
from tests.evidence import approved, policy, register
from tests.quaestor.events import decision, outcome, write
from tests.quaestor.log.test_ingest import dump


class Terminal:
    """Runs commands in this process and keeps what they printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = monkeypatch, capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of `quaestor ARGUMENTS`."""
        self._patch.setattr(sys, "argv", ["quaestor", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        printed = self._capture.readouterr()
        return (code if isinstance(code, int) else 0), printed.out, printed.err


@pytest.fixture
def quaestor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    monkeypatch.setenv("COLUMNS", "160")
    return Terminal(monkeypatch, capsys)


def _refused(result: tuple[int, str, str], code: int, said: str) -> None:
    """One plain sentence on standard error, no trace, the expected exit code."""
    found, _, err = result
    assert found == code, err
    assert said in err
    assert "Traceback" not in err
    assert err.startswith("quaestor: ")
    assert len(err.strip().splitlines()) == 1


def test_ingest_prints_what_became_of_a_file(quaestor: Terminal, tmp_path: Path) -> None:
    path = write(tmp_path, "d.parquet", [decision(n) for n in range(20)])
    code, out, _ = quaestor("ingest", "decisions", path)
    assert (code, out.strip()) == (0, "d.parquet: 20 rows, 20 added, 0 already there.")
    code, out, _ = quaestor("ingest", "decisions", path, "--json")
    assert code == 0
    assert json.loads(out)[0]["already"] is True


def test_what_another_run_is_doing_is_not_done_twice(quaestor: Terminal, settings: Settings, tmp_path: Path) -> None:
    path, iteration = write(tmp_path, "d.parquet", [decision(1)]), approved(settings)
    lease.take(settings.store, lease.of_file(path), "a flow")
    _refused(quaestor("ingest", "decisions", path), 4, "is being done by a flow")
    lease.take(settings.store, lease.of_bundle(iteration.iteration_id), "a flow")
    _refused(quaestor("export", iteration.iteration_id[:9]), 4, "is being done by a flow")


BAD_ROWS = {
    "propensity 0": ("decisions", decision(1, propensity=0.0), "1 rows were not taken"),
    "propensity NaN": ("decisions", decision(1, propensity=float("nan")), "1 rows were not taken"),
    "chosen action not eligible": ("decisions", decision(1, action="cash"), "1 rows were not taken"),
    "unknown decision": ("outcomes", outcome(77), "1 rows were not taken"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_end_in_quarantine_and_a_nonzero_exit(
    quaestor: Terminal, settings: Settings, tmp_path: Path, name: str
) -> None:
    kind, row, said = BAD_ROWS[name]
    ingest_file(settings.store, "decisions", write(tmp_path, "good.parquet", [decision(2)]))
    before = dump(settings.store)
    code, out, err = quaestor("ingest", kind, write(tmp_path, "bad.parquet", [row]))
    assert code == 1
    assert "1 quarantined" in out
    assert said in err
    after = dump(settings.store)
    assert len(after.pop("quarantine")) == len(before.pop("quarantine")) + 1
    assert after == before


def test_a_truncated_file_changes_nothing(quaestor: Terminal, settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path, "d.parquet", [decision(n) for n in range(200)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = dump(settings.store)
    _refused(quaestor("ingest", "decisions", path), 1, "truncated")
    assert dump(settings.store) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("learning_rate = 3e-3", "learning_rat = 3e-3"),
            "HDPOParams has no 'learning_rat'. Did you mean 'learning_rate'?",
        ),
        (("epochs = 40", 'epochs = "many"'), "HDPOParams.epochs must be a whole number, found 'many'."),
        (('kind = "graph"', 'kind = "grpah"'), "Did you mean 'graph'?"),
        (('kind = "inventory"', 'kind = "payments"'), "expected kind = 'inventory'"),
        (("test = [118, 171]", "test = [100, 171]"), "must follow each other without overlap"),
        (("[hdpo]", "[hdpo"), "is not valid TOML"),
    ],
)
def test_a_wrong_study_is_refused_by_name(
    quaestor: Terminal, tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    text = (STUDIES / "inventory" / "favorita_demo.toml").read_text()
    assert change[0] in text
    path = tmp_path / "study.toml"
    path.write_text(text.replace(*change))
    _refused(quaestor("run", "inventory", "--study", path), 2, said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("lead_time = 3, unit_cost = 0.5", "lead_time = 0, unit_cost = 0.5"), "lead_time must be 1 or more, found 0"),
        (('source = "supplier", target = "W0"', 'source = "S00", target = "W0"'), "the network has a cycle"),
        (("holding_cost = 0.3", "holding = 0.3"), "Node has no 'holding'. Did you mean 'holding_cost'?"),
        (('target = "W0"', 'target = "W9"'), "no node 'W9'"),
    ],
)
def test_a_wrong_network_is_refused_by_name(
    quaestor: Terminal, tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    for name in ("favorita_demo.toml", "favorita.network.toml"):
        text = (STUDIES / "inventory" / name).read_text()
        (tmp_path / name).write_text(text.replace(*change) if "network" in name else text)
    _refused(quaestor("run", "inventory", "--study", tmp_path / "favorita_demo.toml"), 2, said)


def test_an_unknown_study_iteration_or_event_is_said(quaestor: Terminal) -> None:
    _refused(quaestor("run", "payments", "--study", "nowhere.toml"), 2, "No study at nowhere.toml")
    _refused(quaestor("promote", "feed", "--reason", "x"), 2, "no iteration whose id starts with 'feed'")
    _refused(quaestor("rollback", "shop", "--reason", "x"), 2, "no earlier live iteration")
    _refused(quaestor("explain", "nobody"), 2, "No decision 'nobody'")
    _refused(quaestor("verify", "nowhere"), 1, "No bundle at nowhere")
    _refused(quaestor("ingest", "decision", "x.parquet"), 2, "Did you mean 'decisions'?")
    _refused(quaestor("forget", "--subject", "her", "--system", "shop", "--reason", "x"), 2, "No system 'shop'")


def test_the_life_of_an_iteration(quaestor: Terminal, settings: Settings, tmp_path: Path) -> None:
    one, two = (approved(settings, seed, f"policy {seed}").iteration_id for seed in range(2))
    undecided = register(settings, policy(2), "undecided").iteration_id
    _refused(quaestor("promote", undecided, "--reason", "hope"), 3, "no verdict yet")
    _refused(quaestor("export", undecided), 3, "only certified policies are exported")
    for name in (one, two):
        assert quaestor("promote", name[:14], "--reason", "better")[0] == 0
    code, out, _ = quaestor("rollback", "bandit", "--reason", "complaints", "--json")
    assert (code, json.loads(out)) == (0, {"iteration_id": one, "stage": "live"})
    assert quaestor("reject", two[:14], "--reason", "complaints")[0] == 0
    code, out, _ = quaestor("iterations", "--json")
    stages = {row["iteration_id"]: row["stage"] for row in json.loads(out)}
    assert stages == {one: "live", two: "rejected", undecided: "candidate"}
    code, out, _ = quaestor("status", "--json")
    status = json.loads(out)
    assert status["live"]["bandit"]["iteration_id"] == one
    assert status["rows"]["iterations"] == 3
    assert quaestor("status")[0] == quaestor("iterations")[0] == 0


def test_export_verify_decide_and_explain(quaestor: Terminal, settings: Settings, tmp_path: Path) -> None:
    iteration = approved(settings)
    code, out, _ = quaestor("export", iteration.iteration_id, "--json")
    bundle = Path(json.loads(out)["bundle"])
    assert code == 0
    code, out, _ = quaestor("verify", bundle, "--json")
    verified = json.loads(out)
    assert (code, verified["iteration_id"], verified["golden_choices"]) == (0, iteration.iteration_id, 8)
    rows = [
        {"event_id": f"r{n}", "eligible": ["a0", "a3"], "numeric_x": 0.1 * n, "category_level": "L1"} for n in range(9)
    ]
    path = write(tmp_path, "rows.parquet", rows)
    code, out, _ = quaestor("decide", bundle, "--input", path, "--output", tmp_path / "decided.parquet", "--json")
    decided = json.loads(out)
    assert code == 0
    assert [set(row["eligible"]) for row in decided] == [{"a0", "a3"}] * 9
    assert all(abs(sum(row["propensities"]) - 1) < 1e-9 for row in decided)
    assert quaestor("decide", bundle, "--input", path)[0] == 0
    assert quaestor("ingest", "decisions", tmp_path / "decided.parquet")[0] == 0
    code, out, _ = quaestor("explain", "r3", "--json")
    explained = json.loads(out)
    assert explained["derived_action"] == explained["action"] == decided[3]["action"]
    assert explained["derived"][explained["action"]] == pytest.approx(explained["propensity"], abs=1e-12)
    told = quaestor("explain", "r3")[1]
    assert "derived again exactly" in told
    assert "Its lead over" in told
    assert set(explained["drivers"]) == {"x", "level"}
    (bundle / "spec.json").write_text("{}")
    _refused(quaestor("verify", bundle), 1, "spec.json does not match its checksum")
    _refused(quaestor("decide", bundle, "--input", path), 1, "spec.json does not match its checksum")


def test_a_logged_decision_that_was_not_the_policys_is_found_out(
    quaestor: Terminal, settings: Settings, tmp_path: Path
) -> None:
    """R5: the log names an iteration, but its propensity is another's (logged version ≠ serving version)."""
    iteration = approved(settings)
    row: dict[str, Any] = decision(
        1, system="bandit", iteration_id=iteration.iteration_id, eligible=["a0", "a1"], action="a1",
        propensities=[0.5, 0.5], propensity=0.5, numeric_x=0.3, category_level="L1",
    )  # fmt: skip
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", [row]))
    code, out, _ = quaestor("explain", "e00001")
    assert code == 0
    assert "propensity off by" in out or "derived as" in out


def test_a_busy_store_is_exit_code_4(quaestor: Terminal, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    with settings.store.read():
        pass
    monkeypatch.setenv("QUAESTOR_PATIENCE", "0.3")
    path = settings.store.path
    code = f"import duckdb, time; c = duckdb.connect({str(path)!r}); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        _refused(quaestor("status"), 4, "Another writer has held the store")
    finally:
        holder.kill()
        holder.wait()


def test_a_damaged_store_is_exit_code_5(quaestor: Terminal, settings: Settings) -> None:
    settings.store.path.parent.mkdir(parents=True)
    settings.store.path.write_bytes(b"this is no database" * 500)
    _refused(quaestor("status"), 5, "cannot be opened as a store")


def test_json_rows_and_csv_rows_decide_alike(quaestor: Terminal, settings: Settings, tmp_path: Path) -> None:
    iteration = approved(settings)
    bundle = Path(json.loads(quaestor("export", iteration.iteration_id, "--json")[1])["bundle"])
    rows = pl.DataFrame({"event_id": ["x", "y"], "eligible": ["a0|a1", "a2"], "numeric_x": [0.5, -1.0]})
    rows = rows.with_columns(category_level=pl.lit("L1"), decided_at=pl.lit("2026-01-01T00:00:00Z"))
    rows.write_csv(tmp_path / "rows.csv")
    rows.write_json(tmp_path / "rows.json")
    results = [
        json.loads(quaestor("decide", bundle, "--input", tmp_path / name, "--json")[1])
        for name in ("rows.csv", "rows.json")
    ]
    assert results[0] == results[1]
    assert [row["action"] in row["eligible"] for row in results[0]] == [True, True]
