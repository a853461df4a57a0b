"""Makes the tables of `compare.md` and the plot `compare.png` from the rows of `compare.jsonl` (E5, D3).

    .venv/bin/python bench/recipe/compared.py [--facts 60]

Seeds ask the same questions. Wordings of a fact rise and fall together, so the interval of a share of probes resamples facts, all seeds of
a fact together, and so does that of a difference, which is paired. For guards and neighbours it is Wilson's over the questions of one seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from compare import ARMS, DPO, PARTS, known
from facts import HELD_OUT
from shown import over_seeds

from alas_assets.evaluation.statistics import paired_test, wilson

TABLES = Path(__file__).with_name("compare.md")
PLOT = Path(__file__).with_name("compare.png")

Row = dict[str, Any]
WHAT = {
    "base": "the student as it comes",
    "rag": "the student with two passages beside each question, nothing trained",
    "static": "generation without research: the student's own answers from memory, trained as the loop trains",
    "plain": "standard SFT: one wording, refused pairs too, nothing else; as many steps",
    "half": "the loop's SFT at half the sights",
    "sft": "the loop's SFT alone, one iteration",
    "dpo": "the loop's SFT and then its DPO, whatever that does",
    "loop": f"the loop, {PARTS} iterations of a part of the facts each, without the gate",
}


def by_arm(facts: int) -> dict[str, list[Row]]:
    """Return the rows of each arm, by seed."""
    rows: dict[str, list[Row]] = {}
    for (arm, _), row in sorted(known(facts).items()):
        rows.setdefault(arm, []).append(row)
    return rows


def mean(rows: list[Row], split: str) -> tuple[float, float, float]:
    """Return the share of right answers over all seeds with its interval; see the module for which."""
    n = rows[0]["scores"][split][1]
    if split == "probe":
        bits = [bit == "1" for row in rows for bit in row["right"][split]]
        facts = [str(at // HELD_OUT) for row in rows for at in range(len(row["right"][split]))]
        told = paired_test(bits, [False] * len(bits), facts, 0)
        return told.gain, told.ci_low, told.ci_high
    share = sum(row["scores"][split][0] for row in rows) / (n * len(rows))
    return share, *wilson(round(share * n), n)


def shown(rows: list[Row], split: str) -> str:
    """Return it as a cell of a table."""
    share, low, high = mean(rows, split)
    return f"{share:.1%} [{100 * low:.0f}-{100 * high:.0f}]"


def against(rows: list[Row], others: list[Row]) -> str:
    """Return the paired difference on the probes of the seeds that both have."""
    by_seed = {row["seed"]: row for row in others}
    both = [row for row in rows if by_seed.get(row["seed"], row) is not row]
    return over_seeds(*([row["right"]["probe"] for row in side] for side in (both, [by_seed[row["seed"]] for row in both]))) if both else ""


def arms_table(rows: dict[str, list[Row]]) -> list[str]:
    """Return all arms beside the loop's SFT."""
    lines = ["| arm | seeds | probes | against `sft`, points | guards | neighbours |", "|---|---|---|---|---|---|"]
    for arm, what in WHAT.items():
        own = rows.get(arm)
        if own is None:
            lines.append(f"| `{arm}`: {what} | not run | | | | |")
            continue
        told = against(own, rows.get("sft", []))
        lines.append(
            f"| `{arm}`: {what} | {len(own)} | {shown(own, 'probe')} | {told} | {shown(own, 'guard')} | {shown(own, 'neighbour')} |"
        )
    return lines


def dpo_table(rows: dict[str, list[Row]]) -> list[str]:
    """Return every form of DPO beside the SFT adapter that it went on from."""
    head = "| after the same SFT | seeds | pairs | log-probability of chosen | probes | against `sft`, points | guards |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for arm in DPO:
        own = rows.get(arm)
        if own is None:
            lines.append(f"| {arm} | not run | | | | | |")
            continue
        pairs = ", ".join(str(row["mined"]) for row in own)
        chosen = ", ".join(
            f"{told['logps_chosen_before']:.2f} -> {told['logps_chosen_after']:.2f}" if (told := row.get("measured")) else "skipped"
            for row in own
        )
        told = against(own, rows.get("sft", []))
        lines.append(f"| {arm} | {len(own)} | {pairs} | {chosen} | {shown(own, 'probe')} | {told} | {shown(own, 'guard')} |")
    return lines


def plot(rows: dict[str, list[Row]]) -> None:
    """Draw what each arm knows of the facts, and what it kept of everything else."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    arms = [arm for arm in WHAT if arm in rows]
    figure = Figure(figsize=(8, 0.6 + 0.55 * len(arms)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for split, label, offset in (("probe", "held-out wordings of the facts", 0.12), ("guard", "general questions", -0.12)):
        told = [mean(rows[arm], split) for arm in arms]
        shares = [100 * share for share, _, _ in told]
        spread = [[max(0.0, 100 * (share - low)) for share, low, _ in told], [max(0.0, 100 * (high - share)) for share, _, high in told]]
        axes.errorbar(shares, [len(arms) - 1 - i + offset for i in range(len(arms))], xerr=spread, fmt="o", label=label, capsize=3)
    axes.set_yticks(range(len(arms)), [f"{arm}\n{WHAT[arm].split(':')[0].split(',')[0]}" for arm in reversed(arms)], fontsize=7)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("right, % (95 % intervals, mean of all seeds)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(PLOT, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--facts", type=int, default=60)
    facts = parser.parse_args().facts
    rows = by_arm(facts)
    some = next(iter(rows.values()))[0]["scores"]
    text = [
        "# The loop against what else one could do",
        "",
        f"Written by `compared.py` from the rows that `compare.py` appends. {facts} facts of the `report` half, {some['probe'][1]} "
        f"held-out questions, {some['guard'][1]} general and {some['neighbour'][1]} neighbouring ones; a seed is one of the training.",
        "An interval of a difference resamples facts and weighs by how many wordings; p only counts facts that got better or worse. Where",
        "the two disagree, nothing is shown. Untrained arms answer alike with every seed.",
        "",
        *arms_table(rows),
        "",
        "## DPO after the same SFT",
        "",
        *dpo_table(rows),
        "",
    ]
    TABLES.write_text("\n".join(text), encoding="utf-8")
    plot(rows)
    print(f"{sum(map(len, rows.values()))} rows of {len(ARMS)} arms: {TABLES.name}, {PLOT.name}")


if __name__ == "__main__":
    main()
