"""Take the screenshots of docs/ from a running `make ui`: `python bench/screenshots.py http://127.0.0.1:3000 docs`.

`NAME=PATH` after it takes only those pages, such as `knowledge-is-fresh=/assets/currency/DOMAIN?view=checks` of a stale domain; a PATH
may be a whole URL, such as one of the viewer's. Needs Debian's chromium. Nothing is clicked that changes anything.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
CELL = "python-releases%7C001"
SHOTS = {
    "asset-graph": "/locations/alas_assets/asset-groups/loop/lineage",
    "qa-pairs": f"/assets/qa_pairs?view=partitions&partition={CELL}",
    "sft-adapter": f"/assets/sft_adapter?view=partitions&partition={CELL}",
    "judge-scores": f"/assets/judge_scores?view=partitions&partition={CELL}",
    "wrong-answers": f"/assets/wrong_answers?view=partitions&partition={CELL}",
    "promotion": f"/assets/promotion?view=partitions&partition={CELL}",
    "scoreboard": "/assets/scoreboard?view=partitions&partition=python-releases",
    "checks": "/assets/probes?view=checks",
    "runs": "/runs",
}
OPENED = {"wrong-answers": "[Show Markdown]"}
"""What is clicked on a page before its picture is taken."""


def main(base: str, folder: Path, shots: dict[str, str]) -> None:
    """Open each page, wait until it stops loading, write a PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1500, "height": 1300})
        for name, path in shots.items():
            page.goto(path if path.startswith("http") else base + path)
            page.wait_for_load_state("domcontentloaded")
            page.wait_for_timeout(7000)
            if name in OPENED:
                page.get_by_text(OPENED[name]).first.click()
                page.wait_for_timeout(1500)
            page.screenshot(path=folder / f"{name}.png")
            print(f"{name}: {page.title()}")
        browser.close()


if __name__ == "__main__":
    named = dict(argument.split("=", maxsplit=1) for argument in sys.argv[3:])
    main(sys.argv[1], Path(sys.argv[2]), named or SHOTS)
