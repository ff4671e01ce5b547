"""Who may log in: users, their passwords, and the browsers that are logged in; it knows no page and no cookie.

Passwords are hashed with Argon2id at OWASP's parameters (Password Storage Cheat Sheet: 19 MiB, two passes, one lane).
Times here are the database's own clock, never the business clock, which demonstrations move.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.db import Database
from bot.errors import BotError
from bot.tables import LoginAttempt, LoginSession, User

ROLES = ("agent", "designer", "marketer", "admin")
#: A login lasts this long, then the password is asked again.
SESSION_DAYS = 7
#: So many failures of one email from one address within the window; then the next try has to wait.
FAILURES = 5
WINDOW_MINUTES = 15
SHORTEST_PASSWORD = 10
#: Longer ones are refused before they are hashed, which costs memory and time.
LONGEST_PASSWORD = 200

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+|[^@\s]+@localhost")
#: Verified against where nobody has the email, so that the answer takes as long; made with the parameters above.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$O3qMRjjMUHfclRz+bc0rKw$FPavLLdwCMhpuYDwsb69twOLqW5tWGBVKdFTBH4Cy5w"


class LoginRefused(BotError):
    """The login failed; the message is for the person at the keyboard and never says which half was wrong."""

    def __init__(self, reason: str, *, waits: bool = False) -> None:
        super().__init__(reason)
        self.waits = waits


@dataclass(frozen=True)
class Visitor:
    """Somebody logged in, as pages need them: `csrf` is the form token of this browser's session."""

    user_id: UUID
    name: str
    email: str
    role: str
    csrf: str

    @property
    def initials(self) -> str:
        """At most two letters that stand for the name in a bubble."""
        return initials(self.name)

    @property
    def answers(self) -> bool:
        """Whether this role answers tickets."""
        return self.role in ("agent", "admin")

    @property
    def designs(self) -> bool:
        """Whether this role decides what the bot learns."""
        return self.role in ("designer", "admin")


def initials(name: str) -> str:
    """The first letters of the first and the last word of a name, upper case."""
    words = name.split()
    return "".join(word[0] for word in ([words[0], words[-1]] if len(words) > 1 else words[:1])).upper()


# -- users ---------------------------------------------------------------------------------------------------------


async def create(session: AsyncSession, email: str, name: str, role: str, password: str) -> User:
    """Add somebody who may log in. Raises BotError, in words for people, where that cannot be."""
    address = normal_email(email)
    if not _EMAIL.fullmatch(address):
        raise BotError(f"{email} is no email address.")
    if role not in ROLES:
        raise BotError(f"There is no role {role}; choose one of {', '.join(ROLES)}.")
    if not name.strip():
        raise BotError("A user needs a name; contacts and colleagues see its initials.")
    user = User(
        email=address,
        name=name.strip(),
        role=role,
        password_hash=await _hashed(password),
        created_at=await session.scalar(text("SELECT now()")),
    )
    try:
        async with session.begin_nested():
            session.add(user)
    except IntegrityError as exc:
        raise BotError(f"{address} has a login already.") from exc
    return user


async def set_password(session: AsyncSession, email: str, password: str) -> None:
    """Give a user another password and end every session of theirs. Raises BotError, in words for people."""
    hashed = await _hashed(password)
    user = await session.scalar(select(User).where(User.email == normal_email(email)))
    if user is None:
        raise BotError(f"Nobody logs in as {email}; ./parley user list shows who does.")
    user.password_hash = hashed
    await session.execute(delete(LoginSession).where(LoginSession.user_id == user.id))


async def _hashed(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise BotError(f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    return await asyncio.to_thread(_hasher.hash, password)


async def check(session: AsyncSession, email: str, password: str) -> User | None:
    """The user with this email and password, None where there is none; it takes as long either way."""
    user = await session.scalar(select(User).where(User.email == normal_email(email)))
    right = await asyncio.to_thread(_verify, user.password_hash if user is not None else _NOBODY, password)
    return user if right else None


def normal_email(email: str) -> str:
    """An email as it is stored and looked up."""
    return email.strip().casefold()


def _verify(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


# -- logging in and out --------------------------------------------------------------------------------------------


async def log_in(db: Database, email: str, password: str, address: str, key: str, old_token: str | None) -> str:
    """Check email and password and open a session; its token, to be kept by the browser alone.

    `address` is where the request came from, `key` hides it and the email in the table of attempts. The browser's old
    session, if any, ends: a token known from before the login is worth nothing after it. Raises LoginRefused; `waits`
    is true where FAILURES were counted within WINDOW_MINUTES, and then the password was not even looked at.
    """
    subject = _subject(email, address, key)
    async with db.begin() as session:
        await _count_try(session, subject)
    async with db.begin() as session:
        user = await check(session, email, password) if len(password) <= LONGEST_PASSWORD else None
        if user is None:
            raise LoginRefused("That email and password do not belong together. Check both and try again.")
        await session.execute(delete(LoginAttempt).where(LoginAttempt.subject == subject))
        if old_token:
            await log_out(session, old_token)
        return await open_session(session, user.id)


async def _count_try(session: AsyncSession, subject: str) -> None:
    """Count a try before it is made, one at a time, so that tries made at once are not let through together."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:subject, 0))"), {"subject": subject})
    await session.execute(
        text("DELETE FROM login_attempts WHERE tried_at < now() - make_interval(mins => :minutes)"),
        {"minutes": WINDOW_MINUTES},
    )
    tries = (await session.scalars(select(LoginAttempt.id).where(LoginAttempt.subject == subject))).all()
    if len(tries) >= FAILURES:
        raise LoginRefused(
            f"Too many failed logins. Wait {WINDOW_MINUTES} minutes and try again, or ask an admin for a new password.",
            waits=True,
        )
    session.add(LoginAttempt(subject=subject))


async def open_session(session: AsyncSession, user_id: UUID) -> str:
    """A new session of this user; its token. Sessions that ran out are taken away."""
    await session.execute(text("DELETE FROM login_sessions WHERE expires_at < now()"))
    token = secrets.token_urlsafe(32)
    await session.execute(
        text(
            "INSERT INTO login_sessions (token_hash, user_id, csrf, expires_at)"
            " VALUES (:hash, :user_id, :csrf, now() + make_interval(days => :days))"
        ),
        {"hash": _hash(token), "user_id": user_id, "csrf": secrets.token_urlsafe(24), "days": SESSION_DAYS},
    )
    return token


async def visitor(session: AsyncSession, token: str | None) -> Visitor | None:
    """Who is logged in with this token, None where nobody is."""
    if not token:
        return None
    row = (
        await session.execute(
            select(User, LoginSession.csrf)
            .join(LoginSession, LoginSession.user_id == User.id)
            .where(LoginSession.token_hash == _hash(token), LoginSession.expires_at > text("now()"))
        )
    ).first()
    if row is None:
        return None
    user, csrf = row
    return Visitor(user.id, user.name, user.email, user.role, csrf)


async def log_out(session: AsyncSession, token: str) -> None:
    """End the session of this token; nothing happens where there is none."""
    await session.execute(delete(LoginSession).where(LoginSession.token_hash == _hash(token)))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _subject(email: str, address: str, key: str) -> str:
    return hmac.new(key.encode(), f"{normal_email(email)} {address}".encode(), hashlib.sha256).hexdigest()
