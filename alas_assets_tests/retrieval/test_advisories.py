"""Vulnerability records are told in sentences that hold on their own; other JSON is refused with the reason (R2)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.records import CHUNK_SCHEMA, Topic
from alas_assets.retrieval.chunk import split
from alas_assets.retrieval.extract import Extracted
from alas_assets.retrieval.readers import Unreadable, read_page
from alas_assets.teachers.extractive import ExtractiveTeacher
from alas_assets_tests.retrieval.documents import cve, osv

URL = "http://records.example/CVE-2026-10007.json"


def read(body: bytes, content_type: str = "application/json") -> Extracted:
    return Extracted(**read_page(body, URL, content_type))


def test_an_osv_record_is_told_in_full() -> None:
    got = read(osv())
    assert (
        got.text
        == """# CVE-2026-10007: Crash in the parser

CVE-2026-10007 is also recorded as `TEST-2026-7`. CVE-2026-10007 affects examplelib. CVE-2026-10007 was published on 2026-05-01. \
CVE-2026-10007 was last updated on 2026-05-03.

## Description

A crafted header crashes `parse()`.

##### Impact

The server stops.

## Affected versions of examplelib (PyPI package)

- examplelib from 4.2.0 before 4.2.9
- examplelib from 5.0.0 before 5.0.2

## Fixed versions

The versions of examplelib in which CVE-2026-10007 is fixed are 4.2.9 and 5.0.2.

The first version of the examplelib 4.2 series in which CVE-2026-10007 is fixed is `4.2.9`.

The first version of the examplelib 5.0 series in which CVE-2026-10007 is fixed is `5.0.2`.

## Weakness

The weakness behind CVE-2026-10007 is `CWE-400`.

## Rating

The severity of CVE-2026-10007 is `high`.

The CVSS base score of CVE-2026-10007 is `7.5` (CVSS 3.1).

The CVSS vector of CVE-2026-10007 is `CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H`.

## References

- https://example.org/advisory
"""
    )
    assert (got.title, got.how, got.published_at) == ("CVE-2026-10007: Crash in the parser", "osv-record", "2026-05-01T10:00:00Z")
    assert got.links == ["https://example.org/advisory"]
    assert got.kept_words == got.page_words > 0


def test_a_cve_record_is_told_in_full_with_what_others_add() -> None:
    added = [{"metrics": [{"cvssV4_0": {"baseScore": 8.1, "baseSeverity": "HIGH", "vectorString": "CVSS:4.0/AV:N"}}]}]
    record = json.loads(cve())
    record["containers"]["adp"] = added
    got = read(json.dumps(record).encode())
    assert (
        got.text
        == """# CVE-2026-20001: Command injection in Example Server

CVE-2026-20001 affects Server. The vendor of what CVE-2026-20001 affects is `Example.org`. CVE-2026-20001 was published on 2026-03-04. \
CVE-2026-20001 was last updated on 2026-03-05.

## Description

A request may run commands.

Not a heading

## Affected versions of Server

- Server from 1.0.0 before 1.0.6
- Server from 2.0.0 up to 2.0.3

## Fixed versions

The first version of Server in which CVE-2026-20001 is fixed is `1.0.6`.

## Weakness

The weakness behind CVE-2026-20001 is `CWE-78`. The name of CWE-78 is `OS Command Injection`.

## Rating

The CVSS base score of CVE-2026-20001 is `9.8` (CVSS 3.1).

The severity of CVE-2026-20001 by CVSS 3.1 is `critical`.

The CVSS vector of CVE-2026-20001 is `CVSS:3.1/AV:N`.

The CVSS base score of CVE-2026-20001 is `8.1` (CVSS 4.0).

The severity of CVE-2026-20001 by CVSS 4.0 is `high`.

The CVSS vector of CVE-2026-20001 is `CVSS:4.0/AV:N`.

## Solution

Update to 1.0.6.

## References

- https://example.org/ESA-1
"""
    )
    assert (got.authors, got.how) == (["example"], "cve-record")


def test_the_end_of_an_affected_range_is_no_fix_where_other_versions_may_be_affected() -> None:
    versions = [{"version": "1.0", "status": "affected", "lessThan": "1.4"}]
    text = read(cve({"affected": [{"vendor": "n/a", "product": "Thing", "versions": versions}]})).text
    assert "- Thing from 1.0 before 1.4" in text
    assert "is fixed" not in text
    assert "vendor" not in text


def test_a_series_with_two_fixes_gets_no_sentence_of_its_own() -> None:
    events = [{"introduced": "3.0.0"}, {"fixed": "3.0.4"}, {"introduced": "3.0.7"}, {"fixed": "3.0.9"}]
    affected = [{"package": {"name": "lib"}, "ranges": [{"type": "SEMVER", "events": events}]}]
    text = read(osv(affected=affected)).text
    assert "are 3.0.4 and 3.0.9." in text
    assert "series" not in text


def entry(*ranges: tuple[str, str], name: str = "lib", ecosystem: str = "PyPI", **more: Any) -> dict[str, Any]:
    """Return an entry of `affected` with these ranges, each from one version before another."""
    told = [{"type": "ECOSYSTEM", "events": [{"introduced": start}, {"fixed": before}]} for start, before in ranges]
    return {"package": {"name": name, "ecosystem": ecosystem}, "ranges": told} | more


def test_a_package_with_an_entry_for_each_range_has_one_first_fix_for_each_series_and_none_of_all() -> None:
    text = read(osv(affected=[entry(("4.2", "4.2.16")), entry(("5.0", "5.0.9"))])).text
    assert text.count("## Affected versions of lib") == 1
    assert "The versions of lib in which CVE-2026-10007 is fixed are 4.2.16 and 5.0.9." in text
    assert "The first version of the lib 4.2 series in which CVE-2026-10007 is fixed is `4.2.16`." in text
    assert "The first version of lib in which" not in text


def _version() -> st.SearchStrategy[str]:
    return st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 9)).map(lambda parts: ".".join(map(str, parts)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.tuples(_version(), _version()), max_size=3), min_size=1, max_size=5))
def test_a_package_reads_alike_with_its_ranges_in_one_entry_and_in_many(parts: list[list[tuple[str, str]]]) -> None:
    whole = [each for part in parts for each in part]
    assert read(osv(affected=[entry(*part) for part in parts])).text == read(osv(affected=[entry(*whole)])).text

    def server(ranges: list[tuple[str, str]]) -> dict[str, Any]:
        versions = [{"version": start, "status": "affected", "lessThan": before} for start, before in ranges]
        return {"vendor": "Example.org", "product": "Server", "defaultStatus": "unaffected", "versions": versions}

    one, many = cve({"affected": [server(whole)]}), cve({"affected": [server(part) for part in parts]})
    assert read(many).text == read(one).text


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["lib", "util"]),
            st.sampled_from(["", "PyPI", "Debian:12"]),
            st.lists(st.tuples(_version(), _version()), max_size=3),
        ),
        max_size=6,
    )
)
def test_no_record_gives_two_first_fixes_of_one_thing(entries: list[tuple[str, str, list[tuple[str, str]]]]) -> None:
    text = read(osv(affected=[entry(*ranges, name=name, ecosystem=ecosystem) for name, ecosystem, ranges in entries])).text
    told = re.findall(r"^The first version of (.+) in which CVE-2026-10007 is fixed is ", text, re.MULTILINE)
    assert len(told) == len(set(told))


def test_packages_of_one_name_in_two_ecosystems_keep_their_own_fixes() -> None:
    text = read(osv(affected=[entry(("0", "4.2.16")), entry(("0", "3:4.2.1-1"), ecosystem="Debian:12")])).text
    assert "The first version of the PyPI package lib in which CVE-2026-10007 is fixed is `4.2.16`." in text
    assert "The first version of the Debian:12 package lib in which CVE-2026-10007 is fixed is `3:4.2.1-1`." in text


def changing(start: str, *changes: tuple[str, str], status: str = "affected", **bound: str) -> str:
    """Return what is told of a product of one range whose status changes on its way."""
    listed = [{"at": at, "status": to} for at, to in changes]
    versions = [{"version": start, "status": status, "versionType": "semver", "changes": listed} | bound]
    return read(cve({"affected": [{"vendor": "n/a", "product": "Quill", "defaultStatus": "unaffected", "versions": versions}]})).text


@pytest.mark.parametrize(
    ("text", "told", "fixes"),
    [
        (changing("3.0", ("3.2.5", "unaffected"), lessThan="*"), ["from 3.0 before 3.2.5"], ["3.2.5"]),
        (
            changing("2.1.0", ("2.1.6", "affected"), ("2.1.9", "unaffected"), status="unaffected", lessThan="2.1.*"),
            ["from 2.1.6 before 2.1.9"],
            ["2.1.9"],
        ),
        (
            changing("2.1.0", ("2.1.10", "unaffected"), ("2.1.9", "affected"), status="unaffected", lessThan="3"),
            ["from 2.1.9 before 2.1.10"],
            ["2.1.10"],
        ),
        (
            changing("1", ("1.2", "unaffected"), ("1.4", "affected"), lessThanOrEqual="1.9"),
            ["from 1 before 1.2", "from 1.4 up to 1.9"],
            ["1.2"],
        ),
        (changing("1", ("1.2", "affected"), ("1.4", "unaffected"), lessThan="2"), ["from 1 before 1.4"], ["1.4"]),
        (changing("10.1", ("10.1.9-h1", "unaffected"), lessThan="10.1.9-h1"), ["from 10.1 before 10.1.9-h1"], ["10.1.9-h1"]),
        (changing("10.1", ("10.1.9-h1", "unaffected"), lessThan="10.2"), ["from 10.1 before 10.1.9-h1"], ["10.1.9-h1"]),
        (changing("1.0", ("1.6", "unaffected"), lessThan="1.5"), ["from 1.0 before 1.5"], ["1.5"]),
        (changing("1.0", ("1.5", "unaffected"), lessThanOrEqual="1.5"), ["from 1.0 before 1.5"], ["1.5"]),
        (changing("1.0", ("1.3", "unknown"), lessThan="1.5"), ["from 1.0 before 1.3"], []),
        (changing("1.0", ("1.3", "unaffected"), status="unaffected", lessThan="1.5"), [], []),
    ],
)
def test_a_range_whose_status_changes_is_told_as_far_as_it_is_affected(text: str, told: list[str], fixes: list[str]) -> None:
    assert re.findall(r"^- Quill (.*)$", text, re.MULTILINE) == told
    assert re.findall(r"fixed is `([^`]*)`\.", text) == fixes


def test_a_range_whose_changes_stand_in_no_known_order_is_left_out_and_counted() -> None:
    text = changing("10.1", ("10.1.9-h1", "unaffected"), ("10.1.8-h3", "unaffected"), lessThan="10.2")
    assert "since their bounds could not be put in order: 1\n" in text
    assert "- Quill" not in text
    assert "fixed" not in text


def events(*listed: tuple[str, str], **more: Any) -> str:
    """Return what is told of a package of one range with these events."""
    told = [{"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in listed]}]
    return read(osv(affected=[{"package": {"name": "lib", "ecosystem": "PyPI"}, "ranges": told} | more])).text


@given(st.permutations([("introduced", "0"), ("fixed", "1.5"), ("introduced", "2.0"), ("last_affected", "2.10")]))
def test_the_events_of_a_range_mean_the_same_in_any_order(listed: list[tuple[str, str]]) -> None:
    text = events(*listed)
    assert "- lib before 1.5\n- lib from 2.0 up to 2.10\n" in text
    assert "in which CVE-2026-10007 is fixed is `1.5`." in text


def test_events_in_an_order_that_is_not_known_are_told_as_they_take_turns() -> None:
    assert "- lib from 2.0rc1 before 2.0rc2\n- lib from 2.1rc1 on" in events(
        ("introduced", "2.0rc1"), ("fixed", "2.0rc2"), ("introduced", "2.1rc1")
    )


@pytest.mark.parametrize(
    "listed",
    [
        [("introduced", "0"), ("introduced", "2.0rc1"), ("fixed", "1.5"), ("fixed", "2.3")],
        [("fixed", "1.5rc1"), ("introduced", "0")],
        [("introduced", "2.0"), ("fixed", "1.5")],
        [("introduced", "1"), ("fixed", "1.5"), ("last_affected", "1.6")],
    ],
)
def test_events_that_do_not_take_turns_are_left_out_and_counted_and_the_versions_told_instead(listed: list[tuple[str, str]]) -> None:
    text = events(*listed, versions=["1.1", "1.2"])
    assert "- lib 1.1 and 1.2\n- ranges that are only in the record itself, since their bounds could not be put in order: 1\n" in text
    assert not re.search(r"lib (from|before|up to|all)|fixed", text)


def test_the_versions_of_an_entry_without_ranges_are_told_beside_the_ranges_of_another() -> None:
    text = read(osv(affected=[entry(("4.2", "4.2.16"), versions=["4.2", "4.2.1"]), entry(versions=["3.9", "3.9.1"])])).text
    assert "- lib from 4.2 before 4.2.16\n- lib 3.9 and 3.9.1\n" in text
    assert "4.2.1\n" not in text


def test_what_two_containers_of_a_record_say_alike_is_told_once() -> None:
    record = json.loads(cve())
    record["containers"]["adp"] = [{"affected": record["containers"]["cna"]["affected"]}]
    assert read(json.dumps(record).encode()).text == read(cve()).text


def test_a_withdrawn_and_a_rejected_record_say_so() -> None:
    assert "CVE-2026-10007 was withdrawn on 2026-06-01." in read(osv(withdrawn="2026-06-01T00:00:00Z")).text
    rejected = cve(
        {"rejectedReasons": [{"lang": "en", "value": "It was assigned twice."}], "title": "", "affected": [], "descriptions": []}
    )
    assert "CVE-2026-20001 was rejected: It was assigned twice." in read(rejected).text


def test_a_vector_that_breaks_its_rules_is_shown_unscored() -> None:
    text = read(osv(severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:nonsense"}])).text
    assert "The CVSS vector of CVE-2026-10007 is `CVSS:3.1/AV:nonsense`." in text
    assert "base score" not in text


def test_long_lists_are_cut_and_say_so() -> None:
    affected = [{"package": {"name": "lib"}, "versions": [f"1.{n}" for n in range(400)]}]
    text = read(osv(affected=affected)).text
    assert "1.59" in text
    assert "- 340 more are in the record itself" in text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a": 1}', "not a CVE JSON 5 or OSV record"),
        (b"[]", "not a CVE JSON 5 or OSV record"),
        (b"{", "no JSON"),
        (b"\xff\xfe{}", "no JSON"),
        (b"<html></html>", "no JSON"),
        (b'{"dataType": "CVE_RECORD", "dataVersion": "4.0"}', "not a CVE JSON 5 or OSV record"),
        (osv(affected="all"), "affected"),
        (osv(id="../../x"), "not a CVE JSON 5 or OSV record: id"),
        (cve(head={"cveId": "CVE-x"}), "cveMetadata.cveId"),
        (cve(containers={}), "containers.cna"),
    ],
)
def test_other_json_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(body)


def test_a_record_served_as_plain_text_is_known_by_its_name() -> None:
    assert read(osv(), "text/plain; charset=utf-8").how == "osv-record"


@pytest.mark.parametrize("field", ["summary", "details"])
def test_hidden_text_and_code_marks_of_a_record_stay_out(field: str) -> None:
    text = read(osv(**{field: "Seen words <!-- IGNOREALLRULES --> and\u200b ![IGNOREALLRULES](x.png) more"})).text
    assert "Seen words" in text
    assert text.count("IGNOREALLRULES") == (1 if field == "summary" else 0)  # a summary is plain text: its image mark is shown as it is
    assert "\u200b" not in text
    broken = [{"package": {"name": "a`b\n# c"}, "versions": ["1`\n2"]}]
    assert "\n- a'b # c 1' 2\n" in read(osv(affected=broken)).text


def test_the_extractive_teacher_asks_from_a_record() -> None:
    got = read(osv())
    now = datetime.now(UTC)
    rows = [
        {
            "chunk_id": chunk.chunk_id,
            "page_id": "p",
            "url": URL,
            "title": got.title,
            "heading_path": list(chunk.heading_path),
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "start": chunk.start,
            "end": chunk.end,
            "text_sha256": "",
            "body_sha256": "",
            "retrieved_at": now,
        }
        for chunk in split(got.text, "p")
    ]
    chunks = pl.DataFrame(rows, schema=CHUNK_SCHEMA, orient="row")
    written = ExtractiveTeacher().write_topic(Topic(topic_id="t", name=got.title, urls=["p"]), chunks, 50, 4)
    answers = {fact.answer for fact in written.facts}
    assert {"TEST-2026-7", "2026-05-01", "2026-05-03", "4.2.9", "5.0.2", "CWE-400", "high"} <= answers
    assert all(fact.quote in " ".join(got.text.split()) for fact in written.facts)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=8,
)
_OSV_FIELDS = ("id", "modified", "published", "summary", "details", "aliases", "affected", "severity", "references", "database_specific")
_CNA_FIELDS = ("title", "descriptions", "affected", "problemTypes", "metrics", "references", "solutions", "datePublic")


@given(st.data(), _VALUES)
@settings(max_examples=200, deadline=None)
def test_any_record_yields_the_same_text_twice_or_a_reason(data: st.DataObject, value: Any) -> None:
    of_osv = data.draw(st.booleans())
    field = data.draw(st.sampled_from(_OSV_FIELDS if of_osv else _CNA_FIELDS))
    body = osv(**{field: value}) if of_osv else cve({field: value})
    try:
        got = read(body)
    except Unreadable:
        return
    assert got == read(body)
    assert got.model_dump_json().encode()


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_a_records_texts_never_make_headings_of_ours(name: str, version: str) -> None:
    text = read(osv(affected=[{"package": {"name": name}, "versions": [version]}], details=name, summary=version)).text
    headings = [line for line in text.split("\n") if line.startswith("## ")]
    assert [line for line in headings if not line.startswith("## Affected versions of ")] == [
        heading for heading in ("## Description", "## Weakness", "## Rating", "## References") if heading in headings
    ]
