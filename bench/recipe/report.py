"""Makes the tables of `results.md` and the plot `results.png` from the rows of `results.jsonl` (T6).

    .venv/bin/python bench/recipe/report.py

Each study is compared with its first cell: intervals are Wilson's, the p-value is the paired test's over facts, two-sided.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from cell import Setting
from shown import difference, rate
from studies import STUDIES, WHAT
from study import known

from alas_assets.domains.config import Thresholds

TABLES = Path(__file__).with_name("results.md")
PLOT = Path(__file__).with_name("results.png")
MANY = 3
"""Changes beyond which a dot is told by its row in the table."""
MIDDLE = 64
"""Per cent of held-out wordings beyond which a cell's name stands left of its dot."""
NEAR = 6
"""Per cent; a dot so near to another's right, at its height, has its name below, where the other's is not."""
WORTH_A_PLOT = 8
"""Rows from which on a picture says more than the table."""


def told(setting: Setting, first: Setting) -> str:
    """Say what a cell does, or does otherwise than the first of its study."""
    if setting == first:
        return (
            f"{setting.facts or 'all'} facts, {setting.wordings} wordings, {', '.join(said(setting.recipe)) or 'the recipe of base.toml'}"
        )
    return ", ".join(changes(setting, first))


def changes(setting: Setting, first: Setting) -> list[str]:
    """Return what a cell does otherwise than the first of its study, each change in words."""
    same = first.model_dump(exclude={"recipe", "study"})
    parts = [f"{name} {value}" for name, value in setting.model_dump(exclude={"recipe", "study"}).items() if same.get(name) != value]
    names = sorted(set(setting.recipe) | set(first.recipe))
    changed = {name: setting.recipe.get(name, "as the base") for name in names if setting.recipe.get(name) != first.recipe.get(name)}
    return [*parts, *said(changed)]


def said(recipe: dict[str, Any]) -> list[str]:
    """Return each key of a recipe in words."""
    return [f"{name} {value}" for name, value in recipe.items()]


def against(row: dict[str, Any], first: dict[str, Any]) -> str:
    """Return the paired difference on the probes; "" where the two were asked other questions.

    A store that was filled anew, at another port, has other ids: facts are drawn and stand in another order. The first rows do not say
    what they were asked; they are of one store.
    """
    ours, theirs = (one["right"]["probe"] for one in (row, first))
    same = ("half", "facts", "seed")
    if row is first or row.get("asked") != first.get("asked") or any(row["setting"][name] != first["setting"][name] for name in same):
        return ""
    return difference([ours], [theirs])


def table(study: str, rows: dict[str, dict[str, Any]]) -> list[str]:
    """Return a study as Markdown lines; a cell without a row is named as missing."""
    cells = STUDIES[study]
    first = rows.get(cells[0].name)
    lines = [
        f"## {study}",
        "",
        WHAT[study],
        "",
        "| cell | trained wordings | probes before | probes after | against the first, points | guards | neighbours | steps | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for setting in cells:
        row = rows.get(setting.name)
        if row is None:
            lines.append(f"| {told(setting, cells[0])} | not run | | | | | | | |")
            continue
        scores, before = row["scores"], row.get("base_probes_right")
        shown = [
            rate(*row["trained_wordings"]) if "trained_wordings" in row else "",
            "" if before is None else rate(before, scores["probe"][1]),
            rate(*scores["probe"]),
            against(row, first) if first else "",
            rate(*scores["guard"]),
            rate(*scores["neighbour"]) if "neighbour" in scores else "",
        ]
        lines.append(f"| {told(setting, cells[0])} | {' | '.join(shown)} | {row['steps']} | {row['train_seconds']} |")
    return [*lines, ""]


def share(row: dict[str, Any], split: str) -> float:
    """Return how many per cent of a split's questions were answered right."""
    right, n = row["scores"][split]
    return 100 * right / n


def plot(rows: dict[str, dict[str, Any]]) -> None:
    """Draw what every cell learned against what it kept."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    drawn: set[str] = set()
    dots = [(share(row, "probe"), share(row, "guard")) for row in rows.values()]
    for study, cells in STUDIES.items():
        own = [one for one in cells if one.name in rows and one.name not in drawn]
        drawn |= {one.name for one in own}
        if not own:
            continue
        learned, kept = ([share(rows[one.name], split) for one in own] for split in ("probe", "guard"))
        axes.scatter(learned, kept, label=study, s=28)
        for one, x, y in zip(own, learned, kept, strict=True):
            changed = changes(one, cells[0])
            what = ", ".join(changed) if changed else f"{study}: {one.facts or 'all'} facts"
            if len(changed) > MANY:
                what = f"{study}: row {cells.index(one) + 1} of its table"
            side, ha = (-4, "right") if x > MIDDLE else (4, "left")
            up = -9 if any(0 < x - left < NEAR and abs(y - height) < 0.5 for left, height in dots) else 3
            text = axes.annotate(textwrap.fill(what, 36), (x, y), (side, up), textcoords="offset points", fontsize=6, ha=ha)
            text.set_in_layout(False)
    axes.axhline(100 * (1 - Thresholds().rho), color="grey", ls="--", lw=0.8, label="the gate's limit")
    axes.margins(x=0.08)
    axes.set_xlabel("held-out wordings right, %")
    axes.set_ylabel("general questions still right, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(PLOT, metadata={"Software": None})


def main() -> None:
    rows = known()
    lines = [line for study in STUDIES for line in table(study, rows)]
    TABLES.write_text("\n".join(["# What the recipe studies came to", "", HEAD, "", *lines]), encoding="utf-8")
    if len(rows) >= WORTH_A_PLOT:
        plot(rows)
    print(json.dumps({study: sum(one.name in rows for one in cells) for study, cells in STUDIES.items()}))


HEAD = (
    "Written by `report.py` from `results.jsonl`; `study.py` appends its rows. Machine: one core of an AMD EPYC a cell, with "
    "avx512_bf16, and without where a recipe says fp32; studies `tell`, `told`, `steps`, `longer`, `cves` and `wordings` and the second "
    "cell of `all` on one of an Intel Xeon with AMX."
    " Two cells side by side and at times other work beside, so seconds of training are upper bounds; of a cell that was resumed they"
    " are the last process's. Every cell is one training: a difference counts where its paired test says so. Probes are held-out "
    "wordings, two of each fact; under trained wordings one of each fact is asked as it was taught."
)

if __name__ == "__main__":
    main()
