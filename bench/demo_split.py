"""Where the time of a demo went: `python bench/demo_split.py [--home STORE]` after `make demo`.

Reads the seconds that each materialisation recorded in Dagster's own event log, the first time it really worked; nothing is
measured anew and nothing is run.
"""

import argparse
import os
from collections import defaultdict

import dagster as dg

from alas_assets.settings import load_settings

PARTS = {
    "training": ("sft_adapter", "dpo_adapter"),
    "answering": ("baseline_scores", "judge_scores", "dpo_judge_scores", "exam_scores", "preference_pairs"),
    "reading and writing": ("curriculum", "documents", "qa_pairs", "probes"),
    "deciding": ("curriculum_seed", "promotion", "revised_curriculum"),
}


def seconds_by_asset(instance: dg.DagsterInstance) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds of each asset over all cells, unchanged steps left out, and the training children's phases."""
    spent: dict[str, float] = defaultdict(float)
    phases: dict[str, float] = defaultdict(float)
    for asset in [name for names in PARTS.values() for name in names]:
        cursor = None
        while True:
            page = instance.fetch_materializations(dg.AssetKey(asset), limit=100, cursor=cursor)
            for record in page.records:
                found = record.asset_materialization
                metadata = found.metadata if found else {}
                if "seconds" not in metadata or metadata["unchanged"].value:
                    continue
                spent[asset] += float(str(metadata["seconds"].value))
                for name, value in metadata.items():
                    if name.startswith("seconds_"):
                        phases[name.removeprefix("seconds_")] += float(str(value.value))
            if not page.has_more:
                break
            cursor = page.cursor
    return spent, phases


def main() -> None:
    """Print the split as a Markdown table."""
    parser = argparse.ArgumentParser(description="Where the time of a demo went, by kind of work.")
    parser.add_argument("--home", help="the store; by default ALAS_HOME or data/store")
    settings = load_settings(parser.parse_args().home)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    spent, phases = seconds_by_asset(dg.DagsterInstance.get())
    total = sum(spent.values())
    print("| part | seconds | share |\n| --- | --- | --- |")
    for part, assets in PARTS.items():
        seconds = sum(spent[asset] for asset in assets)
        print(f"| {part} | {seconds:.0f} | {100 * seconds / total if total else 0:.0f} % |")
    print(f"| all steps | {total:.0f} | 100 % |")
    print("\nInside the training children: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in sorted(phases.items())))


if __name__ == "__main__":
    main()
