"""The layout holds: imports point down, vendors stay at the edge, nothing happens at import."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.settings import ROOT

ROOF = {
    *("app", "worker", "cli", "supervisor", "services", "doctor", "client", "leash", "children", "jobs"),
    *("demo", "demo_month", "demo_scenes"),
}
STEPS = {"inbox", "consent", "conversation", "rasa_client", "outbox", "sender", "tickets"}
STEPS |= {
    "mentions",
    "live",
    "accounts",
    "numbers",
    "effects",
    "facts",
    "answers",
    "requests",
    "outcomes",
    "changes",
    "catchup",
    "models",
}
GROUND = {"tables", "db", "settings", "errors", "text", "clock", "values", "crash", "logs"}
#: From the top down; a module may import its own layer and any below.
LAYERS = [ROOF, {"web", "insight"}, STEPS, {"shop", "outreach"}, {"carriers", "helpdesks"}, GROUND]
#: The roof may be started, not imported, except by the roof itself; demo data is filled by it alone.


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the engine by its first name under bot."""
    for path in sorted((ROOT / "bot").rglob("*.py")):
        parts = path.relative_to(ROOT / "bot").with_suffix("").parts
        if parts != ("__init__",):
            yield parts[0], path


def imported(path: Path) -> set[str]:
    """Every module this file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    """The first names under bot this file imports."""
    return {name.split(".")[1] for name in imported(path) if name.startswith("bot.") and name.split(".")[1] in known()}


def known() -> set[str]:
    """First names of everything under bot."""
    return {name for name, _ in modules()}


def layer(name: str) -> int:
    """How far down a module lies."""
    (found,) = [number for number, names in enumerate(LAYERS) if name in names]
    return found


def test_every_module_has_its_layer() -> None:
    """A new module is put somewhere on purpose."""
    assert set() == known() - set().union(*LAYERS)


@pytest.mark.parametrize("name, path", [pytest.param(n, p, id=str(p.relative_to(ROOT))) for n, p in modules()])
def test_imports_point_down(name: str, path: Path) -> None:
    """Nobody imports a layer above their own."""
    wrong = {other for other in ours(path) if layer(other) < layer(name)}

    assert set() == wrong


def test_shop_and_outreach_take_no_step_and_actions_no_more() -> None:
    """They return values; one step carries them out."""
    for path in sorted((ROOT / "actions").glob("*.py")):
        used = ours(path)

        assert set() == used - {"shop", "outreach", "db", "values"}, path


def test_the_engine_never_imports_rasa_nor_rasas_side_the_engine() -> None:
    """Two environments that speak HTTP; rasa_sdk is the protocol, not Rasa."""
    for _, path in modules():
        assert not {name for name in imported(path) if name == "rasa" or name.startswith("rasa.")}, path
    for path in (ROOT / "nlu").rglob("parley_nlu/*.py"):
        assert not {name for name in imported(path) if name.split(".")[0] == "bot"}, path


def test_vendors_are_known_at_one_edge_each() -> None:
    """Twilio's words in the carriers and at the two doors that sign for it; wheels with servers behind one module."""
    allowed = {
        "twilio": {"carriers/twilio.py", "carriers/simulator.py", "web/internal.py", "client.py"},
        "duckling": {"shop/when.py"},
        "rasa_sdk": {"app.py", "web/internal.py"},
        "redis": {"sender.py", "worker.py", "services.py", "doctor.py"},
        "argon2": {"accounts.py"},
    }
    for vendor, files in allowed.items():
        users = {
            path.relative_to(ROOT / "bot").as_posix()
            for _, path in modules()
            if any(name.split(".")[0] == vendor for name in imported(path))
        }

        assert set() == users - files, vendor
