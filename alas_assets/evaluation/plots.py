"""Plots of scores as PNG bytes, for the UI and the README; the figures themselves come from the scoreboard."""

from __future__ import annotations

import io
from collections.abc import Sequence

import polars as pl

from alas_assets.records import UNKNOWN, TopicScore

SYSTEMS = ("base", "rag", "previous", "sft", "dpo", "current")


def _png(figure: object) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight", metadata={"Software": None})  # pyright: ignore[reportAttributeAccessIssue]
    return buffer.getvalue()


def accuracy_png(scores: pl.DataFrame) -> bytes:
    """Return bars of accuracy with 95 % intervals: one panel a split, one group an iteration, one bar a system."""
    from matplotlib.figure import Figure

    splits = [s for s in ("probe", "earlier", "guard", "neighbour", UNKNOWN, "exam") if s in scores["split"].unique()]
    figure = Figure(figsize=(3.1 * max(len(splits), 1), 3.0))
    panels = figure.subplots(1, max(len(splits), 1), sharey=True, squeeze=False)[0]
    for panel, split in zip(panels, splits, strict=False):
        rows = scores.filter(pl.col("split") == split)
        iterations = sorted(rows["iteration"].unique())
        for place, system in enumerate(SYSTEMS):
            own = rows.filter(pl.col("system") == system)
            if own.is_empty():
                continue
            at = [iterations.index(i) + (place - 2.5) * 0.14 for i in own["iteration"]]
            heights = own["accuracy"].to_list()
            below = [max(0.0, a - low) for a, low in zip(heights, own["ci_low"], strict=True)]
            above = [max(0.0, high - a) for a, high in zip(heights, own["ci_high"], strict=True)]
            panel.bar(at, heights, width=0.13, yerr=[below, above], label=system, color=f"C{place}", error_kw={"elinewidth": 0.8})
        panel.set_title(split)
        panel.set_xticks(range(len(iterations)), [f"{i:03d}" for i in iterations])
        panel.set_ylim(0, 1.05)
    if splits:
        panels[0].set_ylabel("accuracy")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncol=len(labels), bbox_to_anchor=(0.5, -0.12), frameon=False)
    return _png(figure)


def topics_png(scores: Sequence[TopicScore]) -> bytes:
    """Return a bar for each topic with its number of probes."""
    from matplotlib.figure import Figure

    ordered = sorted(scores, key=lambda score: (score.accuracy, score.name))
    figure = Figure(figsize=(7, 0.28 * max(len(ordered), 1) + 0.8))
    panel = figure.subplots()
    panel.barh([f"{s.name[:60]} (n = {s.n})" for s in ordered], [s.accuracy for s in ordered], color="C0")
    panel.set_xlim(0, 1.0)
    panel.set_xlabel("accuracy of the current model")
    return _png(figure)
