"""Makes the tables of `forgetting.md` and the plot `forgetting.png` from the rows of `forgetting.jsonl` (T2, G2).

    .venv/bin/python bench/recipe/forgotten.py

What was learned in a step is compared with itself at the last step, by fact: pooled over all steps before the last, and for each.
"""

from __future__ import annotations

import json
from typing import Any

from chain import RESULTS
from shown import difference, of_questions, rate_of

from alas_assets.provenance.ids import content_hash

TABLES = RESULTS.with_suffix(".md")
PLOT = RESULTS.with_suffix(".png")
GENERAL = ("guard", "neighbour", "general")

Row = dict[str, Any]


def chains() -> list[list[Row]]:
    """Return the rows of each chain, by step."""
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(content_hash(row["chain"]), []).append(row)
    return [sorted(own, key=lambda row: row["step"]) for own in named.values()]


def told(rows: list[Row]) -> list[str]:
    """Return a chain in Markdown."""
    last, setting = rows[-1], rows[-1]["chain"]
    most = setting["recipe"].get("rehearsal_most")
    each = setting["recipe"]["rehearsal_per_fact"]
    lines = [
        f"## {len(rows)} steps of {setting['facts']} facts, {each} {'row' if each == 1 else 'rows'} of each earlier fact in a pass"
        f"{f', at most {most:g} times as many as of new ones' if most else ''}, seed {setting['seed']}",
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
        known = "".join(bits for name, bits in row["right"].items() if name not in GENERAL)
        general = " | ".join(rate_of(row["right"][name]) for name in GENERAL)
        against = of_questions(row["right"]["general"], row["base"]["general"])
        lines.append(f"| {row['step']} | {rate_of(known)} | {general} | {against} | {row['steps']} |")
    lines.append(f"| untouched | | | | {rate_of(last['base']['general'])} | | |")
    return [*lines, ""]


def plot(rows: list[Row]) -> None:
    """Draw what becomes of each step's facts, and of the general questions."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for first in rows:
        own = str(first["step"])
        curve = [(row["step"], row["right"][own]) for row in rows if own in row["right"]]
        axes.plot([step for step, _ in curve], [100 * bits.count("1") / len(bits) for _, bits in curve], marker="o", ms=3, lw=1)
    for name, style in zip(GENERAL, ("k--", "k:", "k-."), strict=True):
        axes.plot(
            [row["step"] for row in rows],
            [100 * row["right"][name].count("1") / len(row["right"][name]) for row in rows],
            style,
            label=name,
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step")
    axes.set_ylabel("right, %; one line for the facts of each step")
    axes.set_ylim(0, 102)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(PLOT, metadata={"Software": None})


def main() -> None:
    every = chains()
    head = [
        "# What is forgotten when new facts come, again and again",
        "",
        "Written by `forgotten.py` from the rows that `chain.py` appends.",
        "",
    ]
    TABLES.write_text("\n".join([*head, *(line for rows in every for line in told(rows))]), encoding="utf-8")
    plot(max(every, key=len))
    print(f"{len(every)} chains: {TABLES.name}, {PLOT.name}")


if __name__ == "__main__":
    main()
