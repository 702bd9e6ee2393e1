"""Loads the libraries of the screens, once a process."""

from __future__ import annotations

import gc
import importlib

# Charts look for pandas while they are drawn; two first visits at once would find it half imported.
for _name in ("altair", "onnxruntime", "pandas", "quaestor.store"):
    importlib.import_module(_name)

# They stay for good: a collection that walks over all they hold would keep a reader waiting for a tenth of a second.
gc.collect()
gc.freeze()
