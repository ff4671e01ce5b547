"""Evaluation: what a report says of a model, when a model is refused, and what is kept of it."""

import os
from pathlib import Path

import pytest

from bot.insight import evaluation, training
from bot.insight.evaluation import EvaluationFailed, Read, Report
from bot.insight.training import Workshop
from bot.settings import ROOT
from bot.supervisor import NLU_PYTHON
from tests.engine import Engine

SHOP = Workshop.at(ROOT)


def readings(right: int, wrong: int, intent: str = "greet", start: int = 0) -> list[Read]:
    """Held-out texts of one intent, numbered from `start`: the first ones read right, the others as bye."""
    return [
        Read(
            text=f"{intent} {start + n}",
            intent=intent,
            read=intent if n < right else "bye",
            confidence=0.9,
            unclear=False,
        )
        for n in range(right + wrong)
    ]


def report(read: list[Read], name: str = "new", reasons: list[str] | None = None) -> Report:
    """A report with these readings."""
    return Report(model=name, compared_with=None, readings=read, conversations="passed", reasons=reasons or [])


# -- figures -------------------------------------------------------------------------------------------------------


def test_figures_are_what_they_are_called() -> None:
    """Accuracy, macro-F1, asked back, acted on wrongly, confusions and calibration, counted by hand."""
    read = [
        Read(text="a", intent="greet", read="greet", confidence=0.95, unclear=False),
        Read(text="b", intent="greet", read="bye", confidence=0.85, unclear=False),
        Read(text="c", intent="bye", read="bye", confidence=0.91, unclear=False),
        Read(text="d", intent="bye", read="greet", confidence=0.31, unclear=True),
    ]
    found = report(read)

    assert (0.5, 0.25, 0.25) == (found.accuracy, found.asked_back, found.acted_wrongly)
    assert 0.5 == found.macro_f1
    assert (0.5, 0.5, 2) == (
        found.by_intent["bye"].precision,
        found.by_intent["bye"].recall,
        found.by_intent["bye"].texts,
    )
    assert [("greet", "bye", 1), ("bye", "greet", 1)] == found.confusions
    assert [(0.31, 0.0, 1), (0.85, 0.0, 1), (0.93, 1.0, 2)] == [(round(s, 2), r, n) for s, r, n in found.calibration]


# -- the verdict ---------------------------------------------------------------------------------------------------


def test_the_first_model_is_accepted() -> None:
    """There is nothing it could be worse than."""
    assert [] == evaluation.judge(readings(1, 9), [], [])


def test_a_model_as_good_as_the_one_before_is_accepted() -> None:
    """A few texts better, a few worse, is chance."""
    old = [*readings(48, 2), *readings(48, 2, "thank")]
    new = [*readings(46, 4), *readings(50, 0, "thank")]

    assert [] == evaluation.judge(new, old, [])


def test_a_model_that_reads_more_texts_wrong_than_chance_is_refused() -> None:
    """The reason counts both ways."""
    (reason,) = evaluation.judge(readings(90, 10), readings(100, 0), [])

    assert "10 held-out texts that were read right are read wrong now, and 0 the other way round" in reason


def test_a_model_that_loses_one_intent_is_refused_however_good_it_is_elsewhere() -> None:
    """Forty texts better do not make up for an intent that is gone."""
    old = [*readings(60, 40), *readings(8, 0, "thank")]
    new = [*readings(100, 0), *readings(3, 5, "thank")]

    assert ["thank is read right 3 times of 8, after 8 before."] == evaluation.judge(new, old, [])


def test_a_model_that_misses_an_opt_out_more_is_refused() -> None:
    """One is enough: the law knows no chance."""
    (reason,) = evaluation.judge(readings(29, 1, "opt_out"), readings(30, 0, "opt_out"), [])

    assert "Fewer opt-outs are heard: 1 more held-out ones are missed." == reason


def test_broken_conversations_refuse_a_model() -> None:
    """Whatever its figures say."""
    (reason,) = evaluation.judge(readings(9, 1), readings(1, 9), ["orders: a", "orders: b", "people: c", "people: d"])

    assert "Golden conversations no longer come out as written: orders: a; orders: b; people: c, and 1 more." == reason


def test_texts_that_only_one_of_two_models_read_do_not_count() -> None:
    """Harder held-out texts make no model worse."""
    assert [] == evaluation.judge([*readings(10, 0), *readings(0, 50, start=10)], readings(10, 0), [])


@pytest.mark.parametrize(
    "new, old, begins",
    [
        (report(readings(9, 1)), None, "Accepted: 90.0% of 10 held-out texts are read right; there is no model"),
        (report(readings(9, 1)), report(readings(8, 2)), "Better: 80.0% \u2192 90.0% read right; 1 of 10"),
        (report(readings(8, 2)), report(readings(8, 2)), "Accepted: 80.0% \u2192 80.0% read right; 0 of 10"),
        (report(readings(8, 2), reasons=["x"]), report(readings(9, 1)), "Refused: 90.0% \u2192 80.0% read right; 1 of"),
    ],
)
def test_the_verdict_is_one_sentence(new: Report, old: Report | None, begins: str) -> None:
    """For the top of the page."""
    assert evaluation.verdict(new, old).startswith(begins)


# -- reading and keeping -------------------------------------------------------------------------------------------


def test_a_model_is_compared_with_the_one_accepted_last(tmp_path: Path) -> None:
    """Not with a refused one, nor with itself."""
    for age, (name, reasons) in enumerate([("new", []), ("refused", ["worse"]), ("good", []), ("first", [])]):
        path = evaluation.keep(report(readings(1, 0), name, reasons), tmp_path / f"{name}.tar.gz")
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "first.tar.gz").touch()
    last = evaluation.last_accepted(tmp_path, but=tmp_path / "new.tar.gz")

    assert last is not None
    assert "good" == last.model
    assert ["first"] == [each.model for _, each in evaluation.reports(tmp_path)]


@pytest.mark.xdist_group("engine")
def test_a_trained_model_reads_texts_in_a_process_of_its_own(engine: Engine) -> None:
    """The readings come in the order of the texts, and the steps are told of."""
    model = training.newest_model(SHOP)
    assert model is not None
    told: list[str] = []
    texts = [("where is my order", "order_status"), ("/stop {this}", "bye"), ("", "greet")]
    read = evaluation.read(SHOP, NLU_PYTHON, model, texts, told.append)

    assert texts == [(each.text, each.intent) for each in read]
    assert "order_status" == read[0].read
    assert read[2].unclear
    assert any(line.endswith("reading text 0 of 3") for line in told)


def test_a_model_that_cannot_be_read_is_told_of_with_the_reason(engine: Engine, tmp_path: Path) -> None:
    """The last lines of whatever failed."""
    with pytest.raises(EvaluationFailed, match="could not be evaluated"):
        evaluation.read(SHOP, NLU_PYTHON, tmp_path / "none.tar.gz", [("hi", "greet")], print)


def test_held_out_texts_that_cannot_be_read_are_told_of(tmp_path: Path) -> None:
    """The file is named."""
    with pytest.raises(EvaluationFailed, match=r"heldout\.yml must list held-out texts by intent"):
        evaluation.held_out(Workshop.at(tmp_path))
