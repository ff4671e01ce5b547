"""Reads and edits the examples of intents in data/*.yml, one line at a time; whatever else stands there stays as it is.

An edit is made on the text of a file, never by writing YAML anew, so comments, order, style and entity markup are kept;
before it is written the file is parsed again and must hold exactly what was meant. The format is Rasa's (rasa.com,
"NLU Training Examples"): `- intent: name` with `examples: |`, a block of lines that begin with a hyphen.
"""

import bisect
import difflib
import os
import re
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from bot.errors import BotError

#: An example is one request. The longest of the data shipped has 117 characters.
LONGEST = 300
#: Where an example goes whose intent has none in data/ yet.
NEW_FILE: Final = "reviewed.yml"
_RASA_STRIPS = "\n\r "
#: What Rasa would read as an annotated entity: `[text](entity)`, `[text]{…}`, `[text][…]` (rasa entities_parser).
_MARKUP = re.compile(r"\](?=[({\[])")
#: Joins emoji into one; other characters of its kind are invisible and may turn a line around.
_JOINER = "\u200d"
#: Outside what a YAML file may hold (YAML 1.2, 5.1).
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")


class ExamplesError(BotError):
    """The examples cannot be read or changed as asked; the message is for the person who asked."""


class AlreadyThere(ExamplesError):
    """The intent has this example."""


class Conflict(ExamplesError):
    """Another intent has the same text; `example` says where, so that it can be moved instead."""

    def __init__(self, example: "Example") -> None:
        super().__init__(
            f"“{example.text}” is an example of {_plain(example.intent)} already ({example.file}, line {example.line})."
            " One text cannot mean two things; move it, or leave this one out."
        )
        self.example = example


class NotWritable(ExamplesError):
    """The files cannot be changed from here; the change can be taken along as a patch."""


@dataclass(frozen=True)
class Example:
    """One example of an intent: `file` is relative to the folder of the examples, `line` counts from 1."""

    text: str
    intent: str
    file: str
    line: int


@dataclass(frozen=True)
class _Block:
    """The lines of one intent in one file: indexes `first` and `after` into its lines, and their `indent`."""

    intent: str
    indent: str
    first: int
    after: int


# -- one text ------------------------------------------------------------------------------------------------------


def as_written(text: str) -> str:
    """A text as it may stand in the files, so that Rasa reads back these very characters.

    White space becomes single blanks; characters YAML refuses or nobody sees go; brackets Rasa would take for an entity
    become round; a backslash becomes a slash, because Rasa takes `\\u…` for another character where a file is ASCII.
    """
    kept = "".join(
        char for char in text if char == _JOINER or char.isspace() or unicodedata.category(char) not in _UNSEEN
    )
    words = " ".join(_UNPRINTABLE.sub("", kept).split()).replace("\\", "/")
    return words.translate(_ROUND) if _MARKUP.search(words) else words


_UNSEEN = ("Cc", "Cf", "Cs")
_ROUND = str.maketrans("[]{}", "()()")


def normal(text: str) -> str:
    """Texts that differ only in case, blanks and closing punctuation are one text."""
    words = " ".join(text.lower().split())
    return words.rstrip(" .!?") or words


def _plain(intent: str) -> str:
    return intent.replace("_", " ")


def _checked(text: str) -> str:
    words = as_written(text)
    if not words:
        raise ExamplesError("There is nothing to learn in an empty text.")
    if len(words) > LONGEST:
        raise ExamplesError(
            f"An example is one request of at most {LONGEST} characters; this one has {len(words):,}. Cut it to the"
            " words that matter."
        )
    return words


# -- one file ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    """One YAML file as text, with where each intent's examples are."""

    name: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """Its lines with their ends, as an editor counts them."""
        return _lines(self.text)

    @cached_property
    def blocks(self) -> list[_Block]:
        """The blocks of examples, in order. Raises ExamplesError where the file cannot be read."""
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line))
        return [
            self._block(intent, bisect.bisect_right(starts, index) - 1)
            for intent, index in _intents(self.name, self.text)
        ]

    def _block(self, intent: str, header: int) -> _Block:
        """The block whose `|` stands in line `header`: until the first line that is indented less (YAML 1.2, 8.1)."""
        indent: str | None = None
        after = header + 1
        for number in range(header + 1, len(self.lines)):
            line = self.lines[number]
            if not line.strip():
                continue
            lead = line[: len(line) - len(line.lstrip(" "))]
            if indent is None:
                indent = lead
            if len(lead) < len(indent):
                break
            after = number + 1
        return _Block(intent, indent or "      ", header + 1, after)

    @cached_property
    def examples(self) -> list[Example]:
        """Every example of the file, in order."""
        return [
            Example(text, block.intent, self.name, number + 1)
            for block in self.blocks
            for number, text in self._numbered(block)
        ]

    def _numbered(self, block: _Block) -> list[tuple[int, str]]:
        """The examples of a block, each with the index of its line."""
        start = f"{block.indent}-"
        lines = ((number, self.lines[number]) for number in range(block.first, block.after))
        return [(number, line[len(start) :].strip(_RASA_STRIPS)) for number, line in lines if line.startswith(start)]

    def with_line(self, block: _Block, text: str) -> str:
        """The file with one more example: at its place where the block is sorted, else at its end."""
        numbered = self._numbered(block)
        keys = [_sorted_by(found) for _, found in numbered]
        at = block.after
        if keys == sorted(keys):
            position = bisect.bisect_right(keys, _sorted_by(text))
            at = (
                numbered[position][0]
                if position < len(numbered)
                else (numbered[-1][0] + 1 if numbered else block.first)
            )
        end = "\r\n" if self.lines[block.first - 1].endswith("\r\n") else "\n"
        made = list(self.lines)
        if at and not made[at - 1].endswith("\n"):
            made[at - 1] += end
            end = ""
        made.insert(at, f"{block.indent}- {text}{end}")
        return "".join(made)

    def without_line(self, line: int) -> str:
        """The file without its line of this number."""
        return "".join(self.lines[: line - 1] + self.lines[line:])


def _intents(name: str, text: str) -> Iterator[tuple[str, int]]:
    """Each intent with a block of examples, and where in the text its `|` stands."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise ExamplesError(f"{name}{where} is no YAML that can be read. Correct it by hand first.") from exc
    for item in _sequence(_fields(root).get("nlu")):
        fields = _fields(item)
        intent, examples = fields.get("intent"), fields.get("examples")
        if isinstance(intent, yaml.ScalarNode) and isinstance(examples, yaml.ScalarNode) and examples.style == "|":
            yield intent.value, examples.start_mark.index


def _fields(node: yaml.Node | None) -> dict[str, yaml.Node]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return {key.value: value for key, value in pairs if isinstance(key, yaml.ScalarNode)}


def _sequence(node: yaml.Node | None) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _sorted_by(text: str) -> tuple[str, str]:
    return text.lower(), text


# -- all of them ---------------------------------------------------------------------------------------------------


class Examples:
    """The examples of a folder as they stand; each change is a value that shows its diff before it is written."""

    def __init__(self, folder: Path, files: Mapping[str, _File]) -> None:
        self.folder = folder
        self._files = dict(files)
        self.all: list[Example] = [example for file in files.values() for example in file.examples]
        self._by_words: dict[str, list[Example]] = {}
        for example in self.all:
            self._by_words.setdefault(normal(example.text), []).append(example)

    @property
    def intents(self) -> list[str]:
        """Every intent that has examples, in the order of the files."""
        return list(dict.fromkeys(example.intent for example in self.all))

    def find(self, text: str) -> list[Example]:
        """Every example that is this text, give or take case, blanks and closing punctuation."""
        return self._by_words.get(normal(as_written(text)), [])

    def file_of(self, intent: str) -> str | None:
        """The file where most of the intent's examples stand; None where it has none."""
        counts: dict[str, int] = {}
        for example in self.all:
            if example.intent == intent:
                counts[example.file] = counts.get(example.file, 0) + 1
        return max(counts, key=lambda name: counts[name]) if counts else None

    def add(self, text: str, intent: str) -> "Change":
        """One more example of an intent, where its others stand.

        Raises AlreadyThere, Conflict where another intent has the text, or ExamplesError.
        """
        words = _checked(text)
        for example in self.find(words):
            if example.intent == intent:
                raise AlreadyThere(f"“{example.text}” is an example of {_plain(intent)} already.")
            raise Conflict(example)
        return self._change(self._added(self._files, words, intent), [(intent, words, 1)], words, intent)

    def move(self, text: str, intent: str) -> "Change":
        """Take the example from the intent that has it and give it to another. Raises AlreadyThere or ExamplesError."""
        words = _checked(text)
        found = self.find(words)
        if not found:
            raise ExamplesError("No intent has this example; add it instead.")
        if any(example.intent == intent for example in found):
            raise AlreadyThere(f"“{words}” is an example of {_plain(intent)} already.")
        files = self._files
        for example in sorted(
            found, key=lambda each: -each.line
        ):  # from below, so that the lines above keep their numbers
            files = self._removed(files, example)
        moved = [(example.intent, example.text, -1) for example in found]
        return self._change(self._added(files, words, intent), [*moved, (intent, words, 1)], words, intent)

    def remove(self, text: str, intent: str) -> "Change":
        """Take an example away. Raises ExamplesError where it is not there or would leave its intent without any."""
        found = next((example for example in self.find(text) if example.intent == intent), None)
        if found is None:
            told = f"“{as_written(text)}” is no example of {_plain(intent)}"
            raise ExamplesError(f"{told}; it may have been taken out by hand.")
        return self._change(self._removed(self._files, found), [(intent, found.text, -1)], found.text, intent)

    def _added(self, files: Mapping[str, _File], text: str, intent: str) -> dict[str, _File]:
        name = self.file_of(intent)
        if name is None:
            raise ExamplesError(
                f"No file has examples of {intent} as a block (`examples: |`), so there is no place for one more."
                " Write the first one by hand."
            )
        file = files[name]
        block = max((b for b in file.blocks if b.intent == intent), key=lambda block: block.after - block.first)
        return {**files, name: _File(name, file.with_line(block, text))}

    def _removed(self, files: Mapping[str, _File], example: Example) -> dict[str, _File]:
        if sum(each.intent == example.intent for each in self.all) < 2:
            name = _plain(example.intent).capitalize()
            raise ExamplesError(f"{name} has no other example. An intent needs at least one.")
        return {**files, example.file: _File(example.file, files[example.file].without_line(example.line))}

    def _change(
        self, files: Mapping[str, _File], steps: Sequence[tuple[str, str, int]], text: str, intent: str
    ) -> "Change":
        edits = tuple(
            Edit(name, self._files[name].text, file.text)
            for name, file in files.items()
            if file.text != self._files[name].text
        )
        _check(edits, steps)
        return Change(self.folder, edits, text, intent)


def read(folder: Path, known: dict[Path, tuple[tuple[int, int], Any]] | None = None) -> Examples:
    """Every example of a folder's *.yml. Raises ExamplesError where there is no folder or a file cannot be read.

    `known` keeps files between calls by their time and size, so that only what changed is parsed again.
    """
    cache = known if known is not None else {}
    if not folder.is_dir():
        raise ExamplesError(
            f"There is no folder {folder} on this machine; PARLEY_EXAMPLES_DIR says where examples are."
        )
    files: dict[str, _File] = {}
    for path in sorted(folder.rglob("*.yml")):
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if cache.get(path, (None, None))[0] != stamp:
                file = _File(path.relative_to(folder).as_posix(), path.read_bytes().decode("utf-8"))
                _ = file.examples
                cache[path] = (stamp, file)
        except (OSError, UnicodeDecodeError) as exc:
            raise ExamplesError(f"{path.name} cannot be read. See that it is UTF-8 and may be read.") from exc
        files[path.relative_to(folder).as_posix()] = cache[path][1]
    return Examples(folder, files)


# -- changing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edit:
    """One file before and after."""

    name: str
    before: str
    after: str

    def diff(self, folder: str) -> str:
        """The unified diff, as `git apply` and `patch -p1` take it."""
        path = f"{folder}/{self.name}"
        lines = difflib.unified_diff(
            _lines(self.before), _lines(self.after), f"a/{path}" if self.before else "/dev/null", f"b/{path}", n=2
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


@dataclass(frozen=True)
class Change:
    """What adding, moving or removing one example comes to: the `text` as it stands in the files, and the edits."""

    folder: Path
    edits: tuple[Edit, ...]
    text: str
    intent: str

    @property
    def files(self) -> list[str]:
        """The files it changes, by name."""
        return [edit.name for edit in self.edits]

    @property
    def diff(self) -> str:
        """All edits as one unified diff."""
        return "".join(edit.diff(self.folder.name) for edit in self.edits)

    def write(self) -> None:
        """Write every file whole or none. Raises NotWritable, or ExamplesError where a file changed meanwhile."""
        done: list[Edit] = []
        try:
            for edit in self.edits:
                if _content(self.folder / edit.name) != edit.before:
                    raise ExamplesError(f"{edit.name} was changed meanwhile. Look at the text again and add it then.")
                _replace(self.folder / edit.name, edit.after)
                done.append(edit)
        except BaseException:
            for edit in done:
                _replace(self.folder / edit.name, edit.before)
            raise


def writable(folder: Path) -> bool:
    """Whether the examples of a folder can be changed from here."""
    files = list(folder.rglob("*.yml"))
    return bool(files) and all(os.access(path, os.W_OK) and os.access(path.resolve().parent, os.W_OK) for path in files)


def as_patch(examples: Examples, wanted: Sequence[tuple[str, str]]) -> str:
    """One diff that adds every (text, intent) which is not there yet; one that conflicts moves.

    What no file has a place for goes into a file of its own. Nothing is written.
    """
    before, now = examples._files, examples
    homeless: dict[str, list[str]] = {}
    for text, intent in wanted:
        try:
            if now.file_of(intent) is None:
                homeless.setdefault(intent, []).append(_checked(text))
                continue
            change = now.move(text, intent) if now.find(text) else now.add(text, intent)
        except ExamplesError:
            continue
        files = {**now._files, **{edit.name: _File(edit.name, edit.after) for edit in change.edits}}
        now = Examples(examples.folder, files)
    edits = [Edit(name, before[name].text, file.text) for name, file in now._files.items() if file is not before[name]]
    if homeless:
        edits.append(Edit(NEW_FILE, "", as_file(homeless)))
    return "".join(edit.diff(examples.folder.name) for edit in edits)


def as_file(taught: Mapping[str, Sequence[str]]) -> str:
    """A file of training data with these examples by intent, sorted."""
    blocks = [
        f"  - intent: {intent}\n    examples: |\n"
        + "".join(f"      - {text}\n" for text in sorted({as_written(each) for each in texts}, key=_sorted_by))
        for intent, texts in sorted(taught.items())
    ]
    return 'version: "3.1"\n\nnlu:\n' + "\n".join(blocks)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ExamplesError(f"{path.name} cannot be read any more.") from exc


def _replace(path: Path, text: str) -> None:
    """Put a whole file in the place of the old one, so that nobody ever reads half of it."""
    target = path.resolve()
    draft = ""
    try:
        # Its name does not end in .yml, so that nothing takes it for training data.
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(target, draft)
        os.replace(draft, target)
    except OSError as exc:
        if draft:
            Path(draft).unlink(missing_ok=True)
        raise NotWritable(f"{path.name} cannot be written from here ({exc.strerror}).") from exc


def _check(edits: Sequence[Edit], steps: Sequence[tuple[str, str, int]]) -> None:
    """Read the files again, as Rasa does: they must differ by these (intent, example, by how many) and nothing else.

    Raises ExamplesError.
    """
    differs: Counter[tuple[str, str]] = Counter()
    touched = {intent for intent, _, _ in steps}
    for edit in edits:
        try:
            before, after = yaml.safe_load(edit.before), yaml.safe_load(edit.after)
        except yaml.YAMLError as exc:
            raise ExamplesError("This text cannot stand in a YAML file. Write it in plain words.") from exc
        if _rest(before, touched) != _rest(after, touched):
            raise ExamplesError(_MORE)
        differs.update(_taught(after))
        differs.subtract(_taught(before))
    meant = Counter({(intent, text): by for intent, text, by in steps})
    if {key: by for key, by in differs.items() if by} != dict(meant):
        raise ExamplesError(_MORE)


_MORE = "The files could not be changed without changing more than this. Edit them by hand."


def _rest(content: Any, touched: set[str]) -> Any:
    """Everything a file says but the examples of the intents touched."""
    items = [
        {key: value for key, value in item.items() if key != "examples"} if item.get("intent") in touched else item
        for item in content["nlu"]
    ]
    return {**content, "nlu": items}


def _taught(content: Any) -> list[tuple[str, str]]:
    """Every (intent, example) of a file's content, as Rasa takes it: lines that begin with a hyphen, stripped."""
    return [
        (item["intent"], line[1:].strip(_RASA_STRIPS))
        for item in content["nlu"]
        if "intent" in item and isinstance(item.get("examples"), str)
        for line in item["examples"].splitlines()
        if line.startswith("-")
    ]
