"""Examples are added, moved and removed one line at a time, whatever a text contains, and nobody's number gets in."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.insight import examples, personal
from bot.insight.examples import AlreadyThere, Conflict, ExamplesError
from bot.settings import ROOT

SHOUTED = """\
# Asked often.

version: "3.1"

nlu:
  - intent: greet   # hello
    examples: |
      - hello
      - Hi there
      # not an example
      - [Ann](name) here

  - regex: zip
    examples: |
      - \\d{5}
  - intent: bye
    examples: |
      - bye
      - see you

rules:
  - rule: greet back
    steps:
      - intent: greet
      - action: action_greet
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scratch copy of what ships in data/."""
    return Path(shutil.copytree(ROOT / "data", tmp_path / "data"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with one file that has comments, markup, a pattern and rules."""
    made = tmp_path / "data"
    made.mkdir()
    (made / "talk.yml").write_text(SHOUTED)
    return made


def rasa_reads(path: Path) -> list[tuple[str, str]]:
    """Every (intent, example) of a file as Rasa takes it: YAML, then lines that begin with a hyphen."""
    return [
        (item["intent"], line[1:].strip("\n\r "))
        for item in yaml.safe_load(path.read_bytes())["nlu"]
        if "intent" in item
        for line in item["examples"].splitlines()
        if line.startswith("-")
    ]


def changed_lines(diff: str) -> list[str]:
    """The lines a diff adds and removes."""
    return [line for line in diff.split("\n") if line[:1] in "+-" and line[:3] not in ("+++", "---") and line]


# -- adding --------------------------------------------------------------------------------------------------------

#: What people type, and what breaks YAML, Rasa's markup and the lines of a file.
HOSTILE = st.text(
    st.one_of(st.characters(), st.sampled_from(list("/[](){}|>-#:&*!%@`'\"\\,?\u2028\x85\ufeff\u202e\t\n\r ")))
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=HOSTILE)
def test_any_text_becomes_exactly_one_line_or_is_refused(small: Path, text: str) -> None:
    """After adding, Rasa's format yields the old examples and the new one; the diff is one added line."""
    (small / "talk.yml").write_text(SHOUTED)
    before = rasa_reads(small / "talk.yml")
    try:
        change = examples.read(small).add(text, "bye")
    except ExamplesError:
        return
    change.write()
    after = rasa_reads(small / "talk.yml")
    written = (small / "talk.yml").read_bytes().decode()

    assert sorted([*before, ("bye", examples.as_written(text))]) == sorted(after)
    assert [f"+      - {change.text}"] == changed_lines(change.diff)
    assert SHOUTED.split("\n") == [line for line in written.split("\n") if line != f"      - {change.text}"]


@given(text=HOSTILE)
def test_what_is_written_is_written_the_same_again(text: str) -> None:
    """Making a text safe twice changes nothing more."""
    assert examples.as_written(text) == examples.as_written(examples.as_written(text))


def test_rasa_itself_reads_back_what_was_written(folder: Path) -> None:
    """Rasa's own loader finds each hostile text under its intent, without an entity, in a file else ASCII."""
    hostile = [
        "/restart",
        "[me](name)",
        "[a]{b} [c][d]",
        "\\u0041\\U0001F600 \\n",
        "x: | # y",
        "- - a",
        "'\"",
        "${HOME}",
        "👩‍👩‍👧 ok",
        "<b>&amp;",
    ]
    written = []
    for text in hostile:
        change = examples.read(folder).add(f"zz {text}" if text != "/restart" else text, "leave_contest")
        change.write()
        written.append(change.text)
    done = subprocess.run(
        [ROOT / "nlu/.venv/bin/python", "-c", _LOAD, folder / "contests.yml"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {text: (intent, entities) for text, intent, entities in json.loads(done.stdout.splitlines()[-1])}

    assert [("leave_contest", [])] * len(written) == [found.get(text) and tuple(found[text]) for text in written]


_LOAD = """
import json, sys
from rasa.shared.nlu.training_data.loading import load_data
data = load_data(sys.argv[1])
print(json.dumps([(m.get("text"), m.get("intent"), m.get("entities", [])) for m in data.intent_examples]))
"""


def test_the_files_that_ship_are_read_whole(folder: Path) -> None:
    """Every example Rasa reads is found at the line it stands in, under its intent."""
    found = examples.read(folder)

    assert sorted((each.intent, each.text) for each in found.all) == sorted(
        pair for path in folder.glob("*.yml") for pair in rasa_reads(path)
    )
    for each in found.all[::97]:
        assert f"      - {each.text}" == (folder / each.file).read_text().split("\n")[each.line - 1]


def test_an_example_goes_to_its_place(folder: Path) -> None:
    """It stands with the intent's others, sorted among them, and the file keeps every other byte."""
    before = (folder / "orders.yml").read_text()
    change = examples.read(folder).add("wheres all my stuff zz", "order_status")
    change.write()
    after = (folder / "orders.yml").read_text().split("\n")
    at = after.index("      - wheres all my stuff zz")

    assert ["orders.yml"] == change.files
    assert before.split("\n") == after[:at] + after[at + 1 :]
    assert after[at - 1].lower() < after[at] < after[at + 1].lower()


def test_line_ends_and_a_missing_last_one_are_kept(tmp_path: Path) -> None:
    """A file from Windows stays one; a last line without an end gets a neighbour, and the diff says so."""
    body = 'version: "3.1"\r\nnlu:\r\n- intent: bye\r\n  examples: |\r\n    - bye\r\n    - see you'
    (tmp_path / "a.yml").write_bytes(body.encode())
    change = examples.read(tmp_path).add("ttyl", "bye")
    change.write()

    assert body + "\r\n    - ttyl" == (tmp_path / "a.yml").read_bytes().decode()
    assert "\\ No newline at end of file" in change.diff


def test_a_change_is_a_patch_other_tools_take(folder: Path, tmp_path: Path) -> None:
    """`git apply` makes of the old file what writing makes of it."""
    change = examples.read(folder).move("what are your hours", "ask_shop")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere / "data")
    subprocess.run(["git", "apply", "-"], cwd=elsewhere, input=change.diff.encode(), check=True)
    change.write()

    for name in change.files:
        assert (folder / name).read_bytes() == (elsewhere / "data" / name).read_bytes()


# -- moving and removing -------------------------------------------------------------------------------------------


def test_a_text_another_intent_has_is_moved_rather_than_added(small: Path) -> None:
    """The conflict names the place; moving takes the line there and puts it here."""
    found = examples.read(small)
    with pytest.raises(Conflict, match=r"example of greet already \(talk\.yml, line 8\)") as told:
        found.add("HELLO!", "bye")
    change = found.move("HELLO!", "bye")
    change.write()

    assert ("hello", "greet", 8) == (told.value.example.text, told.value.example.intent, told.value.example.line)
    assert ["-      - hello", "+      - HELLO!"] == changed_lines(change.diff)
    assert [("greet", "Hi there"), ("greet", "[Ann](name) here")] == rasa_reads(small / "talk.yml")[:2]


def test_adding_and_removing_leaves_the_file_as_it_was(folder: Path) -> None:
    """Undo is the opposite edit."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    examples.read(folder).add("wheres all my stuff zz", "order_status").write()
    examples.read(folder).remove("wheres all my stuff zz", "order_status").write()

    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("text", ["hello", "  HELLO!! ", "Hello."])
def test_an_intent_has_a_text_once(small: Path, text: str) -> None:
    """Case, blanks and closing punctuation make no other example."""
    with pytest.raises(AlreadyThere):
        examples.read(small).add(text, "greet")


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "nothing to learn"),
        ("\x00\u202e \n", "nothing to learn"),
        ("a " * 200, "at most 300 characters"),
    ],
)
def test_what_is_no_example_is_refused_in_words(small: Path, text: str, words: str) -> None:
    """The designer reads why."""
    with pytest.raises(ExamplesError, match=words):
        examples.read(small).add(text, "bye")


def test_the_last_example_of_an_intent_stays(small: Path) -> None:
    """Rasa would warn of an intent without any."""
    examples.read(small).remove("see you", "bye").write()
    with pytest.raises(ExamplesError, match="at least one"):
        examples.read(small).remove("bye", "bye")


def test_an_intent_without_a_place_is_said(small: Path) -> None:
    """An intent no file has as a block cannot be guessed a file for."""
    with pytest.raises(ExamplesError, match="No file has examples of order_status"):
        examples.read(small).add("where is it", "order_status")


def test_a_file_changed_meanwhile_is_not_overwritten(small: Path) -> None:
    """Somebody's edit between looking and writing stays, and no file is half changed."""
    change = examples.read(small).add("later", "bye")
    (small / "talk.yml").write_text(SHOUTED + "# mine\n")
    with pytest.raises(ExamplesError, match="changed meanwhile"):
        change.write()

    assert SHOUTED + "# mine\n" == (small / "talk.yml").read_text()
    assert ["talk.yml"] == [path.name for path in small.iterdir()]


def test_broken_yaml_is_named(small: Path) -> None:
    """The file and the line are said, nothing is changed."""
    (small / "broken.yml").write_text("nlu:\n  - intent: 'a\n")
    with pytest.raises(ExamplesError, match=r"broken\.yml, line 3 is no YAML"):
        examples.read(small)


# -- taken along ---------------------------------------------------------------------------------------------------


def test_labels_from_elsewhere_are_one_patch(folder: Path, tmp_path: Path) -> None:
    """Several labels, one of them a conflict and one there already, apply at once."""
    wanted = [
        ("where my stuff zz", "order_status"),
        ("what are your hours", "ask_shop"),
        ("hello", "greet"),
        ("x zz", "no_such"),
    ]
    patch = examples.as_patch(examples.read(folder), wanted)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=patch.encode(), check=True)
    found = examples.read(folder)

    assert ["order_status"] == [each.intent for each in found.find("where my stuff zz")]
    assert ["ask_shop"] == [each.intent for each in found.find("what are your hours")]
    assert [("reviewed.yml", "no_such")] == [(each.file, each.intent) for each in found.find("x zz")]


# -- nobody's number -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, instead",
    [
        ("call me at 646-555-1234 pls", "call me at 202-555-0142 pls"),
        ("+44 20 7946 0018", "202-555-0142"),
        ("john.doe+x@gmail.com is mine", "sam@example.com is mine"),
        ("where is order 1042?", "where is order 2847?"),
        ("#104299 please", "#284751 please"),
        ("ship to 44 Elm st apt 3, Boston MA 02139", "ship to 12 Oak Street, Boston MA 28475"),
        ("I live at K1A 0B1", "I live at M5V 2T6"),
        ("tracking 1Z999AA10123456784", "tracking AB284751936"),
        ("my card 4111 1111 1111 1111", "my card 2847-5193-6062"),
        ("https://shop.example.org/b/abc is broken", "example.com/a is broken"),
        ("ann becker here, it's Ann", "Sam here, it's Sam"),
    ],
)
def test_what_says_who_somebody_is_is_replaced(text: str, instead: str) -> None:
    """Numbers, addresses, links and the contact's own name give way to ones of nobody."""
    assert instead == personal.without(text, ["Ann Becker"])
    assert [] != personal.find(text, ["Ann Becker"])


@pytest.mark.parametrize(
    "text",
    [
        "tues at 2:30",
        "size 10 in 38",
        "under $1000",
        "in 2026",
        "5 all the way",
        "10am-11am 11/24",
        "win200",
        "call me, ann",
    ],
)
def test_what_says_nothing_of_anybody_stays(text: str) -> None:
    """Times, sizes, prices, years and codes are what examples are made of."""
    assert text == personal.without(text, ["Jo"])


@settings(deadline=None)
@given(text=st.text(st.sampled_from(list("0123456789 -+()@.aoksl/#:")), max_size=40))
def test_after_replacing_nothing_is_left_to_replace(text: str) -> None:
    """What stands in for something is never taken for something."""
    assert [] == personal.find(personal.without(text, ["Ann"]), ["Ann"])
