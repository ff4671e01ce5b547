"""A model trained on data/ and a running Rasa with it, shared by all tests."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from parley_nlu import lean
from tests.running import ROOT, Actions, Rasa, run_rasa, says_its_name

# Before any test imports Rasa, as parley_nlu/__main__.py does.
os.environ["SQLALCHEMY_SILENCE_UBER_WARNING"] = "1"
lean.install()


@pytest.fixture(scope="session")
def model() -> Path:
    """A model of the checkout as it is; trained once for each state of its sources and kept beside pytest's folders."""
    sources = [ROOT / "config.yml", ROOT / "domain.yml", ROOT / "nlu" / "requirements.lock"]
    sources += sorted((ROOT / "data").rglob("*.yml")) + sorted((ROOT / "nlu" / "parley_nlu").glob("*.py"))
    digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"parley-nlu-models-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = folder / f"{digest}.tar.gz"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made_from = ("--config", "config.yml", "--domain", "domain.yml", "--data", "data")
            done = run_rasa("train", *made_from, "--out", scratch, "--fixed-model-name", "m", "--skip-validation")
            assert done.returncode == 0, done.stdout + done.stderr
            (Path(scratch) / "m.tar.gz").replace(kept)
    return kept


@pytest.fixture(scope="session")
def _running(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rasa, Actions]]:
    actions = Actions()
    rasa = Rasa(model, actions.url, tmp_path_factory.mktemp("rasa"))
    try:
        rasa.wait_ready()
        yield rasa, actions
    finally:
        rasa.stop()
        actions.stop()


@pytest.fixture
def rasa(_running: tuple[Rasa, Actions]) -> Rasa:
    """The running Rasa."""
    return _running[0]


@pytest.fixture
def actions(_running: tuple[Rasa, Actions]) -> Actions:
    """The engine's stand-in, as new."""
    fresh = _running[1]
    fresh.calls.clear()
    fresh.headers.clear()
    fresh.answer = says_its_name
    return fresh
