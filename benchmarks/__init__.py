"""Figures, one file each, with what they share: options, table, JSON rows.

`python -m benchmarks.NAME [--quick] [--json PATH]` prints a table and writes the same figures as JSON rows.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def options(description: str) -> argparse.ArgumentParser:
    """A parser with --quick (within a minute) and --json PATH."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="smaller, within a minute")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the rows as JSON, too")
    return parser


def resumable(parser: argparse.ArgumentParser) -> None:
    """Adds --keep FOLDER."""
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep finished parts, and go on from them")


def report(rows: Sequence[Row], path: Path | None) -> None:
    """Prints rows as an aligned table and writes the same rows as JSON."""
    columns = list(rows[0])
    table = [columns, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[k]) for line in table) for k in range(len(columns))]
    for line in table:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    if path is not None:
        path.write_text(json.dumps(list(rows), indent=1) + "\n")


def kept(folder: Path | None, name: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, as JSON has it; kept in the folder, from which a benchmark that was stopped goes on."""
    if folder is None:
        return make()
    path = folder / f"{name}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(make()))
        part.replace(path)
    return json.loads(path.read_text())


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The shortest of several runs, in seconds: the machine is noisy, and noise only adds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def peak_bytes() -> int:
    """The most memory this process has held, in bytes."""
    if platform.system() == "Linux":  # getrusage would begin with what the process that started this one held
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def _cell(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
