"""What several commands print: a run's progress, scores, pairs, what could not be read, a traced answer.

What is printed comes from `defs` and plain packages; nothing is decided or stored here.
"""

from typing import TYPE_CHECKING, Any

from alas_assets.commands.common import fail, out, plain
from alas_assets.wording import counted

if TYPE_CHECKING:
    import polars as pl

    from alas_assets.defs.resources import Alas
    from alas_assets.provenance.store import Cell


NAMED_FAILURES = 20


class Progress:
    """Prints a line per finished step, and a live line for the one at work."""

    def __init__(self) -> None:
        self.status = out.status("starting") if out.is_terminal else None

    def __enter__(self) -> "Progress":
        if self.status:
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.status:
            self.status.stop()

    def __call__(self, kind: str, line: str) -> None:
        """Take an event of a run: a step that started, ended or failed, a check's note, a line of a step's log."""
        if kind == "done":
            out.print(f"  [green]done[/]    {plain(line)}")
        elif kind == "failed":
            out.print(f"  [red]failed[/]  {plain(line.split(':', maxsplit=1)[0])}")  # why is said once, at the end
        elif kind == "check":
            out.print(f"  [yellow]note[/]    {plain(line)}")
        elif kind == "log" and not self.status:
            out.print(f"          {plain(line)}")
        if self.status and kind in ("start", "log"):
            self.status.update(plain(line[:150]))


def print_scoreboard(alas: "Alas", domain: str) -> None:
    """Show a domain's scores by iteration, and the newest one's in sentences; end the command where nothing was judged yet."""
    from alas_assets.defs.revision import domain_scoreboard, exam_with_a_pair, human_agreement, rolled_back
    from alas_assets.evaluation.scoreboard import render_table, summary
    from alas_assets.review.journal import ReviewError

    rows = domain_scoreboard(alas, domain)
    if rows.is_empty():
        fail(f"no iteration of {domain} has been judged yet; run `alas run {domain}`")
    out.print(render_table(rows))
    other = rolled_back(alas, domain)
    if other:
        out.print(f"[yellow]note[/] {plain(other)}")
    out.print(f"\nThe newest iteration, all in all{', as its gate left it' if other else ''}:")
    for line in summary(rows, exam_with_a_pair(alas, domain)):
        out.print(plain(line))
    try:
        for line in human_agreement(alas, domain):
            out.print(f"      {plain(line)}")
    except ReviewError as error:
        fail(str(error))


def print_pairs(alas: "Alas", cell: "Cell") -> None:
    """Show what a dry run found: facts by page, some of them, and what could not be read."""
    import polars as pl

    from alas_assets.defs.outlook import facts_by_page, unread_lines

    pointer = alas.store.pointer(cell, "qa_pairs")
    if pointer is None:
        return
    accepted = alas.store.read_table(pointer).filter("accepted")
    facts = accepted["fact_id"].n_unique()
    out.print(f"{counted(facts, 'fact')}, {counted(accepted.height, 'pair')}; nothing was trained.{' Some of them:' if facts else ''}")
    for row in accepted.filter(pl.col("role") == "train").unique("fact_id", maintain_order=True).head(8).to_dicts():
        out.print(f"  {plain(row['question'])} -> {plain(row['answer'])}\n    {plain(row['url'])}")
    _print_pages(facts_by_page(alas, cell))
    print_failures(unread_lines(alas, cell))


def _print_pages(pages: "pl.DataFrame") -> None:
    from rich.table import Table

    table = Table("facts", "rejected", "passages", "page", box=None)
    for page in pages.iter_rows(named=True):
        table.add_row(str(page["facts"]), str(page["rejected"]), str(page["passages"]), plain(page["url"]))
    out.print(table)


def print_failures(lines: list[str]) -> None:
    """Name what could not be read; of many only the first, which are those that the domain file names."""
    if lines:
        out.print(f"not read: {len(lines)}")
    for line in lines[:NAMED_FAILURES]:
        out.print(f"  {plain(line)}")
    if len(lines) > NAMED_FAILURES:
        out.print(f"  and {len(lines) - NAMED_FAILURES} more")


def print_example(alas: "Alas", domain: str) -> None:
    """Trace one wrong answer of the current model; if none is left, one right answer."""
    from alas_assets.audit.render import trace_text, verdict_text
    from alas_assets.audit.trace import trace_answer
    from alas_assets.audit.verdict import verdict_of
    from alas_assets.defs.serving import example_answer
    from alas_assets.provenance.store import StoreError
    from alas_assets.review.journal import ReviewError

    example: dict[str, Any] | None = example_answer(alas, domain)
    if example is None:
        return
    kind = "A right answer (none is wrong)" if example["label"] == "correct" else "A wrong answer"
    out.print(f"\n[bold]{kind}, traced to its source[/]")
    try:
        found = trace_answer(alas.store, example["answer_id"])
        print(f"{trace_text(found)}\n{verdict_text(verdict_of(alas.store, found))}")
    except (StoreError, ReviewError) as error:
        fail(str(error))
