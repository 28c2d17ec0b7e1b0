"""One definition of a word, in scripts with and without blanks between words, and all that counts words by it."""

from __future__ import annotations

from typing import Any

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.answers.linear import fit_linear
from ftkit.answers.metrics import token_f1
from ftkit.contracts import Context, Quiet
from ftkit.engine.answerer import Question, Sampling
from ftkit.prepare.cleaning import label_errors, length, quality, repetition
from ftkit.prepare.rows import Rows
from ftkit.prepare.texts.text_signals import signals
from ftkit.prepare.texts.words import WORD, num_words, terms
from ftkit.records import Example, Prediction
from ftkit.report.data.words import Phrases

CTX = Context(progress=Quiet())

LANGUAGES = {
    "English": ("The card isn't here, is it?", 6, ["the", "card", "isn", "t", "here", "is", "it"]),
    "German": ("Über 3,5 % Straße – größer", 6, ["über", "3", "5", "straße", "größer"]),
    "Chinese": ("今天天气很好，（真）好！", 8, ["今", "天", "天", "气", "很", "好", "真", "好"]),
    "Japanese": ("ペンが「ない」。ﾊﾟ14はスー", 10, ["ペ", "ン", "が", "な", "い", "パ", "14", "は", "ス", "ー"]),
    "Thai": ("สวัสดี ชื่อ", 6, ["ส", "วั", "ส", "ดี", "ชื่", "อ"]),
    "Khmer": ("ខ្ញុំទៅ", 3, ["ខ្", "ញុំ", "ទៅ"]),
    "Burmese": ("မင်္ဂလာပါ", 5, ["မ", "င်္", "ဂ", "လာ", "ပါ"]),
    "Korean": ("안녕하세요, 세계!", 2, ["안녕하세요", "세계"]),
    "Hindi": ("हिन्दी में लिखा है।", 4, ["हिन्दी", "में", "लिखा", "है"]),
    "Arabic": ("مَرْحَبًا، بالعالم", 2, ["مَرْحَبًا", "بالعالم"]),
    "Russian": ("Где моя карта?", 3, ["где", "моя", "карта"]),
    "Vietnamese": ("Thẻ của tôi đâu?", 4, ["thẻ", "của", "tôi", "đâu"]),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_and_terms_of_languages(language: str) -> None:
    text, count, expected = LANGUAGES[language]
    assert num_words(polars.Series([text])).to_list() == [count]
    assert terms(polars.Series([text])).to_list() == [expected]


def test_terms_are_written_one_way_and_hold_nothing_that_cannot_be_seen() -> None:
    texts = ["so\u00adft zero\u200bwidth", "ＦＵＬＬ １２", "e\u0301\u00e9", "snake_case x2", "日\u200b本", "\u0301a"]
    assert terms(polars.Series(texts)).to_list() == [
        ["soft", "zerowidth"], ["full", "12"], ["éé"], ["snake_case", "x2"], ["日", "本"], ["a"],
    ]  # fmt: skip


SOME = "aé日ก \t\n\x0b\x0c\r\x08\x1c\x1f\x85\xa0\u2003\u2028\u3000\u200b。\u0e31"


@settings(deadline=None)
@given(st.lists(st.none() | st.text(SOME, max_size=9), max_size=6))
def test_words_are_counted_as_the_regular_expression_counts_them(texts: list[str | None]) -> None:
    series = polars.Series(texts, dtype=polars.String)
    assert num_words(series).to_list() == series.str.count_matches(WORD).to_list()


@settings(deadline=None)
@given(st.text("ab .,-\t\x1c\x85\u3000é", max_size=12))
def test_where_scripts_have_blanks_words_are_those_of_python(text: str) -> None:
    assert num_words(polars.Series([text])).to_list() == [len(text.split())]


# ---- what counts words ----

# each text is ten words long or longer, and one of two words decides, in scripts without blanks two characters
SUBJECTS = {
    "Chinese": ("这家饭店的{}我觉得非常不错真的", "服务", "价格", "菜单大厅老板名字灯光音乐桌椅门口"),
    "Japanese": ("このお店の{}はとても良いと思います", "料理", "値段", "名前場所入口音楽照明机椅店員"),
    "Thai": ("ร้านนี้มี{}ที่ดีมากเลยครับ", "อาหาร", "ราคา", "กขคงจฉชซฌญฎฏฐฑ"),
    "English": ("I find that the {} of this place here is really good", "service", "price", "abcdefghijklmnop"),
}


def two_kinds(language: str, count: int = 40) -> list[tuple[str, str]]:
    frame, first, second, fillers = SUBJECTS[language]
    rows = []
    for number in range(count):
        pair = number // 2  # both of a pair begin alike, and no two pairs do
        beginning = [fillers[pair * 7 % len(fillers)], fillers[(pair * 3 + pair // len(fillers)) % len(fillers)]]
        filler = " ".join([*beginning, ""]) if language == "English" else "".join(beginning)
        rows.append((filler + frame.format((first, second)[number % 2]), ("first", "second")[number % 2]))
    return rows


def table(pairs: list[tuple[str, str]]) -> polars.DataFrame:
    rows = [(str(number), *pair, str(number), 1.0) for number, pair in enumerate(pairs)]
    return polars.DataFrame(rows, schema=["id", "input", "target", "group", "weight"], orient="row")


@pytest.mark.parametrize("language", SUBJECTS)
def test_the_linear_model_finds_the_word_that_decides(language: str) -> None:
    train, test = two_kinds(language)[:30], two_kinds(language)[30:]
    model = fit_linear([Example(str(n), *pair, str(n)) for n, pair in enumerate(train)], seed=1)
    assert model is not None
    asked = [
        Question(Example(str(n), *pair, str(n)), [], ("first", "second"), [], [], False) for n, pair in enumerate(test)
    ]
    answers = model.complete(asked, Sampling(1), ctx=CTX, description="")
    assert [answer.text for answer in answers] == [target for _, target in test]


@pytest.mark.parametrize("language", SUBJECTS)
def test_label_errors_sees_a_wrong_label(language: str) -> None:
    pairs = two_kinds(language, 120)
    pairs[8] = (pairs[8][0], "second")
    marked = label_errors.apply(label_errors.LabelErrors(), Rows.of(table(pairs)), CTX)
    assert marked.events["id"].to_list() == ["8"]


@pytest.mark.parametrize(
    ("text", "count"),
    [("三千" * 150, 300), ("สวัส" * 100, 300), ("word " * 300, 300), ("あ。" * 300, 300)],
)
def test_length_counts_characters_where_there_are_no_blanks(text: str, count: int) -> None:
    cleaned = length.apply(length.Length(max_words=200, target_max_words=200), table([(text, "x"), ("x", text)]), CTX)
    assert cleaned.events["reason"].to_list() == [
        f"{count} words, more than 200", f"target has {count} words, more than 200"
    ]  # fmt: skip


PARAGRAPH = (
    "北京是中华人民共和国的首都，位于华北平原的北部，背靠燕山，有永定河流经老城西南。这座城市有着三千余年的建城历史，"
    "历史上曾有多个朝代在此建都，留下了故宫、天坛、颐和园等许多名胜古迹。如今它既是全国的政治与文化中心，也是国际交往"
    "和科技创新的重要枢纽，每年吸引数以千万计的游客前来参观，地铁线路总长超过八百公里，市民出行十分便利。"
)
SAID_AGAIN = "点击这里领取您的优惠券，先到先得，数量有限。" * 12


@pytest.mark.parametrize("step", [repetition, quality])
def test_what_repeats_itself_is_seen_in_chinese_and_ordinary_text_stays(step: Any) -> None:
    config = {repetition: repetition.Repetition, quality: quality.Quality}[step]()
    cleaned = step.apply(config, table([(PARAGRAPH, "x"), (SAID_AGAIN, "y")]), CTX)
    assert cleaned.events["id"].to_list() == ["1"]


def test_signals_of_a_script_without_blanks() -> None:
    ordinary, again = signals(polars.Series([PARAGRAPH, SAID_AGAIN])).to_dicts()
    assert (ordinary["alphabetic_words"], ordinary["mean_word_length"]) == (1.0, None)
    assert ordinary["duplicate_5_grams"] < 0.05 and again["duplicate_5_grams"] > 0.9


def test_phrases_of_chinese_are_characters_that_follow_one_another() -> None:
    found = Phrases(polars.Series(["服务很好", "服务不好", "价格 OK", "服务 OK"]))
    assert [(each.text, each.num_rows) for each in found.top(2, 1, num_positions=1)] == [("服务", 3)]
    assert [each.text for each in found.top(1, 3, num_positions=1)] == ["务", "服", "ok"]


def f1(answer: str, reference: str) -> float:
    row = Prediction("a", "1", "1", reference, answer, answer, {}, (), 0, 0)
    return token_f1.score(token_f1.TokenF1(), [row])[0]


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("北京市", "北京", 2 * 2 / (3 + 2)),
        ("北京。", "北京", 1.0),
        ("東京タワー", "東京", 2 * 2 / (5 + 2)),
        ("ในกรุงเทพ", "กรุงเทพ", 2 * 6 / (8 + 6)),
        ("The cat, here!", "a cat here", 1.0),
        ("लाल कार", "कार", 2 * 1 / (2 + 1)),
        ("서울 시내", "서울", 2 * 1 / (2 + 1)),
        ("красная машина", "Машина", 2 * 1 / (2 + 1)),
        ("A.", "B.", 0.0),
        ("A.", "a", 1.0),
        ("!", "?", 0.0),
        ("", "x", 0.0),
    ],
)
def test_token_f1_counts_shared_words(answer: str, reference: str, expected: float) -> None:
    assert f1(answer, reference) == pytest.approx(expected)
