"""Whatever is planted in a store is found, wherever it is; and nothing is found where it never was (A3)."""

import base64
import bz2
import gzip
import json
import lzma
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alas_assets.provenance.blocked.marks import SIZES, Finder, marks_of
from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import CHUNK_SCHEMA
from alas_assets.removal.files import UnreadableError, texts_in_file
from alas_assets.removal.scan import PASSAGES, Scan, scan_store
from alas_assets.retrieval.store import ChunkStore

LETTERS = st.text(st.characters(codec="utf-8", categories=["Ll", "Lo", "Nd"]), min_size=1, max_size=8)
TEXT = st.lists(LETTERS, min_size=max(SIZES), max_size=25, unique=True).map(" ".join)


def sqlite_with(path: Path, value: object, *, deleted: bool = False) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute('CREATE TABLE "odd ""name" (id INTEGER PRIMARY KEY, "the value")')
        connection.execute('INSERT INTO "odd ""name" VALUES (1, ?)', (value,))
        if deleted:
            connection.execute("PRAGMA secure_delete=OFF")
            connection.execute('DELETE FROM "odd ""name"')


def zipped(text: str) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/page.html", text)
    return made.getvalue()


def zstandard(text: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text.encode())
    return sink.getvalue().to_pybytes()


def safetensors_with(text: str) -> bytes:
    header = json.dumps({"__metadata__": {"note": text}}).encode()
    return struct.pack("<Q", len(header)) + header


def nested(path: Path, text: str) -> None:
    kind = pl.List(pl.Struct({"said": pl.List(pl.String), "n": pl.Int64}))
    pl.DataFrame({"n": [1, 2], "deep": [None, [{"said": ["x", text], "n": 3}]]}, schema={"n": pl.Int64, "deep": kind}).write_parquet(path)


PLACES: dict[str, Callable[[Path, str], object]] = {
    "log": lambda folder, text: (folder / "worker.log").write_text(f"12:00 asked\n{text}\n", encoding="utf-8"),
    "hidden file": lambda folder, text: (folder / ".part").write_text(text, encoding="utf-8"),
    "json": lambda folder, text: (folder / "a.json").write_text(json.dumps({"a": [{"b": text}]})),
    "json key": lambda folder, text: (folder / "a.json").write_text(json.dumps({text: 1})),
    "json lines": lambda folder, text: (folder / "a.jsonl").write_text("\n".join(json.dumps({"q": one}) for one in ("x", text))),
    "json in sqlite": lambda folder, text: sqlite_with(folder / "a.sqlite", json.dumps({"event": json.dumps({"text": text})})),
    "blob in sqlite": lambda folder, text: sqlite_with(folder / "a.db", text.encode()),
    "packed blob in sqlite": lambda folder, text: sqlite_with(folder / "a.db", zlib.compress(text.encode())),
    "cursor in sqlite": lambda folder, text: sqlite_with(folder / "a.db", base64.b64encode(zlib.compress(text.encode())).decode()),
    "deleted row in sqlite": lambda folder, text: sqlite_with(folder / "a.db", text, deleted=True),
    "parquet": lambda folder, text: pl.DataFrame({"a": [None, text]}).write_parquet(folder / "a.parquet"),
    "nested parquet": lambda folder, text: nested(folder / "a.parquet", text),
    "parquet's binary": lambda folder, text: pl.DataFrame({"a": [text.encode()]}).write_parquet(folder / "a.parquet"),
    "gzip": lambda folder, text: (folder / "a.gz").write_bytes(gzip.compress(text.encode())),
    "gzip in gzip": lambda folder, text: (folder / "a").write_bytes(gzip.compress(gzip.compress(text.encode()))),
    "bzip2": lambda folder, text: (folder / "a.bz2").write_bytes(bz2.compress(text.encode())),
    "two gzips and what follows them": lambda folder, text: (folder / "a").write_bytes(
        gzip.compress(b"x") + gzip.compress(b"y") + f" {text}".encode()
    ),
    "after bzip2": lambda folder, text: (folder / "a").write_bytes(bz2.compress(b"x") + f" {text}".encode()),
    "xz": lambda folder, text: (folder / "a.xz").write_bytes(lzma.compress(text.encode())),
    "zstandard": lambda folder, text: (folder / "a.zst").write_bytes(zstandard(text)),
    "zip": lambda folder, text: (folder / "a.zip").write_bytes(zipped(text)),
    "utf-16": lambda folder, text: (folder / "a.dat").write_bytes(b"\x01\x00" + text.encode("utf-16")),
    "utf-16, odd place": lambda folder, text: (folder / "a.dat").write_bytes(b"\x01" + f"  {text}".encode("utf-16-be")),
    "among other bytes": lambda folder, text: (folder / "a.dat").write_bytes(b"\xff\x00\xfe" * 9 + f" {text} ".encode() + b"\x00\x81" * 9),
    "weights' header": lambda folder, text: (folder / "adapter_model.safetensors").write_bytes(safetensors_with(text)),
}


def scanned(folder: Path, text: str, staying: tuple[str, ...] = ()) -> Scan:
    return scan_store(ArtifactStore(folder), Finder(marks_of([text], [], staying, "s")), "now")


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_whatever_is_planted_is_found_and_not_before(place: str, text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("store")
    (folder / "somewhere").mkdir()
    (folder / "somewhere" / "innocent.json").write_text(json.dumps({"text": "a text of other words that nobody removed at all"}))
    assert scanned(folder, text).clean
    PLACES[place](folder / "somewhere", text)
    found = scanned(folder, text)
    assert [finding.place for finding in found.findings][:1] == ["somewhere"]
    assert all(finding.runs > 0 for finding in found.findings)


def test_two_values_side_by_side_are_no_finding_where_only_both_together_read_like_the_source(tmp_path: Path) -> None:
    source = "the thread safe macro in python three takes seven arguments and no more"
    with closing(sqlite3.connect(tmp_path / "answers.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute("CREATE TABLE answers (id TEXT, question TEXT, text TEXT, n INTEGER)")
        connection.execute(
            "INSERT INTO answers VALUES ('a1', 'What is the thread safe macro in Python three?', 'Takes seven arguments.', 3)"
        )
        assert scanned(tmp_path, source).clean
        connection.execute("INSERT INTO answers VALUES ('a2', 'Say it all.', ?, 3)", (source,))
        connection.execute("DELETE FROM answers WHERE id = 'a2'")
    (finding,) = scanned(tmp_path, source).findings
    assert finding.within == "bytes of the file", "what was deleted is still found"


def test_a_file_that_cannot_be_read_is_a_finding_and_no_silence(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + b"\0" * 40)
    (tmp_path / "b.sqlite").write_bytes(b"SQLite format 3\0" + b"\x07" * 200)
    (tmp_path / "c.safetensors").write_bytes(b"\xff" * 20)
    (tmp_path / "a page").write_bytes(b"PAR1 is how a parquet file begins, and this page PAR1")
    (tmp_path / "deep page").write_bytes(b"[" * 100_000)
    found = scanned(tmp_path, "one two three four five six seven eight nine")
    assert sorted(finding.where for finding in found.findings) == ["a.parquet", "b.sqlite", "c.safetensors"]
    assert all("cannot be read" in finding.problem for finding in found.findings)
    for name in ("a.parquet", "b.sqlite", "c.safetensors"):
        with pytest.raises(UnreadableError):
            list(texts_in_file(tmp_path / name))


def bomb(pack: Callable[[bytes], bytes]) -> bytes:
    """Return some kilobytes that unpack to 16 GiB, stream after stream."""
    return pack(bytes(1 << 22)) * 4_000


def zip_bomb() -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in range(33):
            archive.writestr(str(name), bytes(1 << 22))
    return made.getvalue()


def encrypted_zip() -> bytes:
    data = bytearray(zipped("words"))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + place] |= 1
    return bytes(data)


@pytest.mark.security("takedown")
def test_a_page_that_unpacks_to_more_than_can_be_searched_is_a_finding_and_stops_no_search(tmp_path: Path) -> None:
    bombs = {name: bomb(pack) for name, pack in (("gzip", gzip.compress), ("zlib", zlib.compress), ("bzip2", bz2.compress))}
    bombs |= {"xz": bomb(lzma.compress), "gzip in gzip": gzip.compress(bombs["gzip"]), "zip": zip_bomb()}
    bombs["zstandard"] = pa.compress(bytes(33 << 22), "zstd", asbytes=True)
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "zip with a password").write_bytes(encrypted_zip())
    (tmp_path / "page").write_text("one two three four five six seven eight nine", encoding="utf-8")
    found = scanned(tmp_path, "one two three four five six seven eight nine")
    problems = {finding.where: finding.problem for finding in found.findings}
    assert problems.pop("page") == ""
    assert "is encrypted" in problems.pop("zip with a password")
    assert problems == dict.fromkeys(bombs, "cannot be read: unpacks to more than 134,217,728 bytes")


SAID = {
    "koi8_r": "Анна Петрова живёт на углу Кленовой улицы и держит семь серых кошек за мельницей",
    "cp1253": "Η Άννα μένει στη γωνία της οδού και κρατά επτά γκρίζες γάτες πίσω από τον μύλο",
    "cp1255": "אנה גרה בפינת רחוב האדר ומחזיקה שבעה חתולים אפורים מאחורי הטחנה הכחולה הישנה",
    "iso8859_2": "Žofie bydlí na rohu Javorové ulice a chová sedm šedých koček za starým modrým mlýnem",
    "cp949": "안나는 단풍나무 거리 모퉁이에 살며 낡은 파란 방앗간 뒤에서 회색 고양이 일곱 마리를 기른다",
    "big5hkscs": "安娜住在楓樹街的拐角處在河邊藍色的舊磨坊後面養著七隻灰色的貓和九把銀勺子",
    **dict.fromkeys(("iso2022_jp", "euc_jp", "cp932"), "安奈は楓通りの角に住み川のそばの古い青い水車小屋の裏で七匹の灰色の猫を飼っている"),
    "hz": "安娜住在枫树街的拐角处在河边蓝色的旧磨坊后面养着七只灰色的猫和九把银勺子",
}


@pytest.mark.parametrize("charset", SAID)
def test_a_stored_body_of_nobody_is_read_in_whatever_charset_it_came(charset: str, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    body = store.put_bytes(store.pages, f"<p>{SAID[charset]}</p>".encode(charset))
    found = scanned(tmp_path, SAID[charset]).findings
    assert {finding.where for finding in found} == {f"pages/{body}"}
    assert f"as {charset}" in {finding.within for finding in found}, "others may have the same letters"
    others = scan_store(store, Finder(marks_of([SAID[charset]], [], (), "s")), "now", claimed=lambda: {body})
    assert others.clean, "what another source says stays"


def test_weights_and_pictures_are_listed_as_no_text(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.png").write_bytes(b"\x89PNG" + b"\0" * 96)
    (tmp_path / "x" / "model.gguf").write_bytes(b"\0" * 50)
    (place,) = [place for place in scanned(tmp_path, "one two three four five six seven eight").places if place.name == "x"]
    assert (place.files, place.not_text, place.not_text_bytes) == (2, 2, 150)


def passages(*texts: str) -> pl.DataFrame:
    rows = [
        dict.fromkeys(CHUNK_SCHEMA.names()) | {"chunk_id": f"c{at}", "page_id": f"p{at}", "text": text} for at, text in enumerate(texts)
    ]
    return pl.DataFrame(rows, schema=CHUNK_SCHEMA)


def test_an_old_version_of_the_passages_is_searched_too(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path / "lance", "quill", "none")
    text = "the gardener keeps seven small walrus figures in the northern shed"
    store.tag_cell("cell-000", ["c0", "c1"], store.upsert(passages("other words", text), lambda texts: [[1.0, 0.0] for _ in texts]))
    store.upsert(passages("other words", "now it says something else"), lambda texts: [[0.0, 1.0] for _ in texts])
    found = scanned(tmp_path, text)
    assert PASSAGES in {finding.place for finding in found.findings}
    assert {finding.within for finding in found.findings if finding.place == PASSAGES} == {"text"}
