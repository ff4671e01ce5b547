"""The commands of `./parley`: each reads its options, hands over to the module that does the work, shows the outcome.

It decides nothing about a text. An error is one sentence on standard error: exit 1, or 2 where the command was misused.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from bot import settings as configuration
from bot.errors import BotError, SettingsError
from bot.settings import ROOT, Settings

if TYPE_CHECKING:  # most commands need neither, and each takes a while to load
    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.client import Client
    from bot.insight.training import Workshop

T = TypeVar("T")

app = typer.Typer(
    help="Parley, a two-way SMS conversation engine that runs on your own machine.",
    context_settings={"help_option_names": ["--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
)
user = typer.Typer(help="Who may log in to the console.", invoke_without_command=True)
app.add_typer(user, name="user")
benchmarks = typer.Typer(help="Measure the whole on this machine.", invoke_without_command=True)
app.add_typer(benchmarks, name="bench")

out = Console(emoji=False)  # ":100:" is somebody's text, or a line number

Port = Annotated[int | None, typer.Option("--port", help="Port of pages and webhooks.", min=1, max=65535)]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The engine's data folder.")]
From = Annotated[str, typer.Option("--from", help="The phone that texts, E.164.")]
To = Annotated[str | None, typer.Option("--to", help="The sender number texted; by default the shop's own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Email = Annotated[str, typer.Argument(metavar="EMAIL")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]

#: As the inbox takes them: E.164, or a short code.
_PHONE = re.compile(r"\+[1-9]\d{6,14}|\d{3,8}")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


def main() -> None:
    """Run a command; whatever it raises on purpose is one sentence."""
    # Click's own handling would print usage around the sentence; unexpected errors keep their traceback.
    try:
        code = app(standalone_mode=False, prog_name="./parley")
    except typer.TyperException as exc:
        code = _complain(exc.format_message(), exc.exit_code)
    except BotError as exc:
        code = _complain(str(exc), 1)
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("stopped", 130)
    sys.exit(code or 0)


def _complain(sentence: str, code: int) -> int:
    print(f"parley: {sentence}", file=sys.stderr)
    return code


def _settings(port: int | None = None, data_dir: Path | None = None, **more: object) -> Settings:
    """The settings, with the options of the command line in front. Raises SettingsError."""
    given = {"port": port, "data_dir": data_dir, **more}
    try:
        return configuration.load(**{name: value for name, value in given.items() if value is not None})
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"parley.toml cannot be read: {exc}") from exc


@app.callback(invoke_without_command=True)
def _without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        context.get_help()


@benchmarks.callback()
def _bench_without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        context.get_help()


@user.callback()
def _user_without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        context.get_help()


# -- starting ------------------------------------------------------------------------------------------------------


@app.command(epilog="Example: ./parley up --port 8090 --data-dir /srv/parley")
def up(
    port: Port = None,
    data_dir: DataDir = None,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Leave an empty database empty.")] = False,
    workers: Annotated[int | None, typer.Option(help="Worker processes.", min=1, max=32)] = None,
    rasa: Annotated[int | None, typer.Option(help="Rasa processes.", min=1, max=16)] = None,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    from bot import supervisor

    settings = _settings(port, data_dir, demo=False if no_demo else None, workers=workers, rasa=rasa)
    asyncio.run(supervisor.up(settings, out))


@app.command(hidden=True, epilog="Example: ./parley run worker")
def run(name: Annotated[str, typer.Argument(metavar="web|worker|sender|trainer")], port: Port = None) -> None:
    """Run one process of the engine, on this machine or another; `up` starts them by itself."""
    settings = _settings(port)
    if name == "web":
        from bot.app import serve

        serve(settings)
    elif name in ("worker", "sender"):
        from bot import worker

        asyncio.run(worker.run(settings) if name == "worker" else worker.run_sender(settings))
    elif name == "trainer":
        from bot import logs
        from bot.insight import trainer, training
        from bot.supervisor import NLU_PYTHON

        logs.start(settings.log_level, "trainer")
        asyncio.run(trainer.run(settings.database_url, training.Workshop.of(settings), NLU_PYTHON))
    else:
        raise typer.BadParameter("a process is web, worker, sender or trainer")


@app.command(epilog="Example: ./parley train --evaluate")
def train(
    again: Annotated[bool, typer.Option("--again", help="Train even where a model fits the data.")] = False,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Then judge the model; exit 1 where it is worse than the one before.")
    ] = False,
) -> None:
    """Train the language model on data/, domain.yml and config.yml.

    --evaluate reads the held-out texts of nlu/tests/heldout.yml and plays the golden conversations, compares with the
    model accepted last, and keeps a report that /console/models shows.
    """
    from bot.insight import training
    from bot.supervisor import NLU_PYTHON

    shop = training.Workshop.of(_settings())
    model = training.newest_model(shop)
    if model is not None and not again:
        out.print(f"The model fits the data already: {_short(model)}.", highlight=False, soft_wrap=True)
    else:
        if not NLU_PYTHON.exists():
            raise BotError("Rasa's environment nlu/.venv is missing; ./parley train builds it")
        began = time.perf_counter()
        with _progress("training") as on_line:
            model = training.train(shop, NLU_PYTHON, on_line)
        _line("✓", f"trained {_short(model)}", time.perf_counter() - began)
    if evaluate:
        _evaluate(shop, model, NLU_PYTHON)


def _short(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _evaluate(shop: "Workshop", model: Path, python: Path) -> None:
    """Judge a trained model and keep the report. Exits 1 where it is refused."""
    from bot.insight import evaluation

    accepted = evaluation.last_accepted(shop.models, but=model)
    before = shop.model(accepted.model) if accepted is not None else None
    began = time.perf_counter()
    with _progress("evaluating") as on_line:
        report = evaluation.evaluate(shop, python, model, before, on_line, on_line)
    played = "" if report.conversations == "not run" else ", played the golden conversations"
    _line("✓", f"read {len(report.readings)} held-out texts{played}", time.perf_counter() - began)
    old = evaluation.report_of(before) if before is not None else None
    out.print(evaluation.verdict(report, old), highlight=False, soft_wrap=True)
    figures = {"macro-F1": report.macro_f1, "asked back": report.asked_back, "acted on wrongly": report.acted_wrongly}
    out.print("  ".join(f"{name} {value:.1%}" for name, value in figures.items()), highlight=False)
    for meant, read, count in report.confusions[:5]:
        out.print(f"[dim]  {count} of {meant} read as {read}[/]", highlight=False)
    for reason in report.reasons:
        out.print(f"[red]  {escape(reason)}[/]", highlight=False, soft_wrap=True)
    if not report.accepted:
        raise typer.Exit(1)
    out.print("Publish it on the console's Models page, or start ./parley up again.", highlight=False, soft_wrap=True)


@app.command(epilog="Example: ./parley models")
def models(port: Port = None, data_dir: DataDir = None) -> None:
    """List every model that was judged and is still there, the latest first.

    Texts read right, macro-F1, texts asked back and texts acted on wrongly are those of the held-out texts. "live" is
    what the running engine reads with, "fits" what was trained on the data as it is now.
    """
    from bot import client
    from bot.insight import evaluation, training
    from bot.rasa_client import model_names

    settings = _settings(port, data_dir)
    shop = training.Workshop.of(settings)
    live = asyncio.run(model_names(settings.rasa_url or client.rasa_urls(settings)))
    fitting = training.newest_model(shop)
    table = Table(box=None, pad_edge=False)
    for name in ("model", "judged", "verdict"):
        table.add_column(name, no_wrap=True)
    for name in ("right", "macro-F1", "asked", "wrong"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    found = evaluation.reports(shop.models)
    for path, report in found:
        marks = [word for word, so in (("live", path.name in live), ("fits", path == fitting)) if so]
        judged = datetime.fromtimestamp(evaluation.report_path(path).stat().st_mtime, UTC)
        figures = (report.accuracy, report.macro_f1, report.asked_back, report.acted_wrongly)
        verdict = "accepted" if report.accepted else "[red]refused[/]"
        told = [f"{figure:.1%}" for figure in figures]
        table.add_row(report.model, f"{judged:%b} {judged.day}", verdict, *told, ", ".join(marks))
    if found:
        out.print(table)
    else:
        out.print("No model was judged yet; ./parley train --evaluate does it, and so does the console's Models page.")
    unjudged = sorted(live - {path.name for path, _ in found})
    for name in unjudged:
        out.print(f"Live and not judged: {name.removesuffix('.tar.gz')}.", highlight=False)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Callable[[str], None]]:
    """Show what a long piece of work says, with its seconds; one line after the other where nobody watches."""
    began, last = time.perf_counter(), name
    turning = out.status(name) if out.is_terminal else contextlib.nullcontext()
    ended = threading.Event()

    def note(line: str) -> None:
        nonlocal last
        words = _COLOUR.sub("", line).rpartition("  - ")[2].strip()
        if not words or "it/s" in words:  # a progress bar, a line for every step
            return
        last = words
        if not out.is_terminal:
            print(words, flush=True)

    def tick() -> None:
        while isinstance(turning, Status) and not ended.wait(0.2):
            turning.update(f"{time.perf_counter() - began:4.0f} s  {escape(last[: max(out.width - 14, 20)])}")

    with turning:
        ticking = threading.Thread(target=tick, daemon=True)
        ticking.start()
        try:
            yield note
        finally:
            ended.set()
            ticking.join()


def _line(mark: str, name: str, seconds: float, note: str = "") -> None:
    colour = "green" if mark == "✓" else "red"
    out.print(
        f"[{colour}]{mark}[/] {escape(name):<22}{seconds:>7.1f} s  {escape(note)}", highlight=False, soft_wrap=True
    )


# -- texting -------------------------------------------------------------------------------------------------------


@app.command(
    # A text may begin with a dash.
    context_settings={"ignore_unknown_options": True},
    epilog='Example: ./parley say "can you move my appointment to thursday at 2?" --from +12025550100',
)
def say(
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    sender: From,
    recipient: To = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the replies at most.", min=0, max=300)] = 15.0,
    as_json: AsJson = False,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Text the running engine as a phone would, and show what came of it."""
    phone = _phone(sender, "--from")
    engine = _engine(port, data_dir)
    carrier_id = engine.text(_readable(text), phone, _phone(recipient, "--to") if recipient else engine.sender_number)
    turn = engine.turn(carrier_id, wait)
    if as_json:
        print(json.dumps(turn))
    else:
        _show(turn, wait)
    if turn["decision"] is None:
        raise typer.Exit(1)


def _show(turn: dict[str, Any], wait: float) -> None:
    """A turn, for people."""
    for reply in turn["replies"]:
        out.print(f"[bold]{escape(reply)}[/]", highlight=False, soft_wrap=True)
    if turn["decision"] is None:
        out.print(f"[yellow]Not settled after {wait:g} s.[/] It goes on; ./parley doctor may say why.", soft_wrap=True)
        return
    if not turn["replies"]:
        out.print("[dim]No reply.[/]")
    said = [f"decision {turn['decision']}", f"consent {turn['consent']}", f"{turn['ms']:.0f} ms"]
    if turn["intent"] is not None:
        sure = f" {turn['confidence']:.2f}" if turn["confidence"] is not None else ""
        said.insert(1, f"read as {turn['intent']}{sure}")
    if turn["ticket"] is not None:
        said.append(f"ticket {turn['ticket']}")
    out.print(f"[dim]{escape(' · '.join(said))}[/]", highlight=False, soft_wrap=True)
    for item in turn["entities"]:
        out.print(f"[dim]  {item['entity']} = {escape(str(item['value']))}[/]", highlight=False, soft_wrap=True)
    for effect in turn["effects"]:
        out.print(f"[green]  {effect['kind']} {escape(effect['ref'])}[/]", highlight=False, soft_wrap=True)


def _phone(number: str, option: str) -> str:
    """A phone number without the blanks and brackets people write. Raises BadParameter."""
    plain = re.sub(r"[\s().-]", "", number)
    if not _PHONE.fullmatch(plain):
        raise typer.BadParameter(f"{option} is a phone number with its country, such as +12025550100, not {number!r}")
    return plain


def _readable(text: str) -> str:
    """What was typed, where the terminal sent bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _engine(port: int | None, data_dir: Path | None) -> "Client":
    """The running engine of a data folder. Raises BotError where there is none."""
    from bot import client

    settings = _settings(port, data_dir)
    return client.connect(settings, settings.port if "port" in settings.model_fields_set else None)


@app.command(epilog="Example: ./parley chat")
def chat(
    sender: Annotated[str | None, typer.Option("--from", help="The phone that texts; by default a new one.")] = None,
    recipient: To = None,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Talk to the running engine from a terminal; Ctrl-D ends it."""
    if sender is None and _settings(port, data_dir).carrier != "simulator":
        raise typer.BadParameter("replies leave through the carrier: name the phone that gets them with --from")
    engine = _engine(port, data_dir)
    engine.missing()  # nobody types a text before hearing that nobody listens
    phone = _phone(sender, "--from") if sender is not None else _fresh_phone(engine)
    _Chat(engine, phone, _phone(recipient, "--to") if recipient else engine.sender_number).run()


def _fresh_phone(engine: "Client") -> str:
    """A number nobody has texted from: 555-0100 to 555-0199 of an area is given to nobody."""
    for _ in range(50):
        phone = f"+1{random.choice((212, 305, 415, 503, 617, 713))}55501{random.randrange(100):02}"  # noqa: S311  # no secret
        if not engine.messages(phone, 0):
            return phone
    raise BotError("every number set aside for chats has been used; name one with --from")


class _Chat:
    """A conversation on the terminal: lines typed are texted, and whatever is answered appears as it comes."""

    PROMPT = "you › "

    def __init__(self, engine: "Client", phone: str, number: str) -> None:
        self._engine, self._phone, self._number = engine, phone, number
        self._seen = 0
        self._typing = False
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def run(self) -> None:
        """Until the end of the input."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  # loading it is what gives input() its editing keys
        out.print(f"[dim]{self._phone} texts {self._number}. Ctrl-D ends.[/]", highlight=False)
        while rows := self._engine.messages(self._phone, self._seen):  # an old conversation is not read out again
            self._seen = int(rows[-1]["seq"])
        listening = threading.Thread(target=self._listen, daemon=True)
        listening.start()
        try:
            while (text := self._ask()) is not None:
                if text.strip():
                    self._text(_readable(text))
        finally:
            self._ended.set()
            listening.join(5)

    def _ask(self) -> str | None:
        self._typing = True
        try:
            return input(self.PROMPT if sys.stdin.isatty() else "")
        except EOFError:
            if sys.stdin.isatty():
                print()
            return None
        finally:
            self._typing = False

    def _text(self, text: str) -> None:
        carrier_id = self._engine.text(text, self._phone, self._number)
        turn = self._engine.turn(carrier_id, 15.0)
        self._print_new()
        if turn["decision"] is None:
            out.print("[yellow]No answer yet; it appears when it comes.[/]")
        elif not turn["replies"]:
            out.print("[dim]No reply: a person has this conversation.[/]" if turn["ticket"] else "[dim]No reply.[/]")

    def _listen(self) -> None:
        while not self._ended.wait(0.5):
            try:
                self._print_new()
            except BotError as exc:
                self._print(f"[yellow]{escape(str(exc))}[/]")
                return

    def _print_new(self) -> None:
        with self._lock:
            for row in self._engine.messages(self._phone, self._seen):
                self._seen = int(row["seq"])
                if row["author"] != "contact":
                    colour = {"agent": "magenta", "shop": "blue"}.get(row["author"], "cyan")
                    self._print(f"[{colour}]{row['author']:>5} ›[/] {escape(row['body'])}")

    def _print(self, line: str) -> None:
        """A line above the prompt, which keeps what is being typed."""
        interrupts = self._typing and sys.stdin.isatty()
        if interrupts:
            sys.stdout.write("\r\x1b[K")
        out.print(line, highlight=False, soft_wrap=True)
        if interrupts:
            readline = sys.modules.get("readline")
            sys.stdout.write(self.PROMPT + (readline.get_line_buffer() if readline is not None else ""))
            sys.stdout.flush()


# -- who may log in, and the demo ----------------------------------------------------------------------------------


@user.command("add", epilog='Example: ./parley user add max@shop.example --name "Max Lee" --role agent')
def user_add(
    email: Email,
    name: Annotated[str, typer.Option(help="How colleagues know them.")],
    role: Annotated[str, typer.Option(help="agent, designer, marketer or admin.")] = "agent",
    password_stdin: PasswordStdin = False,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Add somebody; without a password typed or piped, one is made and shown once."""
    from bot import accounts

    password, made = _new_password(password_stdin)

    async def add(session: "AsyncSession") -> str:
        return (await accounts.create(session, email, name, role, password)).email

    address = _in_database(_settings(port, data_dir), add)
    out.print(f"{escape(address)} may log in as {role}.", highlight=False, soft_wrap=True)
    _show_password(password, made)


@user.command("passwd", epilog="Example: ./parley user passwd max@shop.example")
def user_passwd(
    email: Email, password_stdin: PasswordStdin = False, port: Port = None, data_dir: DataDir = None
) -> None:
    """Give somebody a new password and end their sessions."""
    from bot import accounts

    password, made = _new_password(password_stdin)

    async def change(session: "AsyncSession") -> None:
        await accounts.set_password(session, email, password)

    _in_database(_settings(port, data_dir), change)
    out.print(f"{escape(email)} has a new password and is logged out everywhere.", highlight=False, soft_wrap=True)
    _show_password(password, made)


@user.command("list", epilog="Example: ./parley user list")
def user_list(as_json: AsJson = False, port: Port = None, data_dir: DataDir = None) -> None:
    """Show who may log in."""
    from sqlalchemy import select

    from bot.tables import User

    async def read(session: "AsyncSession") -> list[dict[str, str]]:
        users = await session.scalars(select(User).order_by(User.email))
        return [{"email": each.email, "name": each.name, "role": each.role} for each in users]

    found = _in_database(_settings(port, data_dir), read)
    if as_json:
        print(json.dumps({"users": found}))
        return
    table = Table("Email", "Name", "Role", box=None, pad_edge=False)
    for each in found:
        table.add_row(*(escape(value) for value in each.values()))
    out.print(table)


def _new_password(from_stdin: bool) -> tuple[str, bool]:
    """A password, and whether it was made here."""
    typed = ""
    if from_stdin:
        typed = sys.stdin.readline().rstrip("\r\n")
        if not typed:
            raise BotError("standard input holds no password")
    elif sys.stdin.isatty():
        typed = typer.prompt("Password (empty makes one)", default="", hide_input=True, show_default=False)
    return (typed, False) if typed else (secrets.token_urlsafe(12), True)


def _show_password(password: str, made: bool) -> None:
    if made:
        out.print(f"Password, shown this once: {escape(password)}", highlight=False, soft_wrap=True)


@app.command(epilog="Example: ./parley demo --remove")
def demo(
    remove: Annotated[bool, typer.Option("--remove", help="Take the demo's people and theirs away.")] = False,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Fill a database nobody has texted yet with the demo shop, or take the demo away."""
    from sqlalchemy import select

    from bot import demo as shop
    from bot.tables import Contact

    settings = _settings(port, data_dir)

    async def fill(session: "AsyncSession") -> None:
        if await session.scalar(select(Contact.id).limit(1)):
            raise BotError("there are contacts already, so the demo shop was not added")
        await shop.fill(session, configuration.load_secrets(settings).consent_key)

    if remove:
        out.print(f"{_in_database(settings, shop.remove)} demo contacts and what was theirs are gone.")
    else:
        _in_database(settings, fill)
        out.print("The demo shop is in.")


def _in_database(settings: Settings, work: "Callable[[AsyncSession], Coroutine[Any, Any, T]]") -> T:
    """Do something in one transaction of the running engine's database. Raises BotError where it cannot be reached."""
    from sqlalchemy.exc import OperationalError, ProgrammingError

    from bot import client, services
    from bot.db import Database

    if not settings.database_url and not client.was_running(settings):
        raise BotError(f"no engine runs on {settings.data_dir}, nor does its database; start it with ./parley up")

    async def transaction() -> T:
        db = Database(settings.database_url or services.app_url(settings.data_dir), "parley-cli", pool_size=1)
        try:
            async with db.begin() as session:
                return await work(session)
        finally:
            await db.close()

    try:
        return asyncio.run(transaction())
    except OperationalError as exc:
        raise BotError("the database cannot be reached; ./parley doctor says more") from exc
    except ProgrammingError as exc:
        raise BotError("the database is not of this version; ./parley up brings it there") from exc


# -- checking ------------------------------------------------------------------------------------------------------


@app.command(epilog="Example: ./parley doctor --json")
def doctor(as_json: AsJson = False, port: Port = None, data_dir: DataDir = None) -> None:
    """Check settings, database, Redis, Rasa, carrier, webhook, numbers and keywords, and say what to do."""
    from bot import doctor as surgery

    findings = surgery.examine(_settings(port, data_dir))
    failed = any(finding.level == "failure" for finding in findings)
    if as_json:
        print(json.dumps({"ok": not failed, "checks": [finding.as_dict() for finding in findings]}))
    else:
        marks = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failure": "[red]✗[/]"}
        for finding in findings:
            name, says = escape(finding.name), escape(finding.says)
            out.print(f"{marks[finding.level]} {name:<16}{says}", highlight=False, soft_wrap=True)
            if finding.mend:
                out.print(f"  {'':<16}[dim]{escape(finding.mend)}[/]", highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


# -- designing -----------------------------------------------------------------------------------------------------


@app.command(epilog="Example: ./parley lint --json")
def lint(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False) -> None:
    """Check data/, domain.yml, config.yml and shop.yml before a training: names, examples, conflicts, copy.

    Errors make it exit 1; warnings are worth a look and make it exit 0.
    """
    import actions
    from bot.insight import lint as checks

    found = checks.lint(ROOT, [action.called for action in actions.ACTIONS])
    errors = sum(each.level == "error" for each in found)
    if as_json:
        print(json.dumps([vars(each) for each in found]))
    else:
        for each in found:
            style = "red" if each.level == "error" else "yellow"
            place = f"{each.file}:{each.line}: "
            out.print(f"{place}[{style}]{each.level}[/]: {escape(each.says)}", highlight=False, soft_wrap=True)
        out.print(f"[dim]{errors} errors, {len(found) - errors} warnings[/]", highlight=False)
    if errors:
        raise typer.Exit(1)


# -- times ---------------------------------------------------------------------------------------------------------


@app.command(
    context_settings={"ignore_unknown_options": True},
    epilog='Example: ./parley when "next tues after 3" --now 2026-11-24T09:00 --zone America/New_York --hours shop.yml',
)
def when(
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    now: Annotated[str, typer.Option(metavar="ISO", help="The moment of the text; without an offset, in the zone.")],
    zone: Annotated[str, typer.Option(metavar="NAME", help="The shop's time zone, such as America/New_York.")],
    hours: Annotated[
        Path | None,
        typer.Option(metavar="F", help="Opening hours: shop.yml (its first location), or its hours table alone."),
    ] = None,
    booking: Annotated[
        str | None, typer.Option(metavar="ISO", help="When the booking the text is about begins; as --now.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, best reading first.")] = False,
) -> None:
    """Show which times a text asks for; needs no running engine.

    Without --hours and --booking it knows neither and reads as Duckling does, texting slang included. With them opening
    hours decide am or pm, and "an hour later" counts from the booking. Where two readings of the same words stand, the
    likelier comes first.
    """
    from bot.shop import when as times
    from bot.shop.shopfile import read_hours

    place = _zone(zone)
    known = read_hours(hours, place) if hours is not None else None
    booked = _moment(booking, "--booking", place) if booking is not None else None
    readings = times.read(_readable(text), _moment(now, "--now", place), place, known, booked)
    if as_json:
        print(json.dumps([reading.as_entity() for reading in readings]))
        return
    for reading in readings:
        out.print(("or " if reading.doubt else "") + _span_words(reading.as_entity()), highlight=False)
    if not readings:
        out.print("[dim]No time is named.[/]")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones is no zone
        raise typer.BadParameter(f"--zone is a time zone such as America/New_York, not {name!r}") from None


def _moment(iso: str, option: str, zone: ZoneInfo) -> datetime:
    """An aware instant. Raises BadParameter."""
    try:
        moment = datetime.fromisoformat(iso)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
        moment.astimezone(UTC)  # the first and last days of the calendar have no instant everywhere
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{option} is a moment such as 2026-11-24T09:00, not {iso!r}") from None
    return moment


def _span_words(reading: dict[str, str | None]) -> str:
    """A reading, for people."""
    bounds = [f"{name} {reading[name]}" for name in ("from", "to") if reading[name] is not None]
    return f"{' '.join(bounds)} [dim]({reading['grain']})[/]"


# -- measuring -----------------------------------------------------------------------------------------------------


@benchmarks.command("turns", epilog="Example: ./parley bench turns --texts 500 --connections 8")
def bench_turns(
    as_json: AsJson = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the tables as docs/benchmarks.md has.")
    ] = False,
    texts: Annotated[int, typer.Option(help="Texts for each side at each number of connections.", min=1)] = 1000,
    connections: Annotated[
        int | None, typer.Option(help="Texts on their way at once; by default 1, 4, 8 and 16.", min=1, max=48)
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="engine|stock_rasa", help="Measure one side alone.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make and train stock Rasa's bot anew.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Compare texts answered a second with stock Rasa's, on an engine of its own; lasts minutes."""
    from bench import turns

    sides = [side for side in turns.SIDES if only in (None, side)]
    if not sides:
        raise typer.BadParameter("--only is engine or stock_rasa")
    levels = turns.LEVELS if connections is None else (connections,)
    kept = _settings(None, data_dir).data_dir.resolve() / "bench"
    found = turns.run(texts, levels, sides, kept, Console(stderr=True), fresh=fresh)
    if as_markdown:
        print(turns.markdown(found))
    elif not as_json:
        for table in turns.rich_tables(found):
            out.print(table, "", highlight=False)
    if as_json:
        print(json.dumps(found))
    if wrong := turns.complaints(found):
        raise BotError(" ".join(wrong))


@benchmarks.command("nlu", epilog="Example: ./parley bench nlu --train train.csv --test test.csv --json")
def bench_nlu(
    train: Annotated[
        Path | None, typer.Option(metavar="F", help="CSV with the columns text and intent, to train on.")
    ] = None,
    test: Annotated[Path | None, typer.Option(metavar="F", help="The same of other texts, to score on.")] = None,
    oos: Annotated[
        Path | None, typer.Option(metavar="F", help="CSV with the column text: texts that belong to no intent.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="parley|sparse|stock_rasa", help="Without files: one side alone.")
    ] = None,
    full: Annotated[bool, typer.Option(help="Without files: learn from all texts too, not from ten alone.")] = True,
    as_json: AsJson = False,
) -> None:
    """Train the pipeline of config.yml on texts and score it on others; needs no running engine.

    Without files it compares itself on CLINC150 with its own sparse half and with stock Rasa, which lasts an hour.
    """
    from bench import reading

    if (train is None) != (test is None) or (oos is not None and train is None):
        raise typer.BadParameter("--train and --test go together, --oos with them")
    with Console(stderr=True).status("training") as status:
        if train is not None and test is not None:
            figures = reading.measure(reading.job(train, test, oos), configuration.ROOT / "config.yml", status.update)
            found: dict[str, Any] = {name: figures[name] for name in reading.FIGURES}
            rows = [("this pipeline", figures)]
        else:
            sides = [side for side in reading.SIDES if only in (None, side)]
            if not sides:
                raise typer.BadParameter(f"--only is one of {', '.join(reading.SIDES)}")
            found = reading.clinc(sides, status.update, full=full)
            rows = [(f"{side}, {much}", figures) for side, part in found.items() for much, figures in part.items()]
    if as_json:
        print(json.dumps(found))
        return
    names = (*reading.FIGURES, "rss_mb")
    table = Table("", *names)
    for name, row in rows:
        table.add_row(name, *("-" if row[figure] is None else f"{row[figure]:.4g}" for figure in names))
    out.print(table)


@app.command(epilog="Example: ./parley test -- tests/test_consent.py -k stop")
def test(arguments: Annotated[list[str] | None, typer.Argument(metavar="[-- PYTEST ARGUMENTS]")] = None) -> None:  # noqa: PT028  # a command, not a test
    """Run every check and test; what is missing for them is installed first."""
    began = time.perf_counter()
    _install_chromium()
    python = [sys.executable, "-P", "-m"]
    checks = {
        "ruff": [*python, "ruff", "check", ".", "parley"],
        "ruff format": [*python, "ruff", "format", "--check", ".", "parley"],
        "mypy": [*python, "mypy"],
    }
    # Rasa's side has an environment and options of its own.
    nlu = [str(ROOT / "nlu" / ".venv" / "bin" / "python"), "-m", "pytest", "-q", "-c", "nlu/pytest.ini", "nlu/tests"]
    # One core each: the model and its tests, and what reads the source. Then pytest has all to itself.
    with ThreadPoolExecutor(2) as pool:
        source = pool.submit(lambda: [_step(name, command) for name, command in checks.items()])
        trained = _step("language model", [*python, "bot.cli", "train"])
        passed = [trained and _step("nlu tests", nlu, PYTHONPATH=str(ROOT / "nlu")), *source.result()]
    if trained:
        cores = min(max(os.cpu_count() or 2, 2), 4)  # more would only wait for the one engine they share
        command = [*python, "pytest", "-n", str(cores), "--dist", "loadgroup", *(arguments or [])]
        with _child(command) as pytest:
            passed.append(pytest.wait() == 0)
    _line("✓" if all(passed) else "✗", "all together", time.perf_counter() - began)
    if not all(passed):
        raise typer.Exit(1)


def _step(name: str, command: list[str], **environment: str) -> bool:
    """Run a command out of sight; whether it went well. What it wrote is shown where it did not."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+", errors="replace") as written:
        with _child(command, written, **environment) as child:
            passed = child.wait() == 0
        written.seek(0)
        lines = written.read().splitlines()
    note = lines[-1] if lines and " passed" in lines[-1] else ""
    _line("✓" if passed else "✗", name, time.perf_counter() - began, note.strip(" ="))
    if not passed:
        print("\n".join(lines), flush=True)
    return passed


@contextlib.contextmanager
def _child(command: list[str], output: Any = None, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the checkout that knows nothing of this shell's settings, and is ended when we are stopped."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
    child = subprocess.Popen(
        command, cwd=ROOT, env={**kept, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(20)
            child.kill()
            child.wait()


def _install_chromium() -> None:
    """The pages are tested in a real browser. Raises BotError where there is none and none can be installed."""
    if shutil.which("chromium"):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BotError("the tests of the pages need Chromium; install the package chromium and run this again")
    began = time.perf_counter()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        command = ["apt-get", "--quiet", *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode != 0 or not shutil.which("chromium"):
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise BotError(f"the tests of the pages need Chromium, and apt-get could not install it: {reason[0]}")
    _line("✓", "Chromium, by apt-get", time.perf_counter() - began)


if __name__ == "__main__":
    main()
