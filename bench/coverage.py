"""Print the share of each page's words that reaches the text, beside newspaper4k alone and trafilatura alone.

    python bench/coverage.py FOLDER...
    python bench/coverage.py --undeclared FOLDER...

Reads the HTML files below the folders; serves nothing and needs no network. A page's words are those that it shows a reader: without
hidden parts, without navigation, banners and footers, as `retrieval.readers` takes them out. `--undeclared` makes `main`, `article`
and all navigation plain `div` elements first and prints what each threshold for trusting an extractor would keep: of the declared
article's words (recall), and how many of the kept words are the article's (precision).
"""

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from bs4 import BeautifulSoup, Tag

from alas_assets.retrieval.readers import Unreadable, article, markup, read_page
from alas_assets.retrieval.readers.flow import flat_text
from alas_assets.retrieval.readers.page import words

URL = "http://localhost/"
WORST = 5
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def main(arguments: list[str]) -> int:
    """Return the exit code: 2 where no HTML file lies below the folders."""
    warnings.simplefilter("ignore")
    folders = [Path(argument) for argument in arguments if not argument.startswith("-")]
    files = {folder: sorted(folder.rglob("*.html")) for folder in folders}
    if not any(files.values()):
        print("usage: python bench/coverage.py [--undeclared] FOLDER...; no .html file lies below what was named")
        return 2
    if "--undeclared" in arguments:
        print_thresholds([path for paths in files.values() for path in paths])
    else:
        for folder, paths in files.items():
            print_shares(folder, paths)
    return 0


class Shares(NamedTuple):
    """One page's words, and how many of them are kept."""

    page: str
    words: int
    ours: int
    how: str
    newspaper: int
    trafilatura: int


def print_shares(folder: Path, paths: list[Path]) -> None:
    """Print a folder's totals and its worst pages."""
    rows = [shares(str(path.relative_to(folder)), path.read_bytes()) for path in paths]
    counted = sorted((row for row in rows if row.words), key=lambda row: (row.ours / row.words, row.newspaper / row.words))
    total = sum(row.words for row in counted)
    print(f"\n{folder}: {len(rows)} pages, {len(rows) - len(counted)} of them without text, n = {total:,} words")
    print("| page | words | ours | how | newspaper4k alone | trafilatura alone |\n|---|---|---|---|---|---|")
    if not counted:
        return
    print_row("all", total, sum(r.ours for r in counted), "", sum(r.newspaper for r in counted), sum(r.trafilatura for r in counted))
    lowest = [min(kept(row) / row.words for row in counted) for kept in map(attrgetter, ("ours", "newspaper", "trafilatura"))]
    print(f"| lowest page | | {lowest[0]:.1%} | | {lowest[1]:.1%} | {lowest[2]:.1%} |")
    for row in counted[:WORST]:
        print_row(*row)


def print_row(page: str, count: int, ours: int, how: str, newspaper: int, trafilatura: int) -> None:
    print(f"| {page} | {count:,} | {ours / count:.1%} | {how} | {newspaper / count:.1%} | {trafilatura / count:.1%} |")


def shares(name: str, body: bytes) -> Shares:
    """Read a page with us and with either extractor by itself."""
    html = body.decode("utf-8", "replace")
    try:
        page = markup.shown(html, URL)
        got = read_page(body, URL, "text/html; charset=utf-8")
    except Unreadable:
        return Shares(name, 0, 0, "", 0, 0)
    alone = article.newspaper_article(html, URL)
    kept = [(Counter(words(text)) & page.words).total() for text in (alone.text if alone else "", article.trafilatura_text(html))]
    return Shares(name, page.words.total(), got["kept_words"], got["how"], kept[0], kept[1])


def print_thresholds(paths: list[Path]) -> None:
    """Print recall and precision by the share of a page's words that an extractor must find to be trusted."""
    pages = list(undeclared(paths))
    print(f"\n{len(pages)} pages whose article is no longer declared")
    print("| trusted from | recall | lowest page | precision | newspaper4k | trafilatura | whole body |\n|---|---|---|---|---|---|---|")
    for threshold in THRESHOLDS:
        chosen = [choose(page, threshold) for page in pages]
        recalls, precisions, how = [c[0] for c in chosen], [c[1] for c in chosen], Counter(c[2] for c in chosen)
        figures = f"{sum(recalls) / len(chosen):.1%} | {min(recalls):.1%} | {sum(precisions) / len(chosen):.1%}"
        print(f"| {threshold:.0%} | {figures} | {how['newspaper']} | {how['trafilatura']} | {how['body']} |")


Found = tuple[float, float, float, str]  # recall, precision, share of the page's words outside links, how


def choose(found: list[Found], threshold: float) -> tuple[float, float, str]:
    """Return recall, precision and name of the first that finds enough, as `readers.article` does."""
    recall, precision, _, how = next(one for one in found if one[2] >= threshold or one[3] == "body")
    return recall, precision, how


def undeclared(paths: list[Path]) -> Iterator[list[Found]]:
    """Return what newspaper4k, trafilatura and the whole body find of each page that declares its article."""
    for path in paths:
        soup = BeautifulSoup(path.read_bytes(), "lxml")
        declared = soup.find("main") or soup.find(role="main")
        if not isinstance(declared, Tag):
            continue
        truth = Counter(words(flat_text(declared)))
        for tag in soup.find_all(True):
            tag.attrs.pop("role", None)
            if tag.name in ("main", "article", "nav", "aside", "header", "footer"):
                tag.name = "div"
        page = markup.shown(str(soup), URL)
        everything = article.prose_words(page.body)
        candidates = (
            (article.newspaper_node(page.parsed), "newspaper"),
            (article.trafilatura_node(page.soup, page.body), "trafilatura"),
            (page.body, "body"),
        )
        yield [measured(node, truth, everything, how) for node, how in candidates]


def measured(node: Tag | None, truth: Counter[str], everything: int, how: str) -> Found:
    """Compare an element's words with the declared article's."""
    if node is None:
        return 0.0, 0.0, 0.0, how
    kept = Counter(words(flat_text(node)))
    hits = (kept & truth).total()
    return hits / max(1, truth.total()), hits / max(1, kept.total()), article.prose_words(node) / max(1, everything), how


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
