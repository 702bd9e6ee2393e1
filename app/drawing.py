"""Puts a chart on a screen without checking it against the whole grammar again: tests check every chart there is."""

from __future__ import annotations

from typing import Any, cast

import streamlit as st
from altair.utils import schemapi

from app.charts.axes import Chart

schemapi.disable_debug_mode()  # or each axis and scale is checked as it is made, too


class _Unchecked:
    """A chart that is written out as it is."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart

    def to_dict(self) -> dict[str, Any]:
        """The chart's specification."""
        return self._chart.to_dict(validate=False)


def draw(chart: Chart, alt: str) -> None:
    """Draws a chart; `alt` is what a screen reader says of it. Checks would take longer than all the rest."""
    st.altair_chart(cast("Any", _Unchecked(chart)), alt=alt)
