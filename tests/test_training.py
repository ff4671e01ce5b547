"""Training: which sources a model fits, what a failure says, and that nothing half made is taken for a model."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.insight import training
from bot.insight.training import Workshop
from bot.settings import ROOT

SOURCES = (
    "config.yml",
    "domain.yml",
    "nlu/requirements.lock",
    "data/talk.yml",
    "data/more/talk.yml",
    "nlu/parley_nlu/store.py",
)

#: Stands in for Rasa's Python: says how it was called, then does what a test wants of it. `out` and `name` are known.
PREAMBLE = """\
import os, sys, time
from pathlib import Path
out = Path(sys.argv[sys.argv.index("--out") + 1])
name = sys.argv[sys.argv.index("--fixed-model-name") + 1]
print("training", os.getpid(), flush=True)
"""
TRAINS = '(out / f"{name}.tar.gz").write_text("\\n".join([os.environ["PYTHONPATH"], os.getcwd(), *sys.argv[1:]]))'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small checkout."""
    for source in SOURCES:
        path = tmp_path / "checkout" / source
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {source}\n")
    return tmp_path / "checkout"


@pytest.fixture
def python(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a stand-in for Rasa's Python that runs the given lines."""

    def make(lines: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!{sys.executable}\n{PREAMBLE}{lines}\n")
        path.chmod(0o755)
        return path

    return make


def left_in_models(root: Path) -> list[str]:
    """Names in models/, hidden ones included."""
    return sorted(path.name for path in (root / "models").iterdir())


def test_every_source_of_the_checkout_counts() -> None:
    """The designer's files, Rasa's components and the pinned packages make a model; tests and readings do not."""
    sources = set(training.sources(Workshop.at(ROOT)))

    assert {"config.yml", "domain.yml", "nlu/requirements.lock", "nlu/parley_nlu/linear.py"} <= sources
    assert {f"data/{path.name}" for path in (ROOT / "data").glob("*.yml")} <= sources
    assert {"config.yml", "domain.yml", "nlu", "data"} == {source.partition("/")[0] for source in sources}


@pytest.mark.parametrize("source", SOURCES)
def test_a_changed_source_changes_the_fingerprint(root: Path, source: str) -> None:
    """One more letter in any source asks for another model, and taking it back for the old one."""
    before = training.fingerprint(Workshop.at(root))
    content = (root / source).read_text()
    (root / source).write_text(content + "x")
    changed = training.fingerprint(Workshop.at(root))
    (root / source).write_text(content)

    assert before != changed
    assert before == training.fingerprint(Workshop.at(root))


def test_a_new_moved_or_renamed_source_changes_the_fingerprint(root: Path) -> None:
    """Where a text stands matters, not only what it is."""
    seen = [training.fingerprint(Workshop.at(root))]
    (root / "data" / "new.yml").write_text("")
    seen.append(training.fingerprint(Workshop.at(root)))
    (root / "data" / "new.yml").rename(root / "data" / "newer.yml")
    seen.append(training.fingerprint(Workshop.at(root)))
    (root / "data" / "newer.yml").write_text((root / "data" / "talk.yml").read_text())
    (root / "data" / "talk.yml").write_text("")
    seen.append(training.fingerprint(Workshop.at(root)))

    assert 4 == len(set(seen))


def test_what_is_no_source_changes_nothing(root: Path) -> None:
    """Notes, tests and compiled files ask for no training."""
    before = training.fingerprint(Workshop.at(root))
    (root / "nlu" / "tests").mkdir()
    (root / "nlu" / "parley_nlu" / "__pycache__").mkdir()
    for other in ("README.md", "data/notes.txt", "nlu/tests/test.py", "nlu/parley_nlu/__pycache__/store.pyc"):
        (root / other).write_text("new")

    assert before == training.fingerprint(Workshop.at(root))


def test_a_trained_model_fits_until_a_source_changes(root: Path, python: Callable[[str], Path]) -> None:
    """Training leaves exactly one model, which is the newest until the data says otherwise."""
    assert training.newest_model(Workshop.at(root)) is None
    lines: list[str] = []
    model = training.train(Workshop.at(root), python(TRAINS), lines.append)
    left = [model.name.replace(".tar.gz", ".examples.json"), model.name]
    assert (model, left) == (training.newest_model(Workshop.at(root)), left_in_models(root))
    assert ["training"] == [line.split()[0] for line in lines]
    (root / "data" / "talk.yml").write_text("changed")

    assert training.newest_model(Workshop.at(root)) is None


def test_rasa_is_given_the_sources_and_works_elsewhere(root: Path, python: Callable[[str], Path]) -> None:
    """Rasa trains on a copy of the very files that were fingerprinted, and leaves nothing in the checkout."""
    shop = Workshop.at(root)
    copies = "Path(sys.argv[sys.argv.index('--domain') + 1]).parent"
    tells = f"{TRAINS}\nprint('copied', *sorted(str(p.relative_to({copies})) for p in {copies}.rglob('*.yml')))"
    lines: list[str] = []
    told = training.train(shop, python(tells), lines.append).read_text().splitlines()
    path, folder, *arguments = told

    assert ["-m", "parley_nlu", "train"] == arguments[:3]
    given = dict(zip(arguments[3::2], arguments[4::2], strict=True))
    wanted = {"--domain": "sources/domain.yml", "--config": "sources/config.yml", "--data": "sources/data"}
    assert wanted == {key: str(Path(given[key]).relative_to(folder)) for key in wanted}
    assert "copied config.yml data/more/talk.yml data/talk.yml domain.yml" == lines[-1]
    assert str(root / "nlu") == path
    assert not Path(folder).exists()


def test_a_failure_ends_with_the_last_lines(root: Path, python: Callable[[str], Path]) -> None:
    """What Rasa wrote last is in the error, no more than fits a terminal, and every line was passed on."""
    lines: list[str] = []
    fails = "for number in range(40): print('line', number)\nsys.exit('intent greet has no examples')"
    with pytest.raises(training.TrainingFailed) as caught:
        training.train(Workshop.at(root), python(fails), lines.append)

    told = str(caught.value).splitlines()
    assert ["line 39", "intent greet has no examples"] == told[-2:]
    assert training.LAST_LINES == len(told) - 1
    assert 42 == len(lines)
    assert [] == left_in_models(root)


def test_a_rasa_that_trains_nothing_has_failed(root: Path, python: Callable[[str], Path]) -> None:
    """An exit without an error and without a model is a failure too."""
    with pytest.raises(training.TrainingFailed, match="left no model"):
        training.train(Workshop.at(root), python("(out / 'other.tar.gz').touch()"), lambda _: None)

    assert [] == left_in_models(root)


def test_a_killed_training_leaves_no_model(root: Path, python: Callable[[str], Path]) -> None:
    """A model that was being written when Rasa was killed is gone, and the error says what kills trainings."""

    def kill(line: str) -> None:
        if line == "half way":
            os.kill(int(seen[0].split()[1]), signal.SIGKILL)
        seen.append(line)

    seen: list[str] = []
    half = "(out / f'{name}.tar.gz').write_text('half')\nprint('half way', flush=True)\ntime.sleep(60)"
    with pytest.raises(training.TrainingFailed, match=r"signal 9.*memory"):
        training.train(Workshop.at(root), python(half), kill)

    assert [] == left_in_models(root)


def test_giving_up_ends_the_training(root: Path, python: Callable[[str], Path]) -> None:
    """Ctrl-C in the middle does not wait for the training to end, and leaves neither process nor model."""

    def interrupt(line: str) -> None:
        seen.append(int(line.split()[1]))
        raise KeyboardInterrupt

    seen: list[int] = []
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        training.train(Workshop.at(root), python("time.sleep(60)\n" + TRAINS), interrupt)

    assert time.monotonic() - started < 10
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)
    assert [] == left_in_models(root)


def test_a_missing_python_is_told_plainly(root: Path, tmp_path: Path) -> None:
    """Without Rasa's environment the error names what is missing and the mend."""
    with pytest.raises(training.TrainingFailed, match=r"no-python; \./parley builds it"):
        training.train(Workshop.at(root), tmp_path / "no-python", lambda _: None)


# -- labels while it trains, and what it was trained on ------------------------------------------------------------


def write(root: Path, **by_intent: list[str]) -> None:
    """The examples of the checkout, by intent."""
    blocks = [
        f"  - intent: {intent}\n    examples: |\n" + "".join(f"      - {text}\n" for text in texts)
        for intent, texts in by_intent.items()
    ]
    (root / "data" / "talk.yml").write_text('version: "3.1"\nnlu:\n' + "".join(blocks))


def test_a_label_given_while_it_trains_is_in_the_next_model(root: Path, python: Callable[[str], Path]) -> None:
    """The model carries the name of what it was trained on, so the data asks for another."""

    def label(line: str) -> None:
        (root / "data" / "new.yml").write_text("# new\n")

    shop, before = Workshop.at(root), training.fingerprint(Workshop.at(root))
    model = training.train(shop, python(TRAINS), label)

    assert f"{before}.tar.gz" == model.name
    assert training.newest_model(shop) is None


def test_examples_in_another_folder_make_the_same_model(root: Path, tmp_path: Path) -> None:
    """What counts is what stands in the files, not where a setting says that they are."""
    moved = (root / "data").rename(tmp_path / "elsewhere")
    there = replace(Workshop.at(root), examples=moved)
    back = Workshop.at(root)
    elsewhere = training.fingerprint(there)
    moved.rename(root / "data")

    assert training.fingerprint(back) == elsewhere


def test_what_changed_since_a_model_is_told(root: Path, python: Callable[[str], Path]) -> None:
    """Examples added, taken away and moved to another intent; nothing is made up for a model whose own are unknown."""
    write(root, greet=["hi", "hello", "yo"], bye=["bye"])
    model = training.train(Workshop.at(root), python(TRAINS), lambda _: None)
    now = [("hi", "greet"), ("yo", "bye"), ("bye", "bye"), ("see you", "bye")]
    wanted = training.Difference([("see you", "bye")], [("hello", "greet")], [("yo", "greet", "bye")])

    assert wanted == training.difference(model, now)
    assert training.difference(model.with_name("other.tar.gz"), now) is None


def test_what_a_killed_training_left_is_swept_away(root: Path, python: Callable[[str], Path]) -> None:
    """The next training removes it, and leaves alone what belongs to one that runs, or to another host."""
    models = root / "models"
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    mine = training.scratch_prefix()
    spared = [f"{mine}mine", mine.replace(str(os.getpid()), str(dead.pid)).replace("@", "@not-") + "elsewhere"]
    for name in (mine.replace(str(os.getpid()), str(dead.pid)) + "left", *spared):
        (models / name).mkdir(parents=True)
    model = training.train(Workshop.at(root), python(TRAINS), lambda _: None)

    left = [name for name in left_in_models(root) if not name.startswith(model.name.partition(".")[0])]
    assert sorted(spared) == left
