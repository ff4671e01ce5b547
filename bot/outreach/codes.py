"""Single-use codes: which one is free, which a contact has, and giving one away; one per list and contact."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import Stale
from bot.shop.shopfile import CodePool, Content
from bot.tables import Code, Contact
from bot.values import Changed, IssueCode


@dataclass(frozen=True)
class HeldCode:
    """A code a contact was given, with the list it is from."""

    pool: CodePool
    code: str

    @property
    def words(self) -> str:
        """The code, what it is good for and its rules, as a text tells them."""
        return f"Your code for {self.pool.worth}: {self.code}. {self.pool.rules}"


async def held(session: AsyncSession, contact_id: UUID, content: Content) -> list[HeldCode]:
    """The contact's codes, oldest first; of lists that shop.yml still names."""
    rows = await session.execute(
        select(Code.pool, Code.code).where(Code.contact_id == contact_id).order_by(Code.issued_at, Code.id)
    )
    found = [(content.code_pool(row.pool), row.code) for row in rows]
    return [HeldCode(pool, code) for pool, code in found if pool is not None]


async def peek(session: AsyncSession, contact_id: UUID, pool: CodePool) -> HeldCode | None:
    """A code of the list nobody has, None where all are given away.

    Each contact looks in an order of their own: when many answer at once, few turns name the same code.
    A code whose contact was erased stays given away.
    """
    code = await session.scalar(
        select(Code.code)
        .where(Code.pool == pool.key, Code.issued_at.is_(None))
        .order_by(func.md5(Code.code + str(contact_id)))
        .limit(1)
    )
    return HeldCode(pool, code) if code is not None else None


async def apply(session: AsyncSession, contact_id: UUID, change: IssueCode, now: datetime) -> Changed:
    """Give the code away in the caller's transaction.

    Raises Stale where somebody got it first, or the contact has one of this list.
    """
    await session.execute(select(Contact.id).where(Contact.id == contact_id).with_for_update())
    has = await session.scalar(select(Code.id).where(Code.pool == change.pool, Code.contact_id == contact_id))
    if has is not None:
        raise Stale("the contact has a code of this list")
    code = await session.scalar(
        select(Code).where(Code.pool == change.pool, Code.code == change.code).with_for_update()
    )
    if code is None or code.issued_at is not None:
        raise Stale("the code is given away")
    code.contact_id, code.issued_at = contact_id, now
    await session.flush()
    return Changed(kind=change.kind, ref=change.pool, after={"pool": change.pool, "code": change.code})
