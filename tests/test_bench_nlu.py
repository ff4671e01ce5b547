"""What `./parley bench nlu` promises: the shipped pipeline trained on one file and scored on another of any texts."""

import gzip
import json
from pathlib import Path

import pytest

from bench import reading
from bot.errors import BotError
from tests.test_cli import parley

#: Two plain intents and one of texts that trip careless readers: commands, quotes, blank lines, markup, one example.
TRAIN = """id,text,intent
1,where is my parcel,parcel/where
2,has my parcel left yet,parcel/where
3,"my parcel, where is it",parcel/where
4,parcel still not here,parcel/where
5,what time do you open,open+hours
6,are you open on sunday,open+hours
7,when do you close today,open+hours
8,"opening hours
please",open+hours
9,"/restart ""now"" [me](entity)",odd
"""
TEST = """intent,text
parcel/where,is my parcel on its way
open+hours,do you open on monday
open+hours,/when do you open
odd,
never seen,hello
"""


def test_the_shipped_pipeline_is_trained_on_one_file_and_scored_on_another(tmp_path: Path) -> None:
    """Quoted fields, gzip, names with signs, an empty text, an intent nobody trained: figures come all the same."""
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(TRAIN.encode()))
    (tmp_path / "test.csv").write_text("\ufeff" + TEST)
    (tmp_path / "oos.csv").write_text("text\ncolorless green ideas\n42\n")
    files = ["--train", tmp_path / "train.csv.gz", "--test", tmp_path / "test.csv", "--oos", tmp_path / "oos.csv"]
    code, output, errors = parley("bench", "nlu", *map(str, files), "--json")

    assert 0 == code, errors
    found = json.loads(output.splitlines()[-1])
    assert ["accuracy", "macro_f1", "auroc", "train_s", "ms_p50"] == list(found)
    assert 0.6 == found["accuracy"]
    assert 0 <= found["auroc"] <= 1
    assert found["train_s"] > 0 < found["ms_p50"]


@pytest.mark.parametrize(
    "content, sentence",
    [
        (None, "cannot be read: No such file or directory."),
        (b"", "has no rows below its header; it needs text and intent in each."),
        (b"text,label\nhi,greet\n", "has no column intent; its first line must name text and intent."),
        (b"text,intent\nhi\n", "row 2 is too short; it needs text and intent."),
        (b"text,intent\nhi,\n", "row 2 names no intent."),
        (b"text,intent\n\xff\xfe,greet\n", "is no CSV in UTF-8"),
        (gzip.compress(b"text,intent\nhi,greet\n")[:-9], "is no CSV in UTF-8"),
        (b"text,intent\nhi,greet\nhello,greet\n", "names one intent alone; there is nothing to tell apart."),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    """It names the file, the row where there is one, and what the file needs."""
    path = tmp_path / "texts.csv"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(BotError) as raised:
        reading.job(path, path, None)

    assert str(raised.value).startswith(str(path))
    assert sentence in str(raised.value)


def test_ten_texts_of_every_intent_are_drawn_the_same_each_time() -> None:
    """A seed names its texts, and two seeds name others."""
    texts = [(f"text {number}", f"intent {number % 3}") for number in range(90)]
    drawn = reading.draw(texts, 1)

    assert drawn == reading.draw(texts, 1)
    assert drawn != reading.draw(texts, 2)
    assert [10, 10, 10] == [sum(intent == f"intent {each}" for _, intent in drawn) for each in range(3)]
    assert len(drawn) == len(set(drawn))
