"""What every file of the project keeps to."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from quaestor import __version__
from tests.conftest import ROOT

LONGEST = 300


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split() if (ROOT / name).exists()]


def test_files_have_one_purpose_and_fit_a_screen_or_four() -> None:
    code = _tracked("platform/*.py", "models/*.py", "flows/*.py", "app/*.py", "benchmarks/*.py")
    assert code
    long = {path.name: length for path in code if (length := len(path.read_text().splitlines())) > LONGEST}
    assert long == {}


def test_every_file_and_public_function_says_what_it_is_for() -> None:
    for path in _tracked("platform/*.py", "models/*.py", "flows/*.py", "app/*.py", "benchmarks/*.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.relative_to(ROOT)}: {node.name} has no docstring"


def test_one_word_per_thing() -> None:
    banned = re.compile(r"\bpscore\b|\bpropensity_score\b")
    vague = re.compile(r"utils|helpers?|managers?|common|misc")
    for path in _tracked("platform/*.py", "models/*.py", "flows/*.py", "app/*.py"):
        if path.name == "open_bandit.py":  # the data set's own column names
            continue
        found = banned.search(path.read_text()) or vague.search(path.stem)
        assert found is None, f"{path.relative_to(ROOT)}: {found and found.group()}"


def test_nothing_names_a_registry_or_a_machine() -> None:
    hosts = re.compile(r"pypi\.(org|io)|pythonhosted|githubusercontent|huggingface\.co|/home/\w+/|/root/|/work/")
    me = Path(__file__)
    for path in _tracked("*.py", "*.toml", "*.md", "*.lock", "Makefile", ".ci/run", "*.sql"):
        if path != me:
            found = hosts.search(path.read_text())
            assert found is None, f"{path.relative_to(ROOT)} names {found and found.group()}"


def test_the_version_is_told_once_and_again_the_same() -> None:
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_lock_meets_the_traps_of_the_stack() -> None:
    lock = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    assert lock["torch"] == "2.13.0"
    assert (0, 139) <= _version(lock["fastapi"]) < (0, 151)
    assert (2, 0) <= _version(lock["SQLAlchemy"]) < (2, 1)


def _version(text: str) -> tuple[int, int]:
    major, minor, *_ = text.split(".")
    return int(major), int(minor)
