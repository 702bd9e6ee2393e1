"""The episodes behind a certificate: the values it was computed from, as they lie in the data folder."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import streamlit as st
from numpy.typing import NDArray

from app.queries.store import key_of
from quaestor.certification.certificate import Certificate, values_digest
from quaestor.ope.interval import Interval, paired_interval
from quaestor.registry.certificates import episodes_path
from quaestor.settings import Settings

CONFIDENCE = 0.95
_DIGEST = re.compile(r"[0-9a-f]{64}")


def episodes(certificate: Certificate) -> NDArray[np.float64] | None:
    """The values (episode,) that a certificate names; None where they are not here, or are not those."""
    return _kept(key_of(str(Settings().data.absolute()), certificate.costs_digest), certificate.costs_digest)


def nominal_interval(certificate: Certificate, values: NDArray[np.float64]) -> Interval | None:
    """The mean without attack with its interval over traces; None of fewer than two traces."""
    traces = values.reshape(-1, certificate.params.draws).mean(axis=1)
    return paired_interval(traces, CONFIDENCE) if len(traces) > 1 else None


def rows(certificate: Certificate, values: NDArray[np.float64], most: int) -> pl.DataFrame:
    """The first episodes in the order in which they were played: episode, trace, value."""
    shown = values[:most]
    number = np.arange(len(shown))
    return pl.DataFrame({"episode": number, "trace": number // certificate.params.draws, "value": shown})


@st.cache_resource(max_entries=4, show_spinner=False)
def _kept(key: str, _digest: str) -> NDArray[np.float64] | None:
    path = episodes_path(Settings().data, _digest)
    if not _DIGEST.fullmatch(_digest) or not path.is_file():
        return None
    values = np.fromfile(path, dtype="<f8")
    return values if values_digest(values) == _digest else None
