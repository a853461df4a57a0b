"""Change lists of vulnerability records lead to the records' own documents, newest first (R2, S9)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.retrieval.finding.records_index import RecordIndexError, read_record_index
from alas_assets.retrieval.finding.sitemaps import Listed

CVES = "https://raw.example.org/CVEProject/cvelistV5/main/cves/delta.json"
OSV = "https://osv.example.org"


def change(number: int, when: str) -> dict[str, str]:
    link = f"https://raw.example.org/CVEProject/cvelistV5/main/cves/2026/{number // 1000}xxx/CVE-2026-{number}.json"
    return {
        "cveId": f"CVE-2026-{number}",
        "cveOrgLink": f"https://www.cve.org/CVERecord?id=CVE-2026-{number}",
        "githubLink": link,
        "dateUpdated": when,
    }


def urls(body: object, url: str = CVES) -> list[str]:
    return [one.url for one in read_record_index(json.dumps(body).encode(), url)]


def test_the_cve_lists_changes_come_newest_first_and_once() -> None:
    new, old = change(2001, "2026-11-20T10:00:00.000Z"), change(1002, "2026-11-02T10:00:00.000Z")
    delta = {"fetchTime": "2026-11-20T11:00:00.000Z", "numberOfChanges": 2, "new": [old], "updated": [new], "error": []}
    assert urls(delta) == [new["githubLink"], old["githubLink"]]
    earlier = {"fetchTime": "2026-11-02T11:00:00.000Z", "numberOfChanges": 1, "new": [old], "updated": [], "error": []}
    assert urls([delta, earlier], CVES.replace("delta", "deltaLog")) == [new["githubLink"], old["githubLink"]]
    assert urls({"fetchTime": "", "numberOfChanges": 0, "new": [], "updated": [], "error": []}) == []


def test_osvs_lists_lead_to_the_records_beside_them() -> None:
    lines = [
        "2026-11-02T00:00:00Z,PyPI/PYSEC-2026-1",
        "2026-11-20T00:05:00.5Z,Debian:12/DSA-1-1",
        "2026-11-01T00:00:00Z,GitHub Actions/GHSA-x",
    ]
    whole = "\n".join([*lines, "noise", "2026-11-03T00:00:00Z,../../x"]).encode()
    assert [one.url for one in read_record_index(whole, f"{OSV}/modified_id.csv")] == [
        f"{OSV}/Debian:12/DSA-1-1.json",
        f"{OSV}/PyPI/PYSEC-2026-1.json",
        f"{OSV}/GitHub%20Actions/GHSA-x.json",
    ]
    one = read_record_index(b"modified,id\n2026-11-02T00:00:00Z,PYSEC-2026-1\n", f"{OSV}/PyPI/modified_id.csv")
    assert one == [Listed(f"{OSV}/PyPI/PYSEC-2026-1.json", "2026-11-02T00:00:00+00:00")]


def test_an_answer_of_osvs_api_leads_to_its_single_records() -> None:
    answer = {"vulns": [{"id": "GHSA-a", "modified": "2026-01-01T00:00:00Z"}, {"id": "PYSEC-1", "modified": "2026-02-01T00:00:00Z"}]}
    assert urls(answer, "https://api.example.org/v1/query") == [
        f"https://api.example.org/v1/vulns/{name}" for name in ("PYSEC-1", "GHSA-a")
    ]
    batch = {"results": [answer, {}]}
    assert len(urls(batch, "https://api.example.org/v1/querybatch")) == 2
    assert urls({"vulns": [{"id": "../../x"}, {"id": 3}, {}]}, "https://api.example.org/v1/query") == []


@pytest.mark.parametrize("link", ["file:///etc/passwd", "folder://local/x.json", "http://u:p@a.example/", None, 3, {"a": 1}])
def test_a_link_that_does_not_lead_to_the_web_is_left_out(link: object) -> None:
    assert urls({"new": [{"githubLink": link}, change(1, "")], "updated": []}) == [change(1, "")["githubLink"]]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"a": 1}', b"<html>", b"a,b\nc,d", b"[" * 100_000])
def test_what_is_no_index_is_one_error_that_names_it(body: bytes) -> None:
    with pytest.raises(RecordIndexError, match=CVES):
        read_record_index(body, CVES)


KEYS = st.sampled_from(["new", "updated", "vulns", "results", "githubLink", "id", "modified", "dateUpdated", "numberOfChanges"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None, max_examples=300)
@given(body=st.one_of(st.binary(max_size=300), JSON.map(lambda value: json.dumps(value).encode())))
def test_arbitrary_bytes_are_addresses_or_one_line_that_names_the_index(body: bytes) -> None:
    found, said = [], CVES
    try:
        found = read_record_index(body, CVES)
    except RecordIndexError as error:
        said = str(error)
    assert CVES in said
    assert "\n" not in said
    assert all(one.url.startswith(("http://", "https://")) for one in found)
