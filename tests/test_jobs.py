"""Jobs as a running engine carries them out: swaps without a gap, trainings that may be killed, and what is left."""

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg
import pytest
from psycopg.rows import dict_row

from bot import client, jobs, services
from bot.insight import evaluation, training
from bot.insight.evaluation import Read, Report
from bot.settings import ROOT, Settings
from tests.engine import model_of_tests
from tests.up import Up, until

pytestmark = pytest.mark.xdist_group("jobs")

#: A copy of the model that fits, under a name of its own.
OTHER = "00000000000000aa"


class Shop(Up):
    """An `up` with folders of models and examples of its own, whose database a test may look into."""

    def __init__(self, home: Path) -> None:
        self.models, self.data = home / "models", home / "data"
        shutil.copytree(ROOT / "data", self.data)
        self.models.mkdir()
        fitting = model_of_tests()
        self.fitting = fitting.name.removesuffix(".tar.gz")
        for name in (fitting.name, f"{OTHER}.tar.gz"):
            shutil.copyfile(fitting, self.models / name)
        read = [Read(text="hi", intent="greet", read="greet", confidence=0.9, unclear=False)]
        report = Report(model=OTHER, compared_with=None, readings=read, conversations="passed", reasons=[])
        evaluation.keep(report, self.models / f"{OTHER}.tar.gz")
        super().__init__(PARLEY_MODELS_DIR=str(self.models), PARLEY_EXAMPLES_DIR=str(self.data), PARLEY_DEMO="false")

    def wait(self) -> None:
        """Until texts are answered and jobs taken."""
        until(lambda: "Ctrl-C stops it." in self.output().rpartition("settings and secrets")[2] and self.ready(), 90)

    def rows(self, statement: LiteralString, *values: object) -> list[dict[str, Any]]:
        """Rows of a query."""
        with psycopg.connect(services.app_url(self.folder), row_factory=dict_row) as connection:
            return connection.execute(statement, values or None).fetchall()

    def job(self, kind: str, model: str | None = None) -> int:
        """Ask as the console does; the job's number."""
        with psycopg.connect(services.app_url(self.folder)) as connection:
            row = connection.execute(
                "INSERT INTO model_jobs (kind, model, user_id, steps) SELECT %s, %s, id, '[]' FROM users RETURNING id",
                [kind, model],
            ).fetchone()
            connection.execute("SELECT pg_notify('parley_models', '')")
        assert row is not None
        return int(row[0])

    def outcome(self, number: int, seconds: float = 60) -> tuple[str, str]:
        """How a job ended, and its words."""

        def ended() -> bool:
            return bool(self.rows("SELECT 1 FROM model_jobs WHERE id = %s AND ended_at IS NOT NULL", number))

        until(ended, seconds)
        (row,) = self.rows("SELECT outcome, words FROM model_jobs WHERE id = %s", number)
        return row["outcome"], row["words"]

    def live(self) -> tuple[str, str]:
        """The live model, and how it came to be that."""
        row = self.rows("SELECT model, kind FROM publications ORDER BY id DESC LIMIT 1")[0]
        return row["model"], row["kind"]

    def rasas(self) -> list[int]:
        """The Rasas that run, by number."""
        found = []
        for each in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):  # it ended while we looked
                found += [each.pid] if {"parley_nlu", "run"} <= set(each.cmdline()) else []
        return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An engine with its own Rasa that is ready, on the model that fits the data."""
    started = Shop(tmp_path_factory.mktemp("shop"))
    try:
        started.wait()
        yield started
    finally:
        started.end()


class Texting:
    """People who text without a pause, each once, until told to stop; what came of each text."""

    def __init__(self, shop: Shop) -> None:
        self._settings = Settings(data_dir=shop.folder, port=shop.port)
        self._ended = threading.Event()
        self.turns: list[dict[str, Any]] = []
        self._threads = [threading.Thread(target=self._text, args=(area,)) for area in (212, 415)]

    def __enter__(self) -> "Texting":
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.turns) > 4, 30)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _text(self, area: int) -> None:
        engine = client.connect(self._settings, self._settings.port)
        for number in range(10_000):
            if self._ended.is_set():
                break
            carrier_id = engine.text("thank you", f"+1{area}555{number:04}", engine.sender_number)
            self.turns.append(engine.turn(carrier_id, 30))
        engine.close()


# -- swaps ---------------------------------------------------------------------------------------------------------


def test_a_swap_loses_no_text(shop: Shop) -> None:
    """While people text, the other model is published and rolled back: every text is answered, by the bot, once."""
    first = shop.rasas()
    with Texting(shop) as texting:
        published = shop.outcome(shop.job("publish", OTHER))
        live = shop.live()
        answered = len(texting.turns)
        until(lambda: len(texting.turns) > answered + 4, 30)
        until(lambda: shop.rasas() and not set(first) & set(shop.rasas()), jobs.DRAIN_SECONDS + 30)
        rolled_back = shop.outcome(shop.job("publish", shop.fitting))
        answered = len(texting.turns)
        until(lambda: len(texting.turns) > answered + 4, 30)

    assert [("published", ""), ("published", "")] == [published, rolled_back]
    assert ((OTHER, "published"), (shop.fitting, "rolled_back")) == (live, shop.live())
    assert {("bot", 1)} == {(turn["decision"], len(turn["replies"])) for turn in texting.turns}
    until(lambda: len(shop.rasas()) == 1, jobs.DRAIN_SECONDS + 30)
    assert {shop.pids()["rasa-1"]} == set(shop.rasas())


def test_a_new_rasa_that_is_killed_leaves_the_live_one(shop: Shop) -> None:
    """Kill -9 while it loads: the job failed and says so, the same Rasa reads on, nothing else is left."""
    (before,) = shop.rasas()
    with Texting(shop) as texting:
        number = shop.job("publish", OTHER)
        until(lambda: len(shop.rasas()) == 2, 30)
        (new,) = set(shop.rasas()) - {before}
        os.kill(new, signal.SIGKILL)
        outcome, words = shop.outcome(number)

    assert ("failed", True) == (outcome, "ended while it loaded" in words)
    assert (shop.fitting, [before]) == (shop.live()[0], shop.rasas())
    assert before == shop.pids()["rasa-1"]
    assert {"bot"} == {turn["decision"] for turn in texting.turns}


def test_a_model_that_cannot_be_loaded_is_not_published(shop: Shop) -> None:
    """A file that is no model, or that is gone: the job says so, and the live model stays."""
    (shop.models / "broken.tar.gz").write_bytes(b"no model")
    broken, gone = (shop.outcome(shop.job("publish", name)) for name in ("broken", "gone"))

    assert ["failed", "failed"] == [broken[0], gone[0]]
    assert "The file of model gone is no longer there" in gone[1]
    assert (shop.fitting, 1) == (shop.live()[0], len(shop.rasas()))


# -- trainings -----------------------------------------------------------------------------------------------------


def trainings(shop: Shop) -> list[psutil.Process]:
    """Whatever runs of a training of this shop: the trainer has its folder as a setting, Rasa as an option."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it ended while we looked
            words = process.cmdline()
            trainer = "trainer" in words and process.environ().get("PARLEY_MODELS_DIR") == str(shop.models)
            if trainer or ("train" in words and any(str(shop.models) in word for word in words)):
                found.append(process)
    return found


def change(shop: Shop) -> None:
    """Ask for another model: a comment is enough."""
    with (shop.data / "preferences.yml").open("a") as file:
        file.write("# another fingerprint\n")


def under_way(shop: Shop) -> bool:
    """Whether Rasa itself trains: the trainer, and the process it started."""
    return len(trainings(shop)) > 1


def test_a_training_is_stopped_and_leaves_nothing_running(shop: Shop) -> None:
    """As the page's button does it: the row ends, and with it every process of the training."""
    change(shop)
    number = shop.job("train")
    until(lambda: under_way(shop), 60)
    with psycopg.connect(services.app_url(shop.folder)) as connection:
        connection.execute(
            "UPDATE model_jobs SET ended_at = now(), outcome = 'stopped', words = '' WHERE id = %s", [number]
        )

    until(lambda: not trainings(shop), 20)
    assert (shop.fitting, True) == (shop.live()[0], shop.ready())


def test_a_killed_engine_takes_its_training_along_and_starts_as_it_was(shop: Shop) -> None:
    """Kill -9 of `up` in the middle: no process and no half model is left, the job failed, the same model is live."""
    change(shop)
    number = shop.job("train")
    until(lambda: under_way(shop), 60)
    children = psutil.Process(shop.process.pid).children()
    os.kill(shop.process.pid, signal.SIGKILL)
    shop.process.wait()
    until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children), 30)
    until(lambda: not trainings(shop), 20)
    shutil.copyfile(ROOT / "data" / "preferences.yml", shop.data / "preferences.yml")
    shop.process = shop.start()
    shop.wait()

    assert ("failed", "The engine was stopped meanwhile. Nothing was changed; ask again.") == shop.outcome(number)
    assert (shop.fitting, True) == (shop.live()[0], shop.ready())
    assert [] == list(shop.models.glob(f"{training.SCRATCH}*"))


def test_a_roll_back_holds_over_a_restart(shop: Shop) -> None:
    """Somebody chose the other model for good reason: the next start keeps it, and says so."""
    shutil.copyfile(ROOT / "data" / "preferences.yml", shop.data / "preferences.yml")
    for model in (OTHER, shop.fitting, OTHER):
        assert "published" == shop.outcome(shop.job("publish", model))[0]
    shop.interrupt()
    shop.process = shop.start()
    shop.wait()

    assert (OTHER, "rolled_back") == shop.live()
    assert f"reading with {OTHER}, rolled back to on" in " ".join(shop.output().split())
