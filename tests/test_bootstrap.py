"""`parley`, which builds the environments: run as it is, in a copy of the checkout, with a uv that only pretends."""

import ast
import importlib.machinery
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from bot.settings import ROOT

#: Writes down how it was called; makes an environment whose Python says what it was asked to run.
UV = """#!/bin/sh
echo "$UV_DEFAULT_INDEX|$*" >> "$UV_CALLS"
for last; do :; done
case "$*" in
  --version) echo "uv 9.9.9" ;;
  *"python install"*) exit 1 ;;
  *"python find"*) exit 2 ;;
  "--quiet venv "*) mkdir -p "$last/bin"
    printf '#!/bin/sh\\nprintf "%%s\\\\n" "$PYTHONPATH" "$PWD" "$@"\\n' > "$last/bin/python"
    chmod +x "$last/bin/python" ;;
  *"pip sync"*) touch "$UV_CALLS.sync"; sleep "${UV_TAKES:-0}"
    if [ -n "$UV_FAILS" ]; then echo "error: $UV_FAILS" >&2; exit 1; fi ;;
esac
"""
PYTHON310 = "#!/bin/sh\necho 3.10\necho /opt/python3.10/bin/python\n"
#: What pyenv leaves on the PATH for a version that is not chosen.
SHIM = "#!/bin/sh\necho 'pyenv: python3.10: command not found' >&2\nexit 127\n"


class Checkout:
    """A copy of what the bootstrap script needs, and a host with chosen programs."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "my shop"
        self.programs = folder / "programs"
        self.calls = folder / "calls"
        (self.root / "nlu").mkdir(parents=True)
        self.programs.mkdir()
        (self.root / "parley").write_bytes((ROOT / "parley").read_bytes())
        for lock in ("requirements.lock", "nlu/requirements.lock"):
            (self.root / lock).write_text(f"# {lock}\n")
        self.program("uv", UV)
        self.program("python3.10", PYTHON310)

    def program(self, name: str, script: str) -> Path:
        """Put a program on the PATH."""
        path = self.programs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
        return path

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Run ./parley from another folder."""
        return subprocess.Popen(
            [sys.executable, str(self.root / "parley"), *words],
            cwd=self.root.parent,
            env={
                "PATH": f"{self.programs}:/usr/bin:/bin",
                "HOME": str(self.root.parent),
                "UV_CALLS": str(self.calls),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **environment: str) -> tuple[int, str, str]:
        """Run ./parley to its end: exit code, standard output, standard error."""
        with self.start(*words, **environment) as process:
            output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def built(self) -> list[str]:
        """Which environments were filled, by their lock file, in any order."""
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        return sorted(Path(call).parent.name for call in calls if "pip sync" in call)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh one."""
    return Checkout(tmp_path)


@pytest.fixture(scope="module")
def bootstrap() -> ModuleType:
    """The script as a module."""
    loader = importlib.machinery.SourceFileLoader("parley_bootstrap", str(ROOT / "parley"))
    spec = importlib.util.spec_from_loader("parley_bootstrap", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_any_python_3_can_read_it() -> None:
    """No syntax newer than Python 3.5 and nothing but the standard library, so that it can say what is missing."""
    tree = ast.parse((ROOT / "parley").read_text())
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Match, ast.AsyncFunctionDef)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert [] == [node.lineno for node in ast.walk(tree) if isinstance(node, newer)]
    assert set() == imported - sys.stdlib_module_names


def test_a_first_run_builds_and_hands_over(checkout: Checkout) -> None:
    """The command reaches bot.cli with its words as they were, from the folder it was called in."""
    code, output, errors = checkout.run("say", "-hello you", "--from", "+12025550100")

    assert 0 == code, errors
    said = ["-P", "-m", "bot.cli", "say", "-hello you", "--from", "+12025550100"]
    assert [str(checkout.root), str(checkout.root.parent), *said] == output.splitlines()
    assert "✓ engine environment" in errors


@pytest.mark.parametrize(
    "words, environment, built",
    [
        (["say", "hi"], {}, ["my shop"]),
        (["doctor"], {}, ["my shop"]),
        (["up", "--help"], {}, ["my shop"]),
        (["up"], {}, ["my shop", "nlu"]),
        (["test"], {}, ["my shop", "nlu"]),
        (["train"], {}, ["my shop", "nlu"]),
        (["up"], {"PARLEY_RASA_URL": "http://rasa:5005"}, ["my shop"]),
    ],
)
def test_only_what_a_command_needs_is_built(
    checkout: Checkout, words: list[str], environment: dict[str, str], built: list[str]
) -> None:
    """Rasa's two gigabytes are fetched only where Rasa runs."""
    checkout.run(*words, **environment)

    assert built == checkout.built()


def test_a_second_run_builds_nothing(checkout: Checkout) -> None:
    """It does not even ask uv."""
    checkout.run("up")
    before = checkout.calls.read_text()
    code, _, errors = checkout.run("up")

    assert (0, "") == (code, errors)
    assert before == checkout.calls.read_text()


def test_a_changed_lock_rebuilds_that_environment_alone(checkout: Checkout) -> None:
    """Whoever pulls a new version gets its packages at the next command."""
    checkout.run("up")
    (checkout.root / "nlu" / "requirements.lock").write_text("# newer\n")
    checkout.run("up")

    assert ["my shop", "nlu", "nlu"] == checkout.built()


def test_an_environment_whose_python_is_gone_is_rebuilt(checkout: Checkout) -> None:
    """A Python that the host removed leaves a dangling link behind."""
    checkout.run("say")
    python = checkout.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(checkout.root / "gone")
    code, _, _ = checkout.run("say")

    assert 0 == code
    assert ["my shop", "my shop"] == checkout.built()


def test_a_killed_build_is_repaired(checkout: Checkout) -> None:
    """The next run waits for what is still writing, then builds anew."""
    with checkout.start("say", UV_TAKES="2") as process:
        wait_for(Path(f"{checkout.calls}.sync"))
        process.send_signal(signal.SIGKILL)
    code, _, errors = checkout.run("say")

    assert 0 == code, errors
    assert "another start is building" in errors
    assert ["my shop", "my shop"] == checkout.built()


def test_two_starts_build_once(checkout: Checkout) -> None:
    """The second waits for the first and finds everything there."""
    with checkout.start("say", UV_TAKES="1") as first:
        wait_for(Path(f"{checkout.calls}.sync"))
        code, _, _ = checkout.run("say")
        first.communicate()

    assert (0, 0) == (code, first.returncode)
    assert ["my shop"] == checkout.built()


def test_a_failed_build_says_why_and_is_not_taken_for_done(checkout: Checkout) -> None:
    """The installer's own words follow one sentence; the next run tries again."""
    code, output, errors = checkout.run("say", UV_FAILS="no wheel for teapot")
    again, _, _ = checkout.run("say")

    assert (1, "", 0) == (code, output, again)
    assert "parley: the engine environment could not be built:\nerror: no wheel for teapot" in errors
    assert "Traceback" not in errors


def test_a_python_that_only_pretends_is_passed_over(checkout: Checkout) -> None:
    """Pyenv's command on the PATH may fail; its newest version's folder is looked into then."""
    checkout.program("python3.10", SHIM)
    checkout.program("pyenv/versions/3.10.4/bin/python", "#!/bin/sh\necho 3.10\necho /pyenv/3.10.4\n")
    checkout.program("pyenv/versions/3.9.1/bin/python", "#!/bin/sh\necho 3.9\necho /pyenv/3.9.1\n")
    code, _, errors = checkout.run("up", PYENV_ROOT=str(checkout.programs / "pyenv"))

    assert 0 == code, errors
    assert "--python /pyenv/3.10.4" in checkout.calls.read_text()


def test_without_a_python_310_one_sentence_says_so(checkout: Checkout) -> None:
    """Neither on the host nor to be fetched: the sentence names what to install."""
    checkout.program("python3.10", SHIM)
    code, _, errors = checkout.run("up")

    assert 1 == code
    assert "parley: Python 3.10 is neither here nor to be fetched; install python3.10 and run this again" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "environment, index",
    [
        ({}, ""),
        ({"PIP_INDEX_URL": "https://pip.example/simple"}, "https://pip.example/simple"),
        (
            {"PIP_INDEX_URL": "https://pip.example/simple", "UV_DEFAULT_INDEX": "https://uv.example/simple"},
            "https://uv.example/simple",
        ),
    ],
)
def test_the_hosts_index_is_used(checkout: Checkout, environment: dict[str, str], index: str) -> None:
    """Pip's index where uv has none of its own; no index of ours."""
    checkout.run("say", PIP_CONFIG_FILE=os.devnull, **environment)
    (sync,) = [call for call in checkout.calls.read_text().splitlines() if "pip sync" in call]

    assert index == sync.partition("|")[0]


def test_pips_configuration_file_is_read(checkout: Checkout) -> None:
    """An index said in pip.conf alone reaches uv, whichever pip the host has."""
    checkout.program("pip3", "#!/bin/sh\nexit 1\n")
    checkout.program("pip", '#!/bin/sh\n[ "$*" = "config get global.index-url" ] && echo https://file.example/simple\n')
    checkout.run("say", PIP_CONFIG_FILE=os.devnull)

    assert "https://file.example/simple|" in checkout.calls.read_text()


@pytest.mark.parametrize("system, machine", [("Windows", "AMD64"), ("Linux", "aarch64"), ("Darwin", "x86_64")])
def test_other_platforms_get_one_sentence(bootstrap: ModuleType, system: str, machine: str) -> None:
    """What Parley runs on and what to do elsewhere."""
    with pytest.raises(bootstrap.Trouble) as caught:
        bootstrap.check_platform(system, machine)

    assert (
        f"Parley runs on Linux (x86-64) and macOS (Apple silicon), not on {system} ({machine}); "
        "use a container or a virtual machine there"
    ) == str(caught.value)


@pytest.mark.parametrize("system, machine", [("Linux", "x86_64"), ("Darwin", "arm64")])
def test_supported_platforms_pass(bootstrap: ModuleType, system: str, machine: str) -> None:
    """The two that packages are made for."""
    assert bootstrap.check_platform(system, machine) is None


def wait_for(path: Path, seconds: float = 20) -> None:
    """Return when a file is there."""
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not appear"
        time.sleep(0.02)
