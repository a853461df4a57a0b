"""The chunk store never duplicates, never re-embeds what it has, and gives a cell back exactly (R3, R4, O8, A1)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lancedb
import numpy as np
import polars as pl
import pytest

from alas_assets.provenance.store import StoreError
from alas_assets.records import CHUNK_SCHEMA
from alas_assets.retrieval.store import ChunkStore, _older_than_any_tag, local_folder
from alas_assets.retrieval.takedown import every_version, write_without


def rows(names: str, words: str = "plain", text_sha256: str = "t1") -> pl.DataFrame:
    """One passage per letter."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    made = [
        {
            "chunk_id": name,
            "page_id": "http://a.example/",
            "url": "http://a.example/",
            "title": "A",
            "heading_path": ["A", name],
            "ordinal": number,
            "text": f"passage {name} about {words}",
            "start": number * 10,
            "end": number * 10 + 9,
            "text_sha256": text_sha256,
            "body_sha256": "b",
            "retrieved_at": at,
        }
        for number, name in enumerate(names)
    ]
    return pl.DataFrame(made, schema=CHUNK_SCHEMA)


class Embedder:
    """Counts what it is asked for; vectors point along the letter in the text."""

    def __init__(self, length: int = 4) -> None:
        self.asked: list[str] = []
        self._length = length

    def __call__(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        return [[1.0 if (ord(text.split()[1][0]) - ord("a")) % self._length == n else 0.1 for n in range(self._length)] for text in texts]


@pytest.fixture
def passages(tmp_path: Path) -> ChunkStore:
    return ChunkStore(tmp_path / "lance", "python-releases", "tiny")


def keep(passages: ChunkStore, tag: str, chunks: pl.DataFrame, embed: Callable[[list[str]], list[list[float]]]) -> None:
    passages.tag_cell(tag, chunks["chunk_id"].to_list(), passages.upsert(chunks, embed))


def test_a_cell_is_given_back_exactly_and_in_order(passages: ChunkStore) -> None:
    chunks = rows("dbca")
    keep(passages, "cell-000", chunks, Embedder())
    assert passages.read_cell("cell-000").equals(chunks)


def test_an_unchanged_set_is_not_embedded_again_and_writes_no_version(passages: ChunkStore) -> None:
    embed = Embedder()
    first = passages.upsert(rows("abc"), embed)
    second = passages.upsert(rows("abc"), embed)
    assert (first.embedded, second.embedded, second.version) == (3, 0, first.version)
    third = passages.upsert(rows("abcd"), embed)
    assert third.embedded == 1
    assert len(embed.asked) == 4


def test_a_later_cell_does_not_change_what_an_earlier_one_reads(passages: ChunkStore) -> None:
    embed = Embedder()
    old, new = rows("abc"), rows("bcd", text_sha256="t2")
    keep(passages, "cell-000", old, embed)
    keep(passages, "cell-001", new, embed)
    assert passages.read_cell("cell-000").equals(old)
    assert passages.read_cell("cell-001").equals(new)
    assert len(embed.asked) == 4


def test_a_cell_made_again_replaces_its_own_set(passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("abc"), Embedder())
    keep(passages, "cell-000", rows("c"), Embedder())
    assert passages.read_cell("cell-000")["chunk_id"].to_list() == ["c"]


def test_some_passages_are_read_as_the_last_cell_that_has_them_has_them_in_the_order_asked_for(passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("abc"), Embedder())
    keep(passages, "cell-001", rows("bc", text_sha256="t2"), Embedder())
    keep(passages, "cell-002", rows("cd", text_sha256="t3"), Embedder())

    def read(names: str, *tags: str) -> list[tuple[str, str]]:
        found = passages.read_passages(list(names), tags)
        assert found.schema == CHUNK_SCHEMA
        return found.select("chunk_id", "text_sha256").rows()

    assert read("cab", "cell-000", "cell-001", "cell-002") == [("c", "t3"), ("a", "t1"), ("b", "t2")]
    assert read("cd", "cell-000", "cell-001") == [("c", "t2")], "what only a cell after these has is not theirs"
    assert read("zb", "cell-000", "cell-001", "cell-002") == [("b", "t2")]
    assert read("", "cell-000") == []
    assert read("a") == []
    assert read("dd", "cell-002") == [("d", "t3")] * 2
    assert read("c", "never tagged", "cell-002") == [("c", "t3")], "nothing is left to look for before it"
    with pytest.raises(StoreError, match="never tagged has no stored passages; materialise `documents` of python-releases again"):
        read("a", "never tagged", "cell-002")


def test_a_passage_that_a_cell_names_and_its_table_has_lost_is_no_passage_that_was_never_there(tmp_path: Path) -> None:
    passages = ChunkStore(tmp_path, "python-releases", "tiny")
    passages.tag_cell("cell-000", ["a", "lost"], passages.upsert(rows("a"), Embedder()))
    assert passages.read_passages(["a"], ["cell-000"]).equals(rows("a"))
    with pytest.raises(StoreError, match="1 passages of cell-000 are gone"):
        passages.read_passages(["a", "lost"], ["cell-000"])
    with pytest.raises(StoreError, match="1 passages of cell-000 are gone"):
        passages.read_cell("cell-000")


def test_equal_ids_in_one_batch_are_stored_once(passages: ChunkStore) -> None:
    upserted = passages.upsert(pl.concat([rows("ab"), rows("ab")]), Embedder())
    assert upserted.rows == 2
    passages.tag_cell("cell-000", ["a", "b"], upserted)
    assert len(passages.read_cell("cell-000")) == 2


def test_search_finds_by_words_and_by_vector_only_within_the_cell(passages: ChunkStore) -> None:
    embed = Embedder()
    keep(passages, "cell-000", pl.concat([rows("ab", "lazy imports"), rows("cd", "profiling tools")]), embed)
    keep(passages, "cell-001", rows("e", "lazy imports"), embed)
    hits = passages.search("lazy", [0.1, 1.0, 0.1, 0.1], 2, ["cell-000"])
    assert sorted(hits["chunk_id"]) == ["a", "b"]
    assert passages.search("profiling", [0.1, 0.1, 0.1, 1.0], 1, ["cell-000"])["chunk_id"][0] in "cd"
    assert hits.columns == [*CHUNK_SCHEMA.names(), "score", "similarity"]
    assert "e" not in passages.search("lazy imports", [1.0, 0.1, 0.1, 0.1], 10, ["cell-000"])["chunk_id"]
    assert sorted(passages.search("lazy", [0.1, 1.0, 0.1, 0.1], 3, ["cell-000", "cell-001"])["chunk_id"]) == ["a", "b", "e"]
    assert passages.search("lazy", [1.0, 0, 0, 0], 5, []).is_empty()


@pytest.mark.parametrize("text", ["", '"', "AND ( OR", "a' OR 1=1; --", "foo:bar^2", "\x00", "🐍"])
def test_no_question_breaks_the_search(text: str, passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("ab"), Embedder())
    assert len(passages.search(text, [1.0, 0, 0, 0], 2, ["cell-000"])) == 2


def test_equal_searches_give_equal_answers(passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("abcdefghijklmnop"), Embedder())
    first = passages.search("passage", [1.0, 1.0, 1.0, 1.0], 3, ["cell-000"])
    assert all(passages.search("passage", [1.0, 1.0, 1.0, 1.0], 3, ["cell-000"]).equals(first) for _ in range(5))


def test_domains_do_not_mix(tmp_path: Path, passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("ab"), Embedder())
    other = ChunkStore(tmp_path / "lance", "cves", "tiny")
    with pytest.raises(StoreError, match="materialise `documents` of cves again"):
        other.read_cell("cell-000")
    keep(other, "cell-000", rows("a", "other"), Embedder())
    assert len(passages.read_cell("cell-000")) == 2


def test_a_hostile_domain_name_stays_inside_the_folder(tmp_path: Path) -> None:
    hostile = ChunkStore(tmp_path / "in" / "lance", "../../out|x🐍", "tiny")
    keep(hostile, "cell-000", rows("a"), Embedder())
    assert len(hostile.read_cell("cell-000")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_another_embedder_has_its_own_vectors_and_its_question_is_refused(tmp_path: Path, passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("ab"), Embedder())
    larger = ChunkStore(tmp_path / "lance", "python-releases", "larger")
    with pytest.raises(StoreError, match="embedded by tiny, the question by larger"):
        larger.search("a", [1.0] * 6, 1, ["cell-000"])
    assert larger.upsert(rows("ab"), Embedder(6)).embedded == 2
    assert len(larger.read_cell("cell-000")) == 2


def test_cells_of_another_embedder_are_embedded_anew_once_and_are_found_and_read_as_before(tmp_path: Path, passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("ab"), Embedder())
    before = passages.read_cell("cell-000")
    larger, embed = ChunkStore(tmp_path / "lance", "python-releases", "larger"), Embedder(6)
    with pytest.raises(StoreError, match=r'alas run python-releases.*set student.embedder back to "tiny"'):
        larger.search("a", [1.0] * 6, 1, ["cell-000"])
    keep(larger, "cell-001", rows("c"), embed)
    assert larger.embed_anew(["cell-000", "cell-001"], embed) == 1
    assert larger.embed_anew(["cell-000", "cell-001"], embed) == 0
    assert larger.search("a", [1.0] * 6, 3, ["cell-000", "cell-001"]).height == 3
    assert larger.read_cell("cell-000").equals(before)
    assert larger.embed_anew([], embed) == 0


def test_a_cell_without_passages_leads_no_search_to_the_table_of_an_embedder_that_was_changed(tmp_path: Path, passages: ChunkStore) -> None:
    for words in ("plain", "edited", "final"):  # so that versions of this table are higher than those of the next embedder's
        keep(passages, "cell-000", rows("ab", words), Embedder())
    passages.write_cell("cell-001", CHUNK_SCHEMA.to_frame(), [], 4)
    other, embed = ChunkStore(tmp_path / "lance", "python-releases", "other"), Embedder()
    keep(other, "cell-002", rows("c"), embed)
    tags = ["cell-000", "cell-001", "cell-002"]
    other.embed_anew(tags, embed)
    assert set(other.search("passage c", embed(["passage c"])[0], 3, tags)["chunk_id"]) == {"a", "b", "c"}


def test_vectors_that_do_not_fit_are_refused_and_the_table_stays(passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("ab"), Embedder())
    with pytest.raises(StoreError):
        passages.upsert(rows("c"), Embedder(7))
    with pytest.raises(StoreError):
        passages.upsert(rows("c"), lambda texts: [[float("nan")] * 4 for _ in texts])
    with pytest.raises(StoreError, match="one vector"):
        passages.upsert(rows("cd"), lambda texts: [[1.0] * 4])
    assert len(passages.read_cell("cell-000")) == 2


@pytest.mark.parametrize("damage", ["deleted", "data", "manifests"])
def test_a_damaged_table_says_what_to_do_and_making_it_again_heals_it(damage: str, tmp_path: Path, passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("abc"), Embedder())
    table = next(path for path in (tmp_path / "lance").glob("*.lance") if not path.name.endswith(".cells.lance"))
    if damage == "deleted":
        for path in sorted(table.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        table.rmdir()
    else:
        for path in (table / ("data" if damage == "data" else "_versions")).iterdir():
            path.write_bytes(b"torn")
    reader = ChunkStore(tmp_path / "lance", "python-releases", "tiny")
    with pytest.raises(StoreError, match="materialise `documents` of python-releases again"):
        reader.read_cell("cell-000")
    embed = Embedder()
    keep(reader, "cell-000", rows("abc"), embed)
    assert len(embed.asked) == 3
    assert reader.read_cell("cell-000").equals(rows("abc"))


def test_a_write_takes_only_what_differs(tmp_path: Path, passages: ChunkStore) -> None:
    passages.upsert(rows("abcdefgh"), Embedder())
    table = lancedb.connect(tmp_path / "lance").open_table(passages.upsert(rows("abcdefgh"), Embedder()).table)
    before = table.version
    moved = pl.concat([rows("abcdef"), rows("abcdefghi", text_sha256="t2").tail(3)])
    upserted = passages.upsert(moved, Embedder())
    assert (upserted.version, upserted.embedded) == (before + 1, 1)
    table.checkout_latest()
    assert [version["metadata"]["total_rows"] for version in table.list_versions()][-1] == "9"
    assert table.stats()["fragment_stats"]["lengths"]["min"] == 3
    passages.tag_cell("cell-000", moved["chunk_id"].to_list(), upserted)
    assert passages.read_cell("cell-000").equals(moved)


def test_many_writes_are_compacted_and_every_tagged_version_stays(tmp_path: Path, passages: ChunkStore) -> None:
    cells = {f"cell-{number:03d}": rows("abc", text_sha256=f"t{number}") for number in range(45)}
    for tag, chunks in cells.items():
        keep(passages, tag, chunks, Embedder())
    database = lancedb.connect(tmp_path / "lance")
    for name in database.list_tables().tables:
        assert database.open_table(name).stats()["fragment_stats"]["num_fragments"] < 20, name
    for tag, chunks in cells.items():
        assert passages.read_cell(tag).equals(chunks)


def test_a_table_whose_maker_was_killed_before_it_had_indices_gets_them_at_the_next_write(tmp_path: Path, passages: ChunkStore) -> None:
    table = lancedb.connect(tmp_path / "lance").open_table(passages.upsert(rows("abc"), Embedder()).table)
    for index in table.list_indices():
        table.drop_index(index.name)
    keep(passages, "cell-000", rows("abcd"), Embedder())
    table.checkout_latest()
    assert {index.columns[0] for index in table.list_indices()} == {"chunk_id", "text"}
    assert passages.search("passage", [1.0, 0, 0, 0], 1, ["cell-000"]).height == 1


def test_superseded_versions_are_freed_only_where_no_older_one_is_pinned(tmp_path: Path, passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("abc"), Embedder())
    table = lancedb.connect(tmp_path / "lance").open_table(passages.upsert(rows("abc"), Embedder()).table)
    assert _older_than_any_tag(table) == timedelta(days=7)
    table.optimize(cleanup_older_than=_older_than_any_tag(table))
    assert passages.read_cell("cell-000").equals(rows("abc"))


def test_a_large_table_gets_a_vector_index_and_finds_the_same_also_among_what_came_later(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    texts = [f"w{number}" for number in range(1_500)]
    vectors = dict(zip(texts, draw.normal(size=(len(texts), 16)).tolist(), strict=True))

    def chunks(wanted: list[str]) -> pl.DataFrame:
        frame = rows("a" * len(wanted))
        return frame.with_columns(chunk_id=pl.Series(wanted), text=pl.Series(wanted))

    def embed(asked: list[str]) -> list[list[float]]:
        return [vectors[text] for text in asked]

    plain = ChunkStore(tmp_path / "plain", "python-releases", "tiny")
    large = ChunkStore(tmp_path / "large", "python-releases", "tiny", vector_index_from=1_000)
    for passages in (plain, large):
        keep(passages, "cell-000", chunks(texts[:1_200]), embed)
        keep(passages, "cell-001", chunks(texts), embed)
    kinds = {}
    for name in ("plain", "large"):
        database = lancedb.connect(tmp_path / name)
        table = database.open_table(next(name for name in database.list_tables().tables if not name.endswith(".cells")))
        kinds[name] = {index.columns[0]: index.index_type for index in table.list_indices()}
        table.checkout("cell-000")
        assert [index.num_unindexed_rows for index in table.list_indices()] == [0] * len(kinds[name]), "indices cover what a cell pins"
    assert kinds["large"] == {**kinds["plain"], "vector": "IvfFlat"}
    for text in (texts[3], texts[700], texts[1_400]):
        hits = large.search("nothing", vectors[text], 1, ["cell-001"])
        assert hits["chunk_id"].to_list() == plain.search("nothing", vectors[text], 1, ["cell-001"])["chunk_id"].to_list() == [text]


def test_passages_of_a_writer_that_was_killed_before_it_named_its_first_cell_can_be_removed(tmp_path: Path, passages: ChunkStore) -> None:
    root, aside = tmp_path / "lance", tmp_path / "aside"
    passages.upsert(rows("abc"), Embedder())

    def without(page: str) -> int:
        return write_without(root, "python-releases", pages=[page], chunk_ids=[], aside=aside)

    assert without("http://other.example/") == 0
    assert passages.upsert(rows("abc"), Embedder()).embedded == 0, "nothing of that page is there, so all stays"
    assert without("http://a.example/") == 3
    assert list(every_version(root)) == []
    assert without("http://a.example/") == 0
    assert not aside.exists()
    keep(passages, "cell-000", rows("d"), Embedder())
    assert passages.read_cell("cell-000").equals(rows("d"))


_KILLED = """
import os, sys
from pathlib import Path
from alas_assets.retrieval.takedown import write_without
root, aside, gone = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
dying = []

def hook(event, args):
    if event == "os.remove" and args[0].endswith((".json", ".parquet")) and (aside / args[0]).exists() and not dying:
        dying.append(args[0])
        (aside / args[0]).unlink()
        os._exit(9)

sys.addaudithook(hook)
write_without(root, "python-releases", pages=[], chunk_ids=[gone], aside=aside)
"""


def test_a_kill_amid_the_removal_of_what_was_kept_aside_loses_no_passage(tmp_path: Path, passages: ChunkStore) -> None:
    root, aside = tmp_path / "lance", tmp_path / "aside"
    for number, letters in enumerate(("ab", "cd", "ef")):
        keep(passages, f"cell-{number:03d}", rows(letters), Embedder())
    gone = rows("ab")["chunk_id"][0]
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(root), str(aside), gone], check=False, cwd=Path.cwd())
    assert killed.returncode == 9
    write_without(root, "python-releases", pages=[], chunk_ids=[gone], aside=aside)
    left = ChunkStore(root, "python-releases", "tiny")
    assert [left.read_cell(f"cell-{number:03d}")["chunk_id"].to_list() for number in range(3)] == [
        rows("ab")["chunk_id"].to_list()[1:],
        *(rows(letters)["chunk_id"].to_list() for letters in ("cd", "ef")),
    ]
    assert not aside.exists()


def test_a_takedown_writes_the_cells_again_whichever_of_them_has_no_passage_and_is_first_in_its_table(
    tmp_path: Path, passages: ChunkStore
) -> None:
    root, aside, embed = tmp_path / "lance", tmp_path / "aside", Embedder()
    keep(passages, "cell-000", rows("ab"), embed)
    passages.write_cell("cell-001", CHUNK_SCHEMA.to_frame(), [], 4)
    keep(passages, "cell-000", rows("ab", "edited"), embed)
    keep(passages, "cell-002", rows("c"), embed)
    assert write_without(root, "python-releases", pages=[], chunk_ids=["a"], aside=aside) == 1
    left = ChunkStore(root, "python-releases", "tiny")
    assert [left.read_cell(f"cell-{number:03d}")["chunk_id"].to_list() for number in range(3)] == [["b"], [], ["c"]]
    assert write_without(root, "python-releases", pages=[], chunk_ids=["b", "c"], aside=aside) == 2
    keep(left, "cell-003", rows("d"), embed)
    assert left.search("passage d", embed(["passage d"])[0], 3, ["cell-002", "cell-003"])["chunk_id"].to_list() == ["d"]


def test_a_folder_may_be_named_by_a_uri(tmp_path: Path) -> None:
    root = tmp_path / "with space"
    by_uri = ChunkStore(root.as_uri(), "python-releases", "tiny")
    keep(by_uri, "cell-000", rows("ab"), Embedder())
    assert ChunkStore(root, "python-releases", "tiny").read_cell("cell-000").equals(rows("ab"))
    assert by_uri.search("passage", [1.0, 0, 0, 0], 1, ["cell-000"]).height == 1


def test_only_a_path_or_a_file_uri_is_a_folder() -> None:
    assert local_folder("s3://bucket/passages") is None
    assert local_folder("memory://") is None
    assert local_folder("/a/b") == local_folder("file:///a/b") == local_folder(Path("/a/b")) == Path("/a/b")


_WRITER = """
import sys
from pathlib import Path
from alas_assets.retrieval.store import ChunkStore
from alas_assets_tests.retrieval.test_store import Embedder, rows, keep
root, who = Path(sys.argv[1]), sys.argv[2]
for turn in range(3):
    chunks = rows("abcdefghijkl", text_sha256=f"{who}-{turn}")
    keep(ChunkStore(root, "python-releases", "tiny"), f"cell-{who}", chunks, Embedder())
"""


def test_concurrent_writers_leave_no_duplicate_and_each_reads_its_own_version(tmp_path: Path) -> None:
    root = tmp_path / "lance"
    folder = Path(__file__).parents[2]
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(root), who], cwd=folder, stderr=subprocess.PIPE) for who in "xyz"]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors.decode()
    passages = ChunkStore(root, "python-releases", "tiny")
    for who in "xyz":
        cell = passages.read_cell(f"cell-{who}")
        assert cell["chunk_id"].to_list() == list("abcdefghijkl")
        assert set(cell["text_sha256"]) == {f"{who}-2"}
    upserted = passages.upsert(rows("abcdefghijkl"), Embedder())
    assert upserted.embedded == 0
    assert lancedb.connect(str(root)).open_table(upserted.table).count_rows() == 12
