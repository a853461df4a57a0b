"""Pictures of a training; drawn without a display. Where they are shown is the caller's business."""

from __future__ import annotations

import io
from collections.abc import Sequence


def loss_png(history: Sequence[tuple[int, float]], title: str = "training loss") -> bytes:
    """Return a loss curve as a PNG file; an empty history gives an empty plot that says so.

    Args:
        history: (optimiser step, loss).
        title: Shown above the curve.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    if history:
        axes.plot([step for step, _ in history], [loss for _, loss in history], marker="." if len(history) < 60 else "", linewidth=1)
        axes.set_ylim(bottom=0)
    else:
        axes.text(0.5, 0.5, "no step was logged", ha="center", va="center", transform=axes.transAxes)
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("loss")
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
