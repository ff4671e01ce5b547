"""The load generator, a process of its own: so many texts over so many connections, each sent when the one before it
on its connection has been answered. It measures the same way whichever side answers.

`python -m bench.load` reads one Job as a line of JSON and writes lines of JSON: {"answered": n} as it goes, at the end
what Outcome says. With a `token` it is a carrier: it signs texts as Twilio does and takes the replies as Twilio's API
would, so an answer is a text handed to the carrier. Without one it speaks to Rasa's REST channel.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import resource
import secrets
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field

import aiohttp
from aiohttp import web

#: A text without an answer after this long counts as unanswered.
PATIENCE_SECONDS = 60.0
#: After the last answer, this long is listened for texts nobody waits for.
LISTEN_SECONDS = 1.0
#: Shorter than the servers keep idle connections, so that none is used that was just closed.
IDLE_SECONDS = 4.0
#: How often it says how far it is.
TELL_SECONDS = 0.5


@dataclass(frozen=True)
class Job:
    """What to ask of whom; text n is texted by person n % len(people), counted from `first`."""

    url: str
    people: list[str]
    texts: list[str]
    first: int
    connections: int
    token: str = ""
    account_sid: str = ""
    number: str = ""
    sink_port: int = 0


@dataclass
class Outcome:
    """What was measured: `texts` are carrier id, second of the clock it was sent, and second it was answered."""

    texts: list[tuple[str, float, float]] = field(default_factory=list)
    unanswered: int = 0
    silent: int = 0
    extra: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


class Sink:
    """Takes texts as Twilio's Messages API does and tells whoever waits for one."""

    def __init__(self) -> None:
        self._awaited: dict[str, asyncio.Future[float]] = {}
        self.extra = 0

    def expect(self, phone: str) -> asyncio.Future[float]:
        """When the next text to this phone has arrived, in seconds of the clock."""
        awaited: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._awaited[phone] = awaited
        return awaited

    @contextlib.asynccontextmanager
    async def open(self, port: int) -> AsyncIterator[None]:
        """Listen on this port of the loopback interface."""
        app = web.Application()
        app.router.add_post("/2010-04-01/Accounts/{account}/Messages.json", self._take)
        app.router.add_get("/2010-04-01/Accounts/{account}/Messages.json", self._list)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        moment = time.time()
        form = await request.post()
        awaited = self._awaited.pop(str(form["To"]), None)
        if awaited is None or awaited.done():
            self.extra += 1
        else:
            awaited.set_result(moment)
        return web.json_response({"sid": f"SM{secrets.token_hex(16)}", "status": "queued"}, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        """Nothing the engine has not been told of; every create call was answered."""
        return web.json_response({"messages": [], "next_page_uri": None})


class Generator:
    """Asks the texts of one job."""

    def __init__(self, job: Job, http: aiohttp.ClientSession, sink: Sink) -> None:
        self._job = job
        self._http = http
        self._sink = sink
        self._numbers = iter(range(job.first, job.first + len(job.texts)))
        self._busy = {person: asyncio.Lock() for person in job.people}
        self.outcome = Outcome()

    async def run(self) -> None:
        """Ask them all. Raises aiohttp.ClientError where the other side refuses or goes away."""
        used, began = _cpu(), time.perf_counter()
        telling = asyncio.create_task(self._tell())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._job.connections):
                    group.create_task(self._connection())
        finally:
            telling.cancel()
        self.outcome.wall_s, self.outcome.cpu_s = time.perf_counter() - began, _cpu() - used

    async def _connection(self) -> None:
        for number in self._numbers:
            person = self._job.people[number % len(self._job.people)]
            text = self._job.texts[number - self._job.first]
            # One text of a person at a time: a second one would wait for the first, or be read together with it.
            async with self._busy[person]:
                try:
                    self.outcome.texts.append(await self._ask(person, text, f"SM{number:032x}"))
                except TimeoutError:
                    self.outcome.unanswered += 1

    async def _ask(self, person: str, text: str, carrier_id: str) -> tuple[str, float, float]:
        job, moment = self._job, time.time()
        async with asyncio.timeout(PATIENCE_SECONDS):
            if not job.token:
                async with self._http.post(job.url, json={"sender": person, "message": text}) as answer:
                    replies = await answer.json()
                self.outcome.silent += not replies
                return carrier_id, moment, time.time()
            form = {"MessageSid": carrier_id, "AccountSid": job.account_sid, "From": person, "To": job.number}
            form |= {"Body": text, "NumMedia": "0", "NumSegments": "1"}
            arrived = self._sink.expect(person)
            headers = {"X-Twilio-Signature": _signature(job.token, job.url, form)}
            async with self._http.post(job.url, data=form, headers=headers) as answer:
                await answer.read()
            return carrier_id, moment, await arrived

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            _write({"answered": len(self.outcome.texts)})


def _signature(token: str, url: str, form: dict[str, str]) -> str:
    """As Twilio signs a form (twilio.com/docs/usage/security#validating-requests)."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def _cpu() -> float:
    """Seconds of processor time this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _write(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def main(job: Job) -> None:
    """Ask, listen a little longer, and write what came of it."""
    sink = Sink()
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS)
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, raise_for_status=True))
        if job.sink_port:
            await stack.enter_async_context(sink.open(job.sink_port))
        generator = Generator(job, http, sink)
        await generator.run()
        if job.sink_port:
            await asyncio.sleep(LISTEN_SECONDS)
    generator.outcome.extra = sink.extra
    _write(asdict(generator.outcome))


if __name__ == "__main__":
    asyncio.run(main(Job(**json.loads(sys.stdin.readline()))))
