"""Opt-outs in free words are heard, and nothing else is, on texts unseen by whoever made rules, data and lines."""

from pathlib import Path

import pytest
import yaml

from tests.engine import Engine
from tests.opt_outs import measure

pytestmark = pytest.mark.xdist_group("engine")

#: Until this set is there, the sample keeps the measure running.
BLIND = Path(__file__).parent / "blind" / "opt_outs.yml"
SAMPLE = Path(__file__).parent / "opt_outs_sample.yml"
#: The goal is 0.99 and 0.01; these are the floors under what is reached (docs/benchmarks.md), and they only move up.
RECALL, FALSE_STOPS = 0.98, 0.06


def test_opt_outs_of_the_blind_set_are_heard_and_nothing_else_is(engine: Engine) -> None:
    """Those who want no more texts get none, and few of the others are opted out."""
    measured = measure(engine, yaml.safe_load((BLIND if BLIND.exists() else SAMPLE).read_text()))

    # Ids alone: what the texts are stays unseen.
    assert measured.recall >= RECALL, f"recall {measured.recall:.4f}, missed {measured.missed}"
    assert measured.false_stops <= FALSE_STOPS, f"false stops {measured.false_stops:.4f}: {measured.false}"
