"""The sample site and the demo's exam hold together: links, official pages, and answers that stand on their pages.

What the pipeline makes of the pages is tested elsewhere; here only the tracked files are read.
"""

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lxml.html
import pytest
from lxml.html import HtmlElement

DATA = Path(__file__).resolve().parents[2] / "data"
SITE = DATA / "site"
EXAM = DATA / "exams" / "python-releases.jsonl"
PAGES = sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html") if p != SITE / "index.html")
OFFICIAL = re.compile(r"https://docs\.python\.org/3\.1[45]/whatsnew/3\.1[45]\.html(#[\w-]+)?")
DEMO_PAGES = 16  # the demo reads this many pages, in the order of the index


def parsed(page: str) -> HtmlElement:
    return lxml.html.fromstring((SITE / page).read_bytes())


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def article(page: str) -> HtmlElement:
    found = parsed(page).xpath("//main/article")
    assert len(found) == 1, f"{page} has {len(found)} articles"
    return found[0]


def local_target(page: str, href: str) -> tuple[Path, str] | None:
    """The file and fragment that a link of `page` leads to, or None when it leaves the site."""
    parts = urlsplit(href)
    if parts.scheme or parts.netloc:
        return None
    return ((SITE / page).parent / unquote(parts.path) if parts.path else SITE / page).resolve(), parts.fragment


def index_order() -> list[str]:
    targets = (local_target("index.html", href) for href in parsed("index.html").xpath("//main//li/a/@href"))
    return [target[0].relative_to(SITE).as_posix() for target in targets if target]


def exam() -> list[dict]:
    return [json.loads(line) for line in EXAM.read_text(encoding="utf-8").splitlines()]


def test_the_site_has_at_least_24_pages_and_the_index_links_each_exactly_once() -> None:
    assert len(PAGES) >= 24
    assert sorted(index_order()) == PAGES


def test_following_next_from_the_first_page_visits_the_index_order_and_previous_leads_back() -> None:
    order = index_order()
    for here, following in itertools.pairwise(order):
        ((ahead, _),) = [local_target(here, h) or (SITE, "") for h in parsed(here).xpath("//nav/a[@rel='next']/@href")]
        ((back, _),) = [local_target(following, h) or (SITE, "") for h in parsed(following).xpath("//nav/a[@rel='prev']/@href")]
        assert (ahead, back) == (SITE / following, SITE / here)


@pytest.mark.parametrize("page", ["index.html", *PAGES])
def test_every_local_link_resolves_inside_the_site(page: str) -> None:
    for href in parsed(page).xpath("//@href | //@src"):
        target = local_target(page, href)
        if target is None:
            assert href.startswith("https://"), f"{page}: {href}"
            continue
        path, fragment = target
        assert path.is_relative_to(SITE), f"{page}: {href} leaves the site"
        assert path.is_file(), f"{page}: {href} leads nowhere"
        if fragment:
            assert parsed(path.relative_to(SITE).as_posix()).xpath("//*[@id=$i]", i=fragment), f"{page}: no anchor {href}"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_it_is_and_names_its_official_source_outside_the_article(page: str) -> None:
    tree = parsed(page)
    title = tree.findtext(".//title") or ""
    assert [squeezed(h.text_content()) for h in article(page).xpath(".//h1")] == [title]
    for name in ("description", "author", "dcterms.license"):
        assert tree.xpath("//meta[@name=$n]/@content", n=name)[0].strip()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.+", tree.xpath("//meta[@property='article:published_time']/@content")[0])
    sources = tree.xpath("//footer[@class='source']//a/@href")
    assert sources
    assert all(OFFICIAL.fullmatch(href) for href in sources)
    assert all(href.startswith(f"https://docs.python.org/{page[:4]}/") for href in sources), "another release's page is named"
    assert not article(page).xpath(".//footer | .//a[contains(@href, 'docs.python.org')]")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_two_to_four_sections_with_text_in_each(page: str) -> None:
    body = article(page)
    assert 2 <= len(body.xpath("./h2[@id]")) == len(body.xpath(".//h2")) <= 4
    for heading in body.xpath("./h2"):
        following = heading.getnext()
        assert following is not None, f"{page}: nothing under {heading.text_content()}"
        assert following.tag in {"p", "ul", "table"}, f"{page}: {heading.text_content()} opens with <{following.tag}>"
        assert squeezed(following.text_content())


def test_titles_and_headings_of_the_demo_pages_are_unique() -> None:
    assert max(Counter(parsed(page).findtext(".//title") for page in PAGES).values()) == 1
    headings = [squeezed(h.text_content()) for page in index_order()[:DEMO_PAGES] for h in article(page).xpath("./h2")]
    assert 3 * DEMO_PAGES <= len(headings) == len(set(headings))


def test_nothing_but_pages_style_and_readme_lies_in_the_site() -> None:
    others = {p.relative_to(SITE).as_posix() for p in SITE.rglob("*") if p.is_file() and p.suffix != ".html"}
    assert others == {"README.md", "style.css"}


def test_exam_lines_are_well_formed_and_ask_everything_once() -> None:
    lines = exam()
    for line in lines:
        assert set(line) == {"id", "question", "answer", "aliases", "paraphrase", "page"}, line
        for key in ("question", "paraphrase"):
            assert line[key] == squeezed(line[key])
            assert line[key].endswith(("?", "."))
        assert line["answer"] == line["answer"].strip()
        assert 1 <= len(line["answer"].split()) <= 6
        assert all(isinstance(a, str) and a.strip() for a in line["aliases"])
        assert line["answer"] not in line["aliases"]
    assert len({line["id"] for line in lines}) == len(lines)
    asked = [form.lower() for line in lines for form in (line["question"], line["paraphrase"])]
    assert len(set(asked)) == 2 * len(lines)


def test_every_exam_answer_stands_on_the_page_it_names() -> None:
    text = {page: squeezed(article(page).text_content()).lower() for page in PAGES}
    missing = [
        line["id"]
        for line in exam()
        if not any(re.search(rf"(?<!\w){re.escape(a.lower())}(?!\w)", text[line["page"]]) for a in [line["answer"], *line["aliases"]])
    ]
    assert missing == []


def test_no_exam_question_gives_its_answer_away() -> None:
    leaks = [
        line["id"]
        for line in exam()
        for form in (line["question"], line["paraphrase"])
        if re.search(rf"(?<![\w.]){re.escape(line['answer'].lower())}(?!\w)", form.lower())
    ]
    assert leaks == []


def test_the_exam_spreads_at_least_130_questions_over_the_sixteen_first_linked_pages() -> None:
    per_page = Counter(line["page"] for line in exam())
    assert set(per_page) == set(index_order()[:DEMO_PAGES])
    assert sum(per_page.values()) >= 130
    assert min(per_page.values()) >= 9
    assert max(per_page.values()) <= 2 * min(per_page.values())


def test_every_demo_section_is_asked_about_in_the_exam() -> None:
    unasked = []
    for page in index_order()[:DEMO_PAGES]:
        answers = [a.lower() for line in exam() if line["page"] == page for a in [line["answer"], *line["aliases"]] if len(a) > 2]
        for heading in article(page).xpath("./h2"):
            section = " ".join(n.text_content() for n in heading.itersiblings() if owner(n) is heading)
            if not any(answer in squeezed(section).lower() for answer in answers):
                unasked.append((page, heading.text_content()))
    assert unasked == []


def owner(node: HtmlElement) -> HtmlElement | None:
    """The section heading under which a child of the article stands."""
    above = [n for n in node.itersiblings(preceding=True) if n.tag == "h2"]
    return None if node.tag == "h2" or not above else above[0]
