"""Says how well a trained model reads texts it has not seen, and whether it is worse than the one before it.

The texts are those of nlu/tests/heldout.yml; a designer adds to them and never trains on them. The golden conversations
are those of tests/conversations/, played through a whole engine of their own. It trains nothing and switches no model:
it writes its report beside the model and leaves the rest to whoever asked.
"""

import json
import math
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from bot.errors import BotError
from bot.insight import training
from bot.insight.training import Workshop

#: A model may differ from the one before it by chance: as many standard deviations of the texts read differently.
NOISE = 2.0
#: An intent of at least FEW held-out texts may not lose this part of them.
LOST, FEW = 0.25, 4
#: Bins of the calibration picture, from 0 to 1.
BINS = 10
#: The test that plays one conversation, and what pytest says of each.
_PLAYS = "tests/test_conversations.py::test_a_conversation_goes_as_written"
_COLLECTED = re.compile(r"collected (\d+) items?")
_PLAYED = re.compile(r"::test_a_conversation_goes_as_written\[(.*)\] (PASSED|FAILED|ERROR)")


class EvaluationFailed(BotError):
    """The model could not be evaluated; the message says what is missing or ends with the last lines of the reading."""


class Read(BaseModel):
    """One held-out text: the intent it was written for, and how the model read it; `confidence` from 0 to 1."""

    model_config = ConfigDict(frozen=True)

    text: str
    intent: str
    read: str | None
    confidence: float
    unclear: bool

    @property
    def right(self) -> bool:
        """Whether the best reading is the intent meant."""
        return self.read == self.intent


class Figures(BaseModel):
    """One intent: fractions of 1, and how many held-out texts it has."""

    model_config = ConfigDict(frozen=True)

    precision: float
    recall: float
    f1: float
    texts: int


class Report(BaseModel):
    """What is known of a model: its readings, what broke, and the verdict with its reasons (none where accepted).

    `broken` names the golden conversations that come out otherwise than written, and did not before.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    compared_with: str | None
    readings: list[Read]
    conversations: Literal["passed", "broken", "not run"]
    broken: list[str] = []
    reasons: list[str]

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against the model."""
        return not self.reasons

    @property
    def accuracy(self) -> float:
        """The part read right."""
        return sum(each.right for each in self.readings) / len(self.readings)

    @property
    def asked_back(self) -> float:
        """The part too unclear to act on."""
        return sum(each.unclear for each in self.readings) / len(self.readings)

    @property
    def acted_wrongly(self) -> float:
        """The part read wrong and acted on."""
        return sum(not each.right and not each.unclear for each in self.readings) / len(self.readings)

    @property
    def by_intent(self) -> dict[str, Figures]:
        """Figures by intent, in order of names."""
        names = sorted({each.intent for each in self.readings})
        told = Counter(each.read for each in self.readings)
        meant = Counter(each.intent for each in self.readings)
        right = Counter(each.intent for each in self.readings if each.right)
        return {
            name: Figures(
                precision=right[name] / told[name] if told[name] else 0.0,
                recall=right[name] / meant[name],
                f1=2 * right[name] / (told[name] + meant[name]),
                texts=meant[name],
            )
            for name in names
        }

    @property
    def macro_f1(self) -> float:
        """The mean F1 of all intents, each as weighty as any other."""
        figures = self.by_intent.values()
        return math.fsum(each.f1 for each in figures) / len(figures)

    @property
    def confusions(self) -> list[tuple[str, str, int]]:
        """Intent meant, intent read, how often; the most frequent first."""
        wrong = Counter((each.intent, str(each.read)) for each in self.readings if not each.right)
        return [(meant, read, count) for (meant, read), count in wrong.most_common()]

    @property
    def calibration(self) -> list[tuple[float, float, int]]:
        """For each bin with texts in it: mean confidence, part read right, how many texts."""
        bins: list[list[Read]] = [[] for _ in range(BINS)]
        for each in self.readings:
            bins[min(int(each.confidence * BINS), BINS - 1)].append(each)
        return [
            (sum(e.confidence for e in some) / len(some), sum(e.right for e in some) / len(some), len(some))
            for some in bins
            if some
        ]


def evaluate(
    shop: Workshop,
    python: Path,
    model: Path,
    before: Path | None,
    on_step: Callable[[str], None],
    on_line: Callable[[str], None],
) -> Report:
    """Judge a model beside the one `before` it and keep the report.

    `on_step` hears of each step, `on_line` how far it is. The model before is read too where its report is missing or
    knows other texts. Raises EvaluationFailed.
    """
    texts = held_out(shop)
    old = report_of(before) if before is not None else None
    if before is not None and before.exists() and (old is None or _texts(old) != set(texts)):
        on_step("Held-out texts, model before")
        old = _read_anew(before, old, read(shop, python, before, texts, on_line))
    on_step("Held-out texts")
    readings = read(shop, python, model, texts, on_line)
    broken: list[str] | None = None
    if playable(shop):
        on_step("Golden conversations")
        broken = play(shop, model, on_line)
        if broken and before is not None and before.exists():
            # A conversation that does not fit this shop says nothing of the model.
            on_step("Broken conversations, model before")
            broken = sorted(set(broken) - set(play(shop, before, on_line, broken)))
    report = Report(
        model=_name(model),
        compared_with=old.model if old is not None else None,
        readings=readings,
        conversations="not run" if broken is None else "broken" if broken else "passed",
        broken=broken or [],
        reasons=judge(readings, old.readings if old is not None else [], broken or []),
    )
    keep(report, model)
    return report


def _texts(report: Report) -> set[tuple[str, str]]:
    return {(each.text, each.intent) for each in report.readings}


def _read_anew(model: Path, old: Report | None, readings: list[Read]) -> Report:
    if old is None:
        old = Report(model=_name(model), compared_with=None, readings=[], conversations="not run", reasons=[])
    renewed = old.model_copy(update={"readings": readings})
    keep(renewed, model)
    return renewed


def _name(model: Path) -> str:
    return model.name.removesuffix(".tar.gz")


def held_out(shop: Workshop) -> list[tuple[str, str]]:
    """The held-out texts with their intents. Raises EvaluationFailed."""
    path = shop.held_out
    try:
        content = yaml.safe_load(path.read_text())
        return [(str(text), str(intent)) for intent, some in content.items() for text in some]
    except (OSError, yaml.YAMLError, AttributeError, TypeError) as exc:
        raise EvaluationFailed(f"{path} must list held-out texts by intent; it cannot be read.") from exc


def read(
    shop: Workshop, python: Path, model: Path, texts: Sequence[tuple[str, str]], on_line: Callable[[str], None]
) -> list[Read]:
    """How the model reads the texts (pairs of text and intent meant); `on_line` gets what it writes meanwhile.

    Raises EvaluationFailed.
    """
    with tempfile.TemporaryDirectory(prefix=training.scratch_prefix()) as scratch:
        asked, answered = Path(scratch) / "texts.json", Path(scratch) / "readings.json"
        asked.write_text(json.dumps([text for text, _ in texts]))
        arguments = [str(shop.root / "nlu" / "evaluate.py"), str(model), str(asked), str(answered)]
        code, last = training.run_python(shop.root, python, arguments, Path(scratch), on_line)
        if code != 0:
            raise EvaluationFailed("The model could not be evaluated. It ended with:\n" + "\n".join(last))
        readings: list[list[Any]] = json.loads(answered.read_text())
    return [
        Read(text=text, intent=intent, read=best, confidence=confidence, unclear=unclear)
        for (text, intent), (best, confidence, unclear) in zip(texts, readings, strict=True)
    ]


def playable(shop: Workshop) -> bool:
    """Whether there are golden conversations, and what plays them; an image without tests has neither."""
    player = shop.root / _PLAYS.partition("::")[0]
    return player.exists() and any(shop.conversations.glob("*.yml"))


def play(shop: Workshop, model: Path, on_line: Callable[[str], None], only: Sequence[str] = ()) -> list[str]:
    """Play the golden conversations, or `only` those named, with a model; the names of those that break.

    Each runs as ./parley test runs it: in an engine and a database made for it. Raises EvaluationFailed.
    """
    tests = [f"{_PLAYS}[{name}]" for name in only] or [_PLAYS]
    arguments = ["-m", "pytest", "-v", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-n", "0", *tests]
    broken: list[str] = []
    count, total = 0, ""

    def follow(line: str) -> None:
        nonlocal count, total
        if collected := _COLLECTED.search(line):
            total = collected[1]
        found = _PLAYED.search(line)
        if found is None:
            return
        count += 1
        if found[2] != "PASSED":
            broken.append(found[1])
        on_line(f"conversation {count} of {total}" + (f", {len(broken)} broken" if broken else ""))

    with tempfile.TemporaryDirectory(prefix=training.scratch_prefix()) as scratch:
        os.chmod(scratch, 0o755)  # noqa: S103  # the embedded PostgreSQL runs as a user of its own when we are root
        added = {
            "TMPDIR": scratch,
            "PARLEY_TEST_MODEL": str(model),
            "PARLEY_TEST_CONVERSATIONS": str(shop.conversations),
        }
        code, last = training.run_python(
            shop.root, Path(sys.executable), arguments, shop.root, follow, {**added, "PYTHONPATH": str(shop.root)}
        )
    if code not in (0, 1) or not count:  # pytest's words for all passed, and some failed
        raise EvaluationFailed("The golden conversations could not be played. It ended with:\n" + "\n".join(last))
    return broken


def judge(new: Sequence[Read], old: Sequence[Read], broken: Sequence[str]) -> list[str]:
    """Why the new model must not take the old one's place, one sentence each; empty where nothing speaks against it.

    `old` are the readings of the model before, empty where there is none; texts only one of them read do not count.
    `broken` are the golden conversations that no longer come out as written.
    """
    reasons = []
    if broken:
        more = f", and {len(broken) - 3} more" if len(broken) > 3 else ""
        reasons.append(f"Golden conversations no longer come out as written: {'; '.join(broken[:3])}{more}.")
    before = {(each.text, each.intent): each for each in old}
    pairs = [(each, before[each.text, each.intent]) for each in new if (each.text, each.intent) in before]
    worse = [now for now, then in pairs if then.right and not now.right]
    better = [now for now, then in pairs if now.right and not then.right]
    # McNemar's test: of the texts read differently, as many should get better as worse.
    if len(worse) - len(better) > NOISE * math.sqrt(len(worse) + len(better)):
        reasons.append(
            f"{len(worse)} held-out texts that were read right are read wrong now, and {len(better)} the other way"
            " round: more than chance."
        )
    for intent in sorted({each.intent for each, _ in pairs}):
        some = [(now, then) for now, then in pairs if now.intent == intent]
        lost = sum(then.right for _, then in some) - sum(now.right for now, _ in some)
        if len(some) >= FEW and lost > LOST * len(some):
            kept = sum(now.right for now, _ in some)
            reasons.append(f"{intent} is read right {kept} times of {len(some)}, after {kept + lost} before.")
    missed = [now for now, then in pairs if now.intent == "opt_out" and then.right and not now.right]
    found = [now for now, then in pairs if now.intent == "opt_out" and now.right and not then.right]
    if len(missed) > len(found):
        reasons.append(f"Fewer opt-outs are heard: {len(missed) - len(found)} more held-out ones are missed.")
    return reasons


def verdict(report: Report, old: Report | None) -> str:
    """The report in one sentence, for the top of a page."""
    if old is None:
        compared = f"{report.accuracy:.1%} of {len(report.readings):,} held-out texts are read right"
        return (
            f"{'Accepted' if report.accepted else 'Refused'}: {compared}; there is no model before it to compare with."
        )
    before = {(each.text, each.intent): each.read for each in old.readings}
    changed = sum(before.get((each.text, each.intent), each.read) != each.read for each in report.readings)
    word = "Refused" if not report.accepted else "Better" if report.accuracy > old.accuracy else "Accepted"
    moved = f"{old.accuracy:.1%} → {report.accuracy:.1%} read right"
    return f"{word}: {moved}; {changed} of {len(report.readings):,} held-out texts are read differently."


# -- keeping -------------------------------------------------------------------------------------------------------


def report_path(model: Path) -> Path:
    """Where a model's report stands: beside the model, under its name."""
    return model.with_name(model.name.removesuffix(".tar.gz") + ".report.json")


def keep(report: Report, model: Path) -> Path:
    """Write the report beside its model, whole or not at all."""
    path = report_path(model)
    part = path.with_suffix(".part")
    part.write_text(report.model_dump_json())
    return part.replace(path)


def report_of(model: Path) -> Report | None:
    """A model's report, None where it has not been evaluated."""
    path = report_path(model)
    return Report.model_validate_json(path.read_text()) if path.exists() else None


def reports(models: Path) -> list[tuple[Path, Report]]:
    """Every evaluated model that is still there, with its report, the latest evaluation first."""
    found = [(path.with_name(path.name.removesuffix(".report.json") + ".tar.gz"), path) for path in _kept(models)]
    return [(model, Report.model_validate_json(path.read_text())) for model, path in found if model.exists()]


def _kept(models: Path) -> list[Path]:
    return sorted(models.glob("*.report.json"), key=lambda each: each.stat().st_mtime, reverse=True)


def last_accepted(models: Path, but: Path) -> Report | None:
    """The report of the model accepted last, `but` one; None where there is none yet."""
    for path in _kept(models):
        report = Report.model_validate_json(path.read_text())
        if report.accepted and path != report_path(but):
            return report
    return None
