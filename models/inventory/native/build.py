"""The machine as a library: compiled on first use by the C++ compiler at hand, and kept in the user's cache.

Where nothing can be written there, each process compiles its own.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCES = ("machine.cpp", "job.h", "products.h", "columns.h", "host.h")
FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-pthread", "-fno-math-errno", "-fno-trapping-math")
NATIVE = ("-march=native", "-mprefer-vector-width=512") if platform.machine() == "x86_64" else ("-mcpu=native",)

_log = logging.getLogger(__name__)


@functools.cache
def library() -> ctypes.CDLL | None:
    """The machine; None, and one line in the log, where it cannot be built. CXX names the compiler, QUAESTOR_CACHE
    the folder it is kept in (default: the user's cache)."""
    wanted = os.environ.get("CXX")
    compiler = next((path for name in (wanted, "c++", "g++", "clang++") if name and (path := shutil.which(name))), None)
    if compiler is None:
        _log.warning("No C++ compiler (CXX, c++, g++, clang++): rollouts run in torch, several times slower.")
        return None
    try:
        return _loaded(compiler)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        _log.warning("%s does not build the machine; rollouts run in torch, several times slower: %s", compiler, reason)
        return None


def _loaded(compiler: str) -> ctypes.CDLL:
    here = Path(__file__).parent
    version = subprocess.run((compiler, "--version"), capture_output=True, text=True, check=True, timeout=30).stdout
    content = [(here / name).read_bytes() for name in SOURCES]
    stated = "\n".join((version, *FLAGS, *NATIVE, _processor()))
    digest = hashlib.sha256(b"\0".join((*content, stated.encode()))).hexdigest()[:16]
    target = _cache() / f"machine-{digest}.so"
    if target.exists():
        return ctypes.CDLL(str(target))
    with _folder(target.parent) as folder:
        fresh = Path(folder) / target.name
        command = [compiler, *FLAGS, *NATIVE, "-o", str(fresh), str(here / SOURCES[0])]
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        machine = ctypes.CDLL(str(fresh))
        if fresh.parent.parent == target.parent:
            fresh.replace(target)  # whole or not at all, whoever else builds it now
    return machine


def _folder(within: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        within.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=within)
    except OSError as error:
        _log.warning("%s; this process compiles its own machine. QUAESTOR_CACHE names a folder to keep it in.", error)
        return tempfile.TemporaryDirectory()


def _cache() -> Path:
    named = os.environ.get("QUAESTOR_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quaestor"


def _processor() -> str:
    """What the compiled code depends on of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
