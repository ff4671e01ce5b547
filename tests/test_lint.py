"""What `./parley lint` promises: whatever would spoil a model is found at its line, and the shipped data is clean."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import actions
from bot.insight import lint
from bot.insight.lint import Finding
from bot.settings import ROOT

DOMAIN = """\
intents:
  - greet
  - bye
entities:
  - size
actions:
  - action_greet
  - action_bye
"""
GREETINGS = [f"      - hello number {chr(97 + n // 26)}{chr(97 + n % 26)}zq" for n in range(30)]
DATA = """\
nlu:
  - intent: greet
    examples: |
{greet}
  - intent: bye
    examples: |
{bye}
  - regex: size
    examples: |
      - size (?P<value>\\d+)
rules:
  - rule: greet back
    steps:
      - intent: greet
      - action: action_greet
  - rule: say goodbye
    steps:
      - intent: bye
      - action: action_bye
"""
PARTINGS = [line.replace("hello number", "farewell my") for line in GREETINGS]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with nothing to mend."""
    (tmp_path / "data").mkdir()
    (tmp_path / "domain.yml").write_text(DOMAIN)
    (tmp_path / "config.yml").write_text("pipeline: []\n")
    (tmp_path / "data" / "talk.yml").write_text(DATA.format(greet="\n".join(GREETINGS), bye="\n".join(PARTINGS)))
    shutil.copy(ROOT / "shop.yml", tmp_path)
    return tmp_path


def found(checkout: Path) -> list[Finding]:
    """The findings for an engine with two actions."""
    return lint.lint(checkout, ["action_greet", "action_bye"])


def change(checkout: Path, file: str, old: str, new: str) -> None:
    """Put other words into a file."""
    path = checkout / file
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))


def test_what_is_shipped_has_no_error() -> None:
    """The designer begins with data a model can be trained on."""
    shipped = lint.lint(ROOT, [action.called for action in actions.ACTIONS])

    assert [] == [each for each in shipped if each.level == "error"]


def test_nothing_is_found_where_nothing_is_wrong(checkout: Path) -> None:
    """Warnings that always come are warnings nobody reads."""
    assert [] == found(checkout)


@pytest.mark.parametrize(
    "file, old, new, level, place, says",
    [
        ("data/talk.yml", "nlu:", "nlu: [", "error", "data/talk.yml", "This is not YAML; check"),
        ("domain.yml", "  - bye\n", "", "error", "data/talk.yml:36", "bye is not among the intents of domain.yml"),
        ("domain.yml", "  - bye\n", "  - bye\n  - wave\n", "error", "domain.yml:4", "wave has no examples in data/"),
        ("domain.yml", "  - bye\n", "  - bye\n  - wave\n", "error", "domain.yml:4", "wave has no rule in data/"),
        ("domain.yml", "  - bye\n", "  - bye\n  - bye\n", "error", "domain.yml:4", "bye stands twice under intents"),
        ("domain.yml", "  - action_bye", "  - action_by", "error", "domain.yml:8", "The engine has no action_by;"),
        ("domain.yml", "  - size", "  - color", "error", "data/talk.yml:68", "size is not among the entities"),
        (
            "domain.yml",
            "  - size",
            "  - size\n  - color",
            "warning",
            "domain.yml:6",
            "Nothing in data/ marks or matches",
        ),
        (
            "data/talk.yml",
            "- intent: bye\n      - action",
            "- intent: greet\n      - action",
            "error",
            None,
            "greet has a rule",
        ),
        (
            "data/talk.yml",
            "action: action_bye",
            "action: action_nod",
            "error",
            None,
            "leads to action_nod, which domain",
        ),
        ("data/talk.yml", "size (?P<value>", "size ((?P<value>", "error", "data/talk.yml:68", "no regular expression"),
        (
            "data/talk.yml",
            "- hello number aazq",
            "-hello",
            "error",
            "data/talk.yml:4",
            "An example is a line of its own",
        ),
        ("data/talk.yml", "hello number aazq", "[hello](mood)", "error", "data/talk.yml:4", "mood is not among"),
        ("data/talk.yml", "      - hello number aazq\n", "", "warning", "data/talk.yml:4", "greet has 29 different"),
        (
            "data/talk.yml",
            "hello number aazq",
            "farewell my abzq!",
            "error",
            None,
            "is an example of bye here and of greet",
        ),
        ("data/talk.yml", "hello number aazq", "hello number abzq", "warning", None, "is an example of greet at"),
        ("data/talk.yml", "hello number aazq", "farewel my abzq", "warning", None, "is nearly"),
        ("data/talk.yml", "hello number aazq", "please farewell my abzq", "warning", None, "is nearly"),
        (
            "shop.yml",
            "We take all major cards",
            "We take 🙂 cards",
            "warning",
            "shop.yml",
            "The answer about payment has '🙂'",
        ),
        ("shop.yml", "We take all", f"{'We take all ' * 40}", "warning", "shop.yml", "The answer about payment takes"),
        ("shop.yml", "zone: America/New_York", "zone: Mars", "error", "shop.yml:1", "Mars is no time zone"),
    ],
)
def test_each_slip_is_found_at_its_line(
    checkout: Path, file: str, old: str, new: str, level: str, place: str | None, says: str
) -> None:
    """One sentence that names the thing and the mend."""
    change(checkout, file, old, new)
    told = [f"{each.level} {each.file}:{each.line}: {each.says}" for each in found(checkout)]

    assert [line for line in told if line.startswith(f"{level} {place or ''}") and says in line], "\n".join(told)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("- a\n- b\n"),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
        lambda path: path.write_text("nlu: 3\nrules: {a: b}\n"),
        lambda path: path.write_text("nlu:\n  - intent: greet\n    examples: [a, b]\n  - 4\nrules:\n  - 5\n"),
        lambda path: path.write_text(""),
        lambda path: path.unlink(),
    ],
)
@pytest.mark.parametrize("file", ["data/talk.yml", "domain.yml", "config.yml"])
def test_any_file_at_all_is_told_of_and_never_a_traceback(
    checkout: Path, file: str, spoil: Callable[[Path], object]
) -> None:
    """Designers save half-written files."""
    spoil(checkout / file)

    assert all(each.says.endswith((".", "?")) for each in found(checkout))
