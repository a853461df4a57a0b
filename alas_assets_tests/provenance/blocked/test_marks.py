"""What is recognised of a removed text, in whatever form it is written down, and what is not."""

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.provenance.blocked.marks import RUN, Finder, Marks, hashed, marks_of, redacted_json, strings_in, words_of

WORDS = [f"word{number}" for number in range(60)]
SENTENCE = st.lists(st.sampled_from(WORDS), min_size=RUN, max_size=20).map(" ".join)
FORMS = {
    "as it is": lambda text: text,
    "in capitals": str.upper,
    "as JSON": lambda text: json.dumps({"text": text}),
    "as JSON in JSON": lambda text: json.dumps({"inner": json.dumps([text])}),
    "with escaped line ends": lambda text: text.replace(" ", "\\n"),
    "as HTML": lambda text: f"<p>{html.escape(text).replace(' ', '</b> <b>')}</p>",
    "with entities": lambda text: text.replace(" ", "&nbsp;"),
    "in an address": lambda text: f"https://a.example/?q={quote(text)}",
    "in a form's address": lambda text: f"https://a.example/?q={text.replace(' ', '+')}&x=%20",
    "as Markdown": lambda text: "**" + text.replace(" ", "** _") + "_",
    "over several lines": lambda text: text.replace(" ", "\n> "),
    "in full-width letters": lambda text: "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text),
}


def finder_of(*texts: str, staying: tuple[str, ...] = (), whole: tuple[str, ...] = ()) -> Finder:
    return Finder(marks_of(texts, whole, staying, "salt"))


UNSPACED = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=12, max_size=30)


@pytest.mark.parametrize("form", FORMS)
@given(text=SENTENCE | UNSPACED, before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_removed_sentence_is_found_in_every_usual_form(form: str, text: str, before: str, after: str) -> None:
    written = FORMS[form](text)
    assert finder_of(text).touches(written)
    assert finder_of(text).touches(f"{before} {written} {after}") or "\\" in before + after or "<" in before + after


@given(text=SENTENCE, other=st.text())
def test_nothing_is_found_in_a_text_that_shares_no_run_of_words(text: str, other: str) -> None:
    shared = {" ".join(words_of(other)[at : at + RUN]) for at in range(len(words_of(other)))}
    runs = {" ".join(words_of(text)[at : at + RUN]) for at in range(len(words_of(text)) - RUN + 1)}
    if not shared & runs and not any(sign in other for sign in "\\<&%"):
        assert finder_of(text).runs(other) == frozenset()


@given(text=SENTENCE)
def test_what_stands_in_content_that_stays_is_not_searched_for_and_is_counted(text: str) -> None:
    marks = marks_of([text], [text], [f"also here: {text}, as it happens"], "salt")
    assert (marks.count, Finder(marks).touches(text)) == (0, False)
    assert marks.shared > 0


def test_a_short_question_counts_as_a_whole_and_one_of_two_words_is_only_counted() -> None:
    marks = marks_of([], ["Which module gained blot?", "Why quill?"], [], "salt")
    assert marks.too_short == 1
    finder = Finder(marks)
    assert finder.touches("he asked: which MODULE gained `blot()`, and got no answer")
    assert not finder.touches("which module gained nothing")


LANGUAGES = {
    "Chinese": ("量子羽毛笔三版新增了墨水模块。", "折叠函数已被弃用，请改用压痕函数。", "抽屉函数已被移除。", "墨水模块"),
    "Japanese": (
        "クイル三版では墨のモジュールに新しい関数が加わりました。",
        "ひきだし関数は取り除かれ、かわりに本棚関数を使います。",
        "破れた紙を読むと紙の例外が起きます。",
        "墨のこと",
    ),
    "Thai": (
        "ควิลล์รุ่นที่สามเพิ่มฟังก์ชันใหม่ในโมดูลหมึก",
        "ฟังก์ชันลิ้นชักถูกถอดออกแล้วให้ใช้ฟังก์ชันชั้นหนังสือแทน",
        "การสร้างควิลล์ต้องใช้คอมไพเลอร์รุ่นสิบสอง",
        "โมดูลหมึก",
    ),
    "Khmer": (
        "មុខងារថតត្រូវបានដកចេញហើយសូមប្រើមុខងារធ្នើរជំនួសវិញ",
        "ការអានក្រដាសរហែកនឹងបង្កើតកំហុសថ្មីមួយនៅក្នុងកម្មវិធី",
        "ម៉ូឌុលទឹកខ្មៅមានមុខងារថ្មីសម្រាប់អ្នកប្រើ",
        "ទឹកខ្មៅ",
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_is_found_in_a_language_that_puts_nothing_between_its_words(language: str) -> None:
    first, second, question, answer = LANGUAGES[language]
    finder = finder_of(first + second, whole=(question,))
    for said in (first, f"12:00 asked: {first}", json.dumps({"answer": f"v3 {second}"}), question):
        assert finder.touches(said)
    marks = marks_of([first + second], [answer], [f"Another page says so too: {second}"], "s")
    assert (Finder(marks).touches(second), Finder(marks).touches(first), marks.too_short) == (False, True, 1)
    assert not finder.touches(answer), "what is so short stands in too many texts"


def test_a_text_of_two_scripts_is_found_as_a_whole_where_no_part_of_it_says_enough() -> None:
    text = "抽屉函数改 drawer shelf crease fold tidy"
    assert finder_of(text).touches(f"it said {text} once")
    assert finder_of(whole=(text,)).touches(f"it said {text} once")
    assert not finder_of(text).touches("抽屉函数改 drawer shelf crease fold")


def test_names_that_two_authors_share_by_chance_are_no_finding() -> None:
    finder = finder_of("中华人民共和国国务院发布了新的羽毛笔标准", "กระทรวงศึกษาธิการประกาศมาตรฐานใหม่ของปากกาขนนก")
    assert not finder.touches("今天中华人民共和国国务院开会")
    assert not finder.touches("วันนี้กระทรวงศึกษาธิการประชุม")


@pytest.mark.security("takedown")
def test_a_run_of_backslashes_is_read_in_the_time_that_its_length_takes() -> None:
    finder = finder_of("the secret gardener keeps seven walrus figures in the northern shed")
    assert finder.touches("\\" * 2_000_000 + " the secret gardener keeps seven walrus\\\\nfigures in the northern shed")


def test_marks_hold_no_word_of_the_text_and_differ_with_the_salt() -> None:
    text = "the secret gardener keeps seven walrus figures in the northern shed"
    one, two = (marks_of([text], [text], [], salt) for salt in ("a", "b"))
    assert not [word for word in words_of(text) if word in one.model_dump_json()]
    assert one.runs != two.runs
    assert hashed("Blot()", "a") == hashed("blot", "a") != hashed("blot", "b")
    assert Marks.model_validate_json(one.model_dump_json()) == one


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=JSON, text=SENTENCE)
def test_redacting_leaves_nothing_and_changes_nothing_else(value: object, text: str) -> None:
    finder = finder_of(text)
    planted = {"kept": value, "lists": [1, [f"x {text} y"]], f"key {text}": True}
    clean = redacted_json(planted, finder, "[gone]")
    assert not any(finder.touches(one) for one in strings_in(clean))
    assert clean["lists"] == [1, ["[gone]"]]
    assert clean["[gone]"] is True
    assert redacted_json(value, finder_of("a b c d e f g h i j"), "[gone]") == value or "a b c" in str(value)
