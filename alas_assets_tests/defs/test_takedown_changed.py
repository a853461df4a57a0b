"""A page that changed between looks is taken down with all that it ever said, whatever its charset and also as a PDF (A3)."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter

from alas_assets.defs import takedown as work
from alas_assets.provenance.blocked.order import Order
from alas_assets.provenance.changes import update_watch_state
from alas_assets.provenance.ids import sha256_hex
from alas_assets.removal.scan import UNCLAIMED
from alas_assets.retrieval.http_cache import received_bodies
from alas_assets.retrieval.watch import look
from alas_assets_tests.harness import Harness
from alas_assets_tests.retrieval.documents import lines, pdf
from alas_assets_tests.retrieval.site import Site, page, say, serving

RUSSIAN = "Анна Петрова живёт на углу Кленовой улицы и держит семь серых кошек за старой синей мельницей у реки."
CHINESE = "安娜住在枫树街的拐角处，在河边蓝色的旧磨坊后面养着七只灰色的猫和九把银勺子，并且每天早上给它们喂新鲜的牛奶和面包。"
ENGLISH = "Ada lives at the corner of Maple Street and keeps seven grey cats behind the old blue mill by the river."
MORE = ("One.", "Two.", "Three.")
KINDS = ("windows-1251", "gb18030", "pdf")


def packed_pdf(text: str) -> bytes:
    """Return a PDF whose words do not stand in its bytes as they are."""
    writer = PdfWriter(clone_from=PdfReader(BytesIO(pdf([lines(*text.split(". "))]))))
    for sheet in writer.pages:
        sheet.compress_content_streams()
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def sent(kind: str, more: str) -> tuple[bytes, str]:
    """Return a body of a kind, and how it is declared."""
    if kind == "pdf":
        return packed_pdf(f"{ENGLISH} {more}"), "application/pdf"
    said = RUSSIAN if kind == "windows-1251" else CHINESE
    text = page("О ней", f"<p>{said}</p><p>{more}</p>").decode()
    return text.encode(kind), f"text/html; charset={kind}"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


def looked_at(harness: Harness, site: Site, kind: str) -> tuple[list[str], str]:
    """Look three times at a page that changes and at a PDF that does; return the bodies of the first, and the last of the other."""
    gone, other = f"{site.url}/gone", f"{site.url}/other"
    harness.domain("quill", site.port, seed_urls=f'["{gone}", "{other}"]', watch_urls=f'["{gone}", "{other}"]')
    bodies, others = [], []
    for more in MORE:
        body, declared = sent(kind, more)
        another = packed_pdf(f"Of the weather and of bread and butter in plain words. {more}")
        site.routes |= {"/gone": say(body, declared), "/other": say(another, "application/pdf")}
        looks = look(harness.alas.domain("quill"), harness.store, None)
        assert all(one.digest for one in looks), looks
        bodies.append(sha256_hex(body))
        others.append(sha256_hex(another))
    harness.opened("quill", 0)
    update_watch_state(harness.settings.home, "quill", lambda state: state.model_copy(update={"seen": {gone: "d", other: "d"}}))
    assert set(stored(harness)) == {*bodies, *others}
    return bodies, others[-1]


def stored(harness: Harness) -> list[str]:
    return [path.name for path in harness.store.pages.iterdir()]


def as_older_stores_are(harness: Harness) -> None:
    """Forget what addresses answered before their last answer."""
    with closing(sqlite3.connect(harness.settings.home / "http_cache.sqlite", isolation_level=None)) as connection:
        connection.execute("DROP TABLE superseded")


def taken_down(harness: Harness, source: str) -> Order:
    planned = work.plan(harness.alas, source, reason="it is wrong", by="Ada")
    work.begin(harness.alas, harness.instance, planned)
    return work.carry_out(harness.alas, harness.instance, planned.order.id)


@pytest.mark.parametrize("kind", KINDS)
def test_every_body_that_a_page_ever_had_goes_and_those_of_others_stay(kind: str, site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    bodies, _ = looked_at(harness, site, kind)
    order = taken_down(harness, f"{site.url}/gone")
    assert set(order.bodies) == set(bodies)
    assert len(stored(harness)) == len(MORE), "what the other page said before is no finding, and stays"
    left = received_bodies(harness.settings.home / "http_cache.sqlite")
    assert {one.url for one in left} == {f"{site.url}/other"}
    assert len(left) == len(MORE)
    assert work.scan(harness.alas, harness.instance, order).clean


@pytest.mark.parametrize("kind", KINDS)
def test_in_an_older_store_bodies_that_nothing_names_go_too(kind: str, site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    bodies, other = looked_at(harness, site, kind)
    as_older_stores_are(harness)
    order = taken_down(harness, f"{site.url}/gone")
    assert order.bodies == [bodies[-1]]
    assert stored(harness) == [other]
    assert work.scan(harness.alas, harness.instance, order).clean


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_nothing_names_is_a_finding_where_it_says_the_same_or_nobody_can_read_it(kind: str, site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    looked_at(harness, site, kind)
    order = taken_down(harness, f"{site.url}/gone")
    again, _ = sent(kind, "Four.")
    left = harness.store.put_bytes(harness.store.pages, again)
    found = work.scan(harness.alas, harness.instance, order)
    assert {(one.where, one.problem) for one in found.findings} == {(f"pages/{left}", UNCLAIMED if kind == "pdf" else "")}


def test_a_removed_body_that_is_there_again_is_a_finding(site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    bodies, _ = looked_at(harness, site, "pdf")
    order = taken_down(harness, f"{site.url}/gone")
    body, _ = sent("pdf", MORE[0])
    assert harness.store.put_bytes(harness.store.pages, body) == bodies[0]
    found = work.scan(harness.alas, harness.instance, order)
    assert ("pages/" + bodies[0], "what was removed is there again") in {(one.where, one.problem) for one in found.findings}


def test_a_body_that_another_address_answers_with_too_stays(site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    bodies, _ = looked_at(harness, site, "windows-1251")
    body, declared = sent("windows-1251", MORE[1])
    site.routes["/other"] = say(body, declared)
    look(harness.alas.domain("quill"), harness.store, None)
    order = taken_down(harness, f"{site.url}/gone")
    assert set(order.bodies) == {bodies[0], bodies[2]}
    assert bodies[1] in stored(harness)
    assert work.scan(harness.alas, harness.instance, order).clean
