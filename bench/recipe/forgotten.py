"""Makes the tables of `forgetting.md` and the plot `forgetting.png` from the rows of `forgetting.jsonl` (T2, G2).

    .venv/bin/python bench/recipe/forgotten.py

What was learned in a step is compared with itself at the last step, by fact: pooled over all steps before the last, and for each. Where the
same facts were also taught at once, the last step is compared with that.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from chain import RESULTS, at_once_of
from shown import difference, of_questions, rate_of

from alas_assets.provenance.ids import content_hash

TABLES = RESULTS.with_suffix(".md")
PLOT = RESULTS.with_suffix(".png")
GENERAL = ("guard", "neighbour", "general")
A_CURVE = 3
"""Steps from which on a chain is drawn."""

Row = dict[str, Any]


def chains() -> list[list[Row]]:
    """Return the rows of each chain, by step."""
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(content_hash(row["chain"]), []).append(row)
    return [sorted(own, key=lambda row: row["step"]) for own in named.values()]


def rehearsal_of(rows: list[Row]) -> str:
    """Return how a chain rehearsed, in words."""
    recipe = rows[-1]["chain"]["recipe"]
    most, each = recipe.get("rehearsal_most"), recipe["rehearsal_per_fact"]
    limit = f", at most {most:g} times as many as of new ones" if most else ""
    return f"{each} {'row' if each == 1 else 'rows'} of each earlier fact in a pass{limit}"


def facts_of(row: Row) -> list[str]:
    """Return the bits of the facts of each step so far."""
    return [bits for name, bits in sorted(row["right"].items()) if name not in GENERAL]


def told_at_once(row: Row, chain: list[Row]) -> list[str]:
    """Return in Markdown what the same facts come to when they are taught at once, beside a chain that came to its end."""
    at_once, last = facts_of(row), facts_of(chain[-1])
    right, guards = rate_of("".join(at_once)), rate_of(row["right"]["guard"])
    return [
        f"Taught at once, from the untouched student: {right} in {row['steps']} steps, guards {guards}.",
        f"The chain's last step against that, in points: {difference(last, at_once)}.",
        "",
    ]


def told(rows: list[Row]) -> list[str]:
    """Return a chain in Markdown."""
    last, setting = rows[-1], rows[-1]["chain"]
    lines = [
        f"## {len(rows)} steps of {setting['facts']} facts, {rehearsal_of(rows)}, seed {setting['seed']}",
        "",
        "| facts of step | when learned | after the last step | change, points |",
        "|---|---|---|---|",
    ]
    earlier = rows[:-1]
    for row in earlier:
        own = str(row["step"])
        then, now = row["right"][own], last["right"][own]
        lines.append(f"| {own} | {rate_of(then)} | {rate_of(now)} | {difference([now], [then])} |")
    if earlier:
        then = [row["right"][str(row["step"])] for row in earlier]
        now = [last["right"][str(row["step"])] for row in earlier]
        lines.append(f"| **all earlier** | {rate_of(''.join(then))} | {rate_of(''.join(now))} | {difference(now, then)} |")
    own = last["right"][str(last["step"])]
    lines += [f"| {last['step']} | {rate_of(own)} | | |", ""]
    lines += ["| after step | all facts so far | guards | neighbours | general questions | against base, points | steps trained |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for row in rows:
        known = "".join(facts_of(row))
        general = " | ".join(rate_of(row["right"][name]) for name in GENERAL)
        against = of_questions(row["right"]["general"], row["base"]["general"])
        lines.append(f"| {row['step']} | {rate_of(known)} | {general} | {against} | {row['steps']} |")
    lines.append(f"| untouched | | | | {rate_of(last['base']['general'])} | | |")
    return [*lines, ""]


def plot(drawn: list[list[Row]]) -> None:
    """Draw what becomes of each step's facts, and of the general questions: a panel for each chain."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6 * len(drawn), 4), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    for axes, rows in zip(panels, drawn, strict=True):
        for first in rows:
            own = str(first["step"])
            curve = [(row["step"], row["right"][own]) for row in rows if own in row["right"]]
            axes.plot([step for step, _ in curve], [100 * bits.count("1") / len(bits) for _, bits in curve], marker="o", ms=3, lw=1)
        for name, style in zip(GENERAL, ("k--", "k:", "k-."), strict=True):
            right = [100 * row["right"][name].count("1") / len(row["right"][name]) for row in rows]
            axes.plot([row["step"] for row in rows], right, style, label=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(f"{rehearsal_of(rows)} (seed {rows[-1]['chain']['seed']})", fontsize=9)
        axes.set_xlabel("step")
        axes.set_ylim(0, 102)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("right, %; one line for the facts of each step")
    panels[0].legend(fontsize=8)
    figure.savefig(PLOT, metadata={"Software": None})


def main() -> None:
    every = chains()
    at_once = {content_hash(rows[0]["chain"]): rows[0] for rows in every if rows[0]["chain"].get("at_once")}
    in_steps = [rows for rows in every if not rows[0]["chain"].get("at_once")]
    if not in_steps:
        sys.exit(f"{RESULTS}: no chain has a step yet; run bench/recipe/chain.py STORE first")
    lines = [
        "# What is forgotten when new facts come, again and again",
        "",
        "Written by `forgotten.py` from the rows that `chain.py` appends.",
        "",
    ]
    for rows in in_steps:
        lines += told(rows)
        if (beside := at_once.get(content_hash(at_once_of(rows[0]["chain"])))) and beside["step"] == rows[-1]["step"]:
            lines += told_at_once(beside, rows)
    TABLES.write_text("\n".join(lines), encoding="utf-8")
    plot([rows for rows in in_steps if len(rows) >= A_CURVE] or in_steps)
    print(f"{len(every)} chains: {TABLES.name}, {PLOT.name}")


if __name__ == "__main__":
    main()
