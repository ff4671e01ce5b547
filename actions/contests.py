"""Entering a contest in one's own words, asking about it, and leaving it; its keyword is read without Rasa."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot.outreach import contests
from bot.shop import shopfile
from bot.shop.shopfile import Contest, ShopView
from bot.values import Ask, Option, Say, Value

NONE_NOW = "There is no contest at the moment."


class JoinContest(ShopAction):
    """Enters who wishes to, and tells who asks."""

    called = "action_join_contest"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The entry, what there is to know, or which contest is meant."""
        shop = await shopfile.read(session)
        today = turn.now.astimezone(shop.zone).date()
        invited = turn.waiting.get("contest", {}).get("contest")
        known = turn.filled.get("wish")
        wish = str(known) if known is not None else contests.read_wish(turn.text, invited=invited is not None)
        contest = _meant(turn, shop, today)
        if contest is None:
            running = [item for item in shop.content.contests if item.ends >= today]
            return _which(turn, running, {"wish": wish}) if running else [Say(text=NONE_NOW)]
        if wish == "enter":
            return await contests.enter(session, turn.contact_id, contest, turn.now, shop.zone)
        if wish == "decline":
            return [Say(text=f"OK, nothing is entered. Should you change your mind, text {contest.keyword}.")]
        is_in = contest.keyword in await contests.entered(session, turn.contact_id)
        return [contests.about(contest, entered=is_in, today=today)]


class LeaveContest(ShopAction):
    """Takes the contact out of a contest."""

    called = "action_leave_contest"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The way out of the contest meant, or which one where they are in several."""
        shop = await shopfile.read(session)
        is_in = await contests.entered(session, turn.contact_id)
        mine = [contest for contest in shop.content.contests if contest.keyword in is_in]
        named = turn.detail("contest")
        if named is not None:
            mine = [contest for contest in mine if contest.keyword == named.upper()]
        if not mine:
            return [Say(text="You are in no contest, so there is nothing to leave.")]
        if len(mine) > 1:
            return _which(turn, mine, {})
        return contests.leave(mine[0])


def _meant(turn: Turn, shop: ShopView, today: date) -> Contest | None:
    """The contest named, the one the contact was invited to, or the only one that runs (or ran, where none does)."""
    invited = turn.waiting.get("contest", {}).get("contest")
    named = turn.detail("contest") or invited
    if named is not None and (contest := shop.content.contest(str(named))) is not None:
        return contest
    running = [item for item in shop.content.contests if item.ends >= today] or shop.content.contests
    return running[0] if len(running) == 1 else None


def _which(turn: Turn, choices: Sequence[Contest], known: dict[str, str]) -> Sequence[Value]:
    """Ask which contest is meant; the request goes on with the one chosen."""
    lines = "\n".join(f"{number} {contest.prize}" for number, contest in enumerate(choices, 1))
    return [
        Say(text=f"Which contest do you mean?\n{lines}\nReply with the number."),
        Ask(
            kind="details",
            intent=turn.intent,
            slots=known,
            wants="contest",
            options=[
                Option(
                    label=contest.prize,
                    words=[contest.keyword],
                    intent=turn.intent,
                    slots={"contest": contest.keyword},
                )
                for contest in choices
            ],
            reminder="Which contest did you mean? Reply with its number.",
        ),
    ]
