"""Checks what a designer edits (data/, domain.yml, config.yml, shop.yml) before anything is trained on it.

It changes nothing and trains nothing. An error would make a model wrong or keep one from being trained; a warning is
worth a look.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import yaml

from bot import text as texts
from bot.errors import SettingsError
from bot.shop import shopfile

#: An intent with fewer examples is read by luck (SPEC, D2).
FEWEST = 30
#: A reply longer than this costs more than two texts and is rarely read to its end.
MOST_PARTS = 2
#: Texts shorter than this may differ in one letter and mean different things ("4", "5", "no", "now").
TELLING_LENGTH = 12
#: Said for courtesy; an example that differs in these alone is the same example. Thanks and greetings are intents.
COURTESY = frozenset(("please", "pls", "plz"))
#: Rasa's own reading for what is unclear; it has a rule and no examples.
FALLBACK = "nlu_fallback"

_MARKED = re.compile(r"\[([^\]]*)\](?:\(([^):]*)(?::[^)]*)?\)|\{[^}]*\"entity\"\s*:\s*\"([^\"]*)\"[^}]*\})")
_KINDS = ("intent", "regex", "lookup", "synonym")


@dataclass(frozen=True)
class Finding:
    """One thing to mend: `file` counted from the checkout, `line` from 1, `says` one sentence with the mend."""

    level: Literal["error", "warning"]
    file: str
    line: int
    says: str


@dataclass(frozen=True)
class Example:
    """One text of an intent, without the marks of its entities, and where it stands."""

    intent: str
    text: str
    file: str
    line: int

    @property
    def place(self) -> str:
        """As messages name it."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Rule:
    """A rule's intent and the actions it leads to."""

    intent: str
    actions: Sequence[str]
    file: str
    line: int


class _Checked:
    """Everything read, and what was found on the way."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.examples: list[Example] = []
        self.rules: list[Rule] = []
        #: Names of entities that are marked or matched, with their first place.
        self.entities: dict[str, tuple[str, int]] = {}

    def error(self, file: str, line: int, says: str) -> None:
        self.findings.append(Finding("error", file, line, says))

    def warn(self, file: str, line: int, says: str) -> None:
        self.findings.append(Finding("warning", file, line, says))


def lint(root: Path, actions: Collection[str]) -> list[Finding]:
    """Everything to mend in the checkout `root`, in the order of files and lines; `actions` are those the engine has.

    Raises nothing on any content of the files; a missing domain.yml or data folder is a finding too.
    """
    found = _Checked()
    for path in sorted((root / "data").rglob("*.yml")):
        content = _content(path, root, found)
        if content is not None:
            _read_data(content, path, root, found)
    domain = _content(root / "domain.yml", root, found)
    if domain is not None:
        _check_domain(domain, actions, found)
    _content(root / "config.yml", root, found)
    _check_thin(found)
    _check_twice(found)
    _check_alike(found)
    _check_copy(root, found)
    return sorted(found.findings, key=lambda each: (each.file, each.line, each.level, each.says))


# -- reading -------------------------------------------------------------------------------------------------------


def _content(path: Path, root: Path, found: _Checked) -> yaml.MappingNode | None:
    """The file as nodes that know their lines; None, with a finding, where it is no YAML table."""
    name = path.relative_to(root).as_posix()
    try:
        node = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as exc:
        found.error(name, 1, f"The file cannot be read ({exc.__class__.__name__}); save it as UTF-8.")
        return None
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        found.error(name, mark.line + 1 if mark else 1, "This is not YAML; check indentation and quotes here.")
        return None
    if not isinstance(node, yaml.MappingNode):
        found.error(name, 1, 'The file is no table of "key: value" lines.')
        return None
    return node


def _items(node: yaml.Node, key: str) -> list[yaml.Node]:
    """The list under a key of a table; empty where there is none."""
    value = _table(node).get(key)
    return list(value.value) if isinstance(value, yaml.SequenceNode) else []


def _table(node: yaml.Node) -> dict[str, yaml.Node]:
    return {str(key.value): value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _read_data(content: yaml.MappingNode, path: Path, root: Path, found: _Checked) -> None:
    file = path.relative_to(root).as_posix()
    for item in _items(content, "nlu"):
        table = _table(item)
        kind = next((kind for kind in _KINDS if kind in table), None)
        block = table.get("examples")
        if kind is None or not isinstance(block, yaml.ScalarNode):
            found.error(file, _line(item), 'Each item under "nlu" needs a name (intent or regex) and "examples: |".')
            continue
        name = str(table[kind].value)
        for line, example in _lines(block, file, found):
            if kind == "intent":
                found.examples.append(Example(name, _MARKED.sub(r"\1", example), file, line))
                for marked in _MARKED.finditer(example):
                    found.entities.setdefault(marked[2] or marked[3], (file, line))
            elif kind == "regex":
                _read_pattern(name, example, file, line, found)
    for item in _items(content, "rules"):
        steps = [_table(step) for step in _items(item, "steps")]
        intents = [str(step["intent"].value) for step in steps if "intent" in step]
        actions = [str(step["action"].value) for step in steps if "action" in step]
        if len(intents) != 1 or not actions:
            found.error(file, _line(item), "A rule needs one intent and the action it leads to.")
            continue
        found.rules.append(Rule(intents[0], actions, file, _line(item)))


def _lines(block: yaml.ScalarNode, file: str, found: _Checked) -> Iterator[tuple[int, str]]:
    """The examples of a block with their lines."""
    if block.style != "|":
        found.error(file, _line(block), 'Examples stand below "examples: |", one a line.')
        return
    for line, raw in enumerate(block.value.splitlines(), _line(block) + 1):
        if not raw.strip():
            continue
        if not raw.startswith("- ") or not raw[2:].strip():
            found.error(file, line, 'An example is a line of its own that begins with "- " and says something.')
            continue
        yield line, raw[2:].strip()


def _read_pattern(name: str, pattern: str, file: str, line: int, found: _Checked) -> None:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as exc:
        found.error(file, line, f"The pattern of {name} is no regular expression: {exc}.")
        return
    if "value" in groups:
        found.entities.setdefault(name, (file, line))


# -- names ---------------------------------------------------------------------------------------------------------


def _check_domain(domain: yaml.MappingNode, actions: Collection[str], found: _Checked) -> None:
    intents, entities, named = (_names(domain, key, found) for key in ("intents", "entities", "actions"))
    with_examples = {example.intent: example for example in reversed(found.examples)}
    led = {rule.intent for rule in found.rules}
    for name, line in intents.items():
        if name not in with_examples:
            found.error("domain.yml", line, f"{name} has no examples in data/; write some or take it out.")
        if name not in led:
            found.error("domain.yml", line, f"{name} has no rule in data/, so nothing answers it; add one.")
    for name, example in with_examples.items():
        if name not in intents:
            says = f"{name} is not among the intents of domain.yml; add it there or mend the name."
            found.error(example.file, example.line, says)
    rules: dict[str, Rule] = {}
    for rule in found.rules:
        if rule.intent not in intents and rule.intent != FALLBACK:
            found.error(rule.file, rule.line, f"This rule waits for {rule.intent}, which domain.yml does not name.")
        if (first := rules.setdefault(rule.intent, rule)) is not rule:
            says = f"{rule.intent} has a rule at {first.file}:{first.line} already; keep one."
            found.error(rule.file, rule.line, says)
        for action in rule.actions:
            if action not in named:
                found.error(rule.file, rule.line, f"This rule leads to {action}, which domain.yml does not name.")
    reached = {action for rule in found.rules for action in rule.actions}
    for name, line in named.items():
        if name not in actions:
            found.error("domain.yml", line, f"The engine has no {name}; mend the name or take it out.")
        elif name not in reached:
            found.warn("domain.yml", line, f"No rule in data/ leads to {name}.")
    for name, (file, line) in found.entities.items():
        if name not in entities:
            found.error(file, line, f"{name} is not among the entities of domain.yml; add it there or mend the name.")
    for name, line in entities.items():
        if name not in found.entities:
            found.warn("domain.yml", line, f"Nothing in data/ marks or matches {name}, so it is never found.")


def _names(domain: yaml.MappingNode, key: str, found: _Checked) -> dict[str, int]:
    """The names listed under a key with their lines; a name with settings of its own is a table of one."""
    names: dict[str, int] = {}
    for item in _items(domain, key):
        name = next(iter(_table(item)), None) if isinstance(item, yaml.MappingNode) else str(item.value)
        if name is None:
            continue
        if name in names:
            found.error("domain.yml", _line(item), f"{name} stands twice under {key}; take one out.")
        names.setdefault(name, _line(item))
    return names


# -- examples ------------------------------------------------------------------------------------------------------


def plain(example: str) -> str:
    """The words of an example; texts that differ in case, blanks, signs at the end or courtesy alone are one text.

    Of courtesies and signs alone ("please", "??") everything stays.
    """
    words = " ".join(example.lower().split())
    bare = [word.strip(".!?,;:") for word in words.split()]
    return " ".join(word for word in bare if word and word not in COURTESY) or words


def _check_thin(found: _Checked) -> None:
    by_intent: defaultdict[str, set[str]] = defaultdict(set)
    first: dict[str, Example] = {}
    for example in found.examples:
        by_intent[example.intent].add(plain(example.text))
        first.setdefault(example.intent, example)
    for intent, different in by_intent.items():
        if len(different) < FEWEST:
            says = f"{intent} has {len(different)} different examples; it is read well from about {FEWEST} on."
            found.warn(first[intent].file, first[intent].line, says)


def _check_twice(found: _Checked) -> None:
    """The same words under two intents teach nothing; twice under one they only take room."""
    seen: dict[str, Example] = {}
    for example in found.examples:
        first = seen.setdefault(" ".join(example.text.lower().split()).rstrip(" .!?") or example.text, example)
        if first is example:
            continue
        if first.intent != example.intent:
            says = f'"{example.text}" is an example of {example.intent} here and of {first.intent} at {first.place}.'
            found.error(example.file, example.line, f"{says} Keep one.")
        elif first.text.lower() == example.text.lower():
            says = f'"{example.text}" is an example of {example.intent} at {first.place} already; take one out.'
            found.warn(example.file, example.line, says)


def _check_alike(found: _Checked) -> None:
    """Examples of two intents that differ in nothing but courtesy, or in one letter, are probably a slip."""
    told: set[tuple[str, str]] = set()

    def tell(one: Example, other: Example) -> None:
        places = (min(one.place, other.place), max(one.place, other.place))
        same = " ".join(one.text.lower().split()).rstrip(" .!?") == " ".join(other.text.lower().split()).rstrip(" .!?")
        if one.intent == other.intent or same or places in told:
            return
        told.add(places)
        says = f'"{one.text}" ({one.intent}) is nearly "{other.text}" ({other.intent}, {other.place}); is one a slip?'
        found.warn(one.file, one.line, says)

    for key in (_by_words, _by_letters):
        groups: defaultdict[str, list[Example]] = defaultdict(list)
        for example in found.examples:
            for each in key(plain(example.text)):
                groups[each].append(example)
        for group in groups.values():
            for one, other in pairwise(sorted(group, key=lambda example: example.intent)):
                tell(one, other)


def _by_words(words: str) -> list[str]:
    return [words]


def _by_letters(words: str) -> list[str]:
    """The text itself and with each one letter left out: texts one letter apart share one of these."""
    if len(words) < TELLING_LENGTH:
        return []
    return [words, *(words[:place] + words[place + 1 :] for place in range(len(words)))]


# -- copy ----------------------------------------------------------------------------------------------------------


def _check_copy(root: Path, found: _Checked) -> None:
    """What customers are told word for word: short enough, and in the alphabet that costs one part."""
    path = root / "shop.yml"
    if not path.exists():
        return
    try:
        shop = shopfile.load(path)
    except SettingsError as exc:
        found.error("shop.yml", 1, str(exc).replace(str(path), "shop.yml"))
        return
    lines = path.read_text().splitlines()
    for where, words in _copy(shop.content.model_dump()):
        size = texts.measure(texts.plain(words))
        line = next((number for number, line in enumerate(lines, 1) if words[:20] in line), 1)
        if size.encoding == "UCS-2":
            strange = next(char for char in texts.plain(words) if char not in texts.GSM_BASIC | texts.GSM_EXTENSION)
            says = f"{where} has {strange!r}, for which a text holds 70 characters in place of 160; write it otherwise."
            found.warn("shop.yml", line, says)
        if size.parts > MOST_PARTS:
            says = f"{where} takes {size.parts} parts with {len(words)} characters; {MOST_PARTS} are enough to say it."
            found.warn("shop.yml", line, says)


def _copy(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, answer in content["answers"].items():
        if isinstance(answer, str):
            yield f"The answer about {name}", answer
    for topic in content["answers"]["topics"]:
        yield f"The answer about {topic['about'][0]}", topic["answer"]
    told: tuple[tuple[str, str, Callable[[Mapping[str, Any]], str]], ...] = (
        ("code_pools", "rules", lambda item: f"The rules of the codes {item['key']}"),
        ("contests", "rules", lambda item: f"The rules of {item['keyword']}"),
        ("preferences", "question", lambda item: f"The question of {item['key']}"),
    )
    for part, field, name in told:
        for item in content[part]:
            yield name(item), item[field]
