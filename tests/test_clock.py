"""The clock moves in every process at once, stays exact, and stands still for a real carrier."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot import clock
from bot.errors import BotError
from bot.settings import ROOT, Settings

#: Tells, for each line it reads, how far its clock is ahead of real time, in microseconds.
READER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from bot import clock
clock.start(0, Path(sys.argv[1]))
for line in sys.stdin:
    print(clock.moved() // timedelta(microseconds=1), flush=True)
"""


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Whatever a test does to the clock ends with it, for the tests that share this process."""
    before = clock._offset, clock._moved
    yield
    clock._offset, clock._moved = before


def ahead() -> timedelta:
    """How far the clock runs ahead of real time."""
    return clock.now() - datetime.now(UTC)


def test_another_process_reads_a_move_at_once_and_to_the_microsecond(tmp_path: Path) -> None:
    """A process that has been running reads exactly what was moved, each time, with nothing in between to wait for."""
    file = tmp_path / "clock"
    clock.start(0, file)
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(file)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        told = []
        wanted = [timedelta(0), timedelta(days=40, microseconds=1), timedelta(hours=-3), timedelta(0)]
        for move in wanted:
            clock.move(move)
            reader.stdin.write("?\n")
            reader.stdin.flush()
            told.append(timedelta(microseconds=int(reader.stdout.readline())))
        reader.stdin.close()

    assert wanted == told


def test_a_moved_clock_outlives_its_processes(tmp_path: Path) -> None:
    """A restart begins where the clock was moved to, on top of what the settings say."""
    clock.start(0, tmp_path / "clock")
    clock.move(timedelta(days=2))

    clock.start(3600, tmp_path / "clock")

    assert timedelta(days=2) == clock.moved()
    assert abs(ahead() - timedelta(days=2, hours=1)) < timedelta(seconds=5)


def test_with_a_real_carrier_no_file_moves_the_clock(tmp_path: Path) -> None:
    """The same data folder, used with the simulator before: real time again, and a move is refused."""
    simulated = Settings(data_dir=tmp_path, carrier="simulator")
    clock.start(0, simulated.clock_file)
    clock.move(timedelta(days=2))
    real = Settings(data_dir=tmp_path, carrier="twilio", twilio_account_sid="AC1", twilio_auth_token="t")

    clock.start(0, real.clock_file)

    assert (None, timedelta(0)) == (real.clock_file, clock.moved())
    assert abs(ahead()) < timedelta(seconds=5)
    with pytest.raises(BotError, match="simulator only"):
        clock.move(timedelta(days=1))
