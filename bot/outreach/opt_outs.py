"""Tells whether a text in free words asks for no more texts: rules both ways, and a line for what only the model reads.

Case, punctuation and spacing never matter: rules see bare words, usual respellings undone. It writes nothing.
Law: 47 CFR 64.1200(a)(10): any words a reasonable person would understand as a request to stop.
"""

import re
from difflib import get_close_matches
from typing import NamedTuple

from bot.outreach.words import bare
from bot.values import OptOut

#: From here on what only the model takes for an opt-out is one. A miss costs a person who asked to be left alone, a
#: false stop one confirmation that says how to get back: counted three to one, this line cost least on the half for
#: tuning of tests/opt_outs_dev.yml.
LINE = 0.3
#: Below this the one confirmation also says what to do if only a booking was meant.
SURE = 0.8

# -- the words -----------------------------------------------------------------------------------------------------

#: As people text them, and as the rules below know them.
_SPELT = {
    **dict.fromkeys(["stp", "sotp", "stpo", "syop", "srop", "dtop", "atop", "stoip", "stpop"], "stop"),
    **dict.fromkeys(["txt", "txts", "txting", "txted"], "text"),
    **dict.fromkeys(["msg", "msgs", "msging", "mesage", "mesages"], "message"),
    **dict.fromkeys(["texts", "text", "texting", "texted"], "text"),
    **dict.fromkeys(["messages", "messaging", "messaged"], "message"),
    **dict.fromkeys(["u", "ya", "yall", "yous"], "you"),
    **dict.fromkeys(["ur", "yr", "youre"], "your"),
    **dict.fromkeys(["num", "nbr", "numbr", "numer", "nmber", "numba", "nubmer"], "number"),
    **dict.fromkeys(["worng", "wrng", "rong", "wronf"], "wrong"),
    **dict.fromkeys(["unsub", "unscribe", "unsubcribe", "unsuscribe", "unsubscibe"], "unsubscribe"),
    "dont": "do not",
    "dnt": "do not",
    "doesnt": "does not",
    "didnt": "did not",
    "isnt": "is not",
    "wont": "will not",
    "noone": "no one",
    "otp": "opt",
    "n0": "no",
    "optout": "opt out",
    "cant": "can not",
    "cannot": "can not",
    "arent": "are not",
    "wasnt": "was not",
    "aint": "is not",
    "im": "i am",
    "ive": "i have",
    "id": "i would",
    "its": "it is",
    "thats": "that is",
    "theres": "there is",
    "wanna": "want to",
    "gonna": "going to",
    "pls": "please",
    "plz": "please",
}
#: Long words of the rules, known with a slip in them too; words near them that are words of their own.
_LONG = ("unsubscribe", "number", "remove", "messages", "notifications", "subscription", "contacting", "suscripcion")
_OWN = {
    "subscribe",
    "subscribed",
    "subscriptions",
    "resubscribe",
    "unsubscribed",
    "removed",
    "remote",
    "numbers",
    "numero",
}
#: Shouted: "stooooop", "STOPPPP".
_DRAWN = re.compile(r"s+t+[o0]+p+")


def plain(text: str) -> str:
    """The text in bare words with usual spellings: "Dont TXT me!" is "do not text me"."""
    words = [_spell(word) for word in bare(re.sub(r"#(?!\s*\d)", " number ", text))]
    joined = " ".join(words)
    # "s t o p" and "un subscribe" are written apart.
    joined = re.sub(r"\bs t o p\b", "stop", joined)
    return re.sub(r"\b(un|re) (subscribe|stop)\b", r"\1\2", joined)


def _spell(word: str) -> str:
    if word in _SPELT:
        return _SPELT[word]
    if _DRAWN.fullmatch(word):
        return "stop"
    if len(word) < 5 or word in _OWN or word in _LONG:
        return word
    close = get_close_matches(word, _LONG, n=1, cutoff=0.83)
    return {"messages": "message"}.get(close[0], close[0]) if close else word


# -- the rules -----------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """One row: what it is called, and the words it finds in a text as `plain` gives it."""

    name: str
    pattern: re.Pattern[str]


def _row(name: str, *patterns: str) -> Rule:
    return Rule(name, re.compile("|".join(patterns)))


_PLEASE = (
    r"(?:(?:please|kindly|hi|hello|hey|ok|okay|just|now|omg|yes|no|nope|sorry|thanks|thank you|so much|can|could|would|"
    r"will|you|guys|sir|maam|all|already|right|immediately|asap|anymore|any more|again|ever|for good|forever|bye|ty|"
    r"thx|i|said|damn|fucking|the hell|the fuck|tf|too|at once|from|on) ?)*"
)
_STOP = r"(?:stop|quit|cease|discontinue|halt|refrain from|terminate|end|cancel|disable|deactivate)"
_ANY = (
    r"(?:(?:all|any|the|these|those|this|your|of|with|out|more|future|further|other|such|daily|constant|stupid|damn|"
    r"sending|"
    r"promo|promotional|automated|text|marketing|sms|store|shop|contest|me|us|my|auto|please|kindly|just) )*?"
)
_TEXTS = (
    r"(?:text|message|sms|mms|ads?|adverts?|advertising|promos?|promotions?|promotionals?|marketing|spam|"
    r"notifications?|alerts?|blasts?|communications?|solicitations?|newsletters?|contact)"
)
_STUFF = (
    r"(?:stuff|things?|crap|shit|junk|garbage|nonsense|bs|anything|anymore|any more|coupons?|offers?|deals?|discounts?|"
    r"codes?|links?|updates?|reminders?|surveys?|sales?|everything|these|this|those)"
)
#: What stands at the end of a request, so that "this" is these texts and not "this order".
_END = (
    r"(?= (?:anymore|any more|again|ever|please|now|ok|okay|and|so|to|or|you|i|we|who|why|stop|take|remove|at all|from|"
    r"every|thanks|thank|already|asap|at|in|on|about|or)\b|$)"
)
_NUMBER = r"(?:number|phone|cell|cellphone|mobile|line|landline|contact|contact info|info|name)"
_WHOSE = r"(?:me|us|him|her|them|(?:my|this|our|his|her|their|the|that)(?: \w+){0,3}? " + _NUMBER + ")"
_NOT = r"(?:do not|does not|did not|never|no longer|not|dont|not gonna|neither)"

#: Nowhere in a text that is about a booking, an order or a contest.
_ELSE = (
    r"^(?!.*\b(?:contest|giveaway|raffle|drawing|sweepstakes|entry|entered|win|winning|booking|appointment|appt|"
    r"session|"
    r"fitting|styling|slot|calendar|schedule|waitlist|waiting|wait|wish|guest|come|coming|there|make it|today|tomorrow|"
    r"tmrw|monday|tuesday|wednesday|thursday|friday|saturday|sunday|order|cart|price|total|data|personal)\b)"
)

#: Not opt-outs, whatever else is found: the wish to get texts again, or to go on getting them.
KEEPS: tuple[Rule, ...] = (
    _row(
        "by mistake",
        r"^(?!.*\b(?:wrong|signed up|subscribed|take me|remove|delete|please stop|"
        r"stop text|stop message|stop sending)\b)"
        r"(?=.*\b(?:stop|stopped|unsubscribe|unsubscribed|opt|opted|undo|back|again)\b)"
        r".*\b(?:mistake|mistakenly|accident|accidentally|in error|oops)\b",
    ),
    _row(
        "changed their mind",
        r"\bchanged my mind\b(?!.*\b(?:stop|no more|take me|remove)\b)",
        r"\b(?:stop|unsubscribe|out)\b.*\bchanged my mind\b",
        r"(?<!not )(?<!never )(?<!ever )\b(?:want|would like|like) (?:them|it|your text|the text|"
        r"to hear from you|to get (?:them|text)) again\b",
        r"(?<!not )\bwant (?:back|in)\b",
        r"(?<!not )(?<!never )\bput me back\b",
    ),
    _row(
        "unblocks",
        r"\b(?:off|from) (?:of )?(?:the|your) (?:do not|no|block|blocked|black|opt out|stop)\w*(?: \w+)? list\b",
        r"\bremove the block\b",
        r"\bunblock\b",
    ),
    _row(
        "undoes a stop",
        r"\b(?:undo|reverse|ignore|take back|cancel|disregard) (?:my |the |that |last )*(?:stop|unsubscribe|"
        r"opt out)\b",
        r"\b(?:kid|son|daughter|cat|dog|toddler|baby|husband|wife) (?:text|hit|sent|pressed|said|typed) stop\b",
        r"\bstop\b.*\b(?:ignore|disregard) (?:it|that|this)\b",
    ),
    _row(
        "back in",
        r"\b(?:sign|put|add|opt|turn|let|get|count)\b(?: \w+){0,4} back (?:on|in|up|to|into)\b",
        r"\bback (?:on|in|up)\b.*\b(?:list|text|message)\b",
        r"\bwant (?:them|it|the text|your text|the message|your message) back\b",
        r"\badd me back\b",
    ),
    _row(
        "again",
        r"^(?!.*\b(?:do not|never|not|no|if you|stop|quit|ever|unsubscribe|off|lawyer|police)\b).*\b(?:sign "
        r"(?:me )?up|start|resume|restart|subscribe|text me|message me|get|receive|send me|opt me in|"
        r"hear from you|turn on)\b(?: \w+){0,4} again\b",
    ),
    _row(
        "asks to get texts",
        rf"^{_PLEASE}(?:resubscribe|subscribe|rejoin|reactivate|opt in|opting in|unstop|keep text|keep them|sign "
        rf"(?:me )?up|put me on|add me to|start text|text me|can i get|how do i (?:get|join|sign up|subscribe|"
        rf"opt in|start))\b(?!.*\b(?:do not|dnc|no call|not call|not contact|not text|blacklist|suppression|block|"
        rf"off|out|"
        rf"stop|removed|unsubscribed|rid|without|illegal|consent|not)\b)",
    ),
    _row(
        "asks whether",
        r"^(?:hey |hi |so |wait |but )*(?:did|am|was|were|have|why was|why am|why did|"
        r"how come) i\b(?: \w+){0,4} (?:opt|opted|unsubscribe|unsubscribed|signed)\b(?!.*\b(?:remove|stop|off)\b)",
        r"\bi (?:did not|never)(?: \w+)? (?:say|said|text|send|sent|type) stop\b",
        r"\bi (?:did not|never) (?:opt out|opted out|unsubscribe|unsubscribed)\b",
        r"\bwhy (?:did|was|were|have|am) (?:you|i|they)(?: \w+)? (?:take|taken|remove|removed|drop|dropped|"
        r"unsubscribe)\b",
        r"\bas opted out\b",
        r"\b(?:is|was) my number (?:opt|opted|removed)\b",
    ),
    _row(
        "goes on",
        r"(?<!why )(?<!you )(?<!they )\b(?:do not|please not|never)(?: ever| please)? (?:stop|quit|end)(?: (?:text|"
        r"message|"
        r"send|sending|"
        r"the|your|my|those|these|them|doing|now|me)\b|$)",
        r"(?<!why )(?<!you )(?<!they )\b(?:do not|please not)(?: ever| please)? (?:take (?:me|my \w+) off|"
        r"remove (?:me|my)|delete "
        r"(?:me|my)|unsubscribe|opt me out|drop me|cancel my (?:text|subscription))\b",
        r"\bdo not you (?:dare|ever) stop\b",
        r"\b(?:like|love|enjoy) (?:getting|receiving|"
        r"hearing)\b(?<!not like getting)(?<!not enjoy getting)(?<!not love getting)",
    ),
    _row(
        "gave it wrong",
        r"\b(?:i|we|he|she|people|driver|courier|they|shop|store|rosa)(?: \w+)? (?:gave|put|put in|entered|typed|"
        r"wrote|left|listed|given|"
        r"dialed|called|sent|pressed|hit|picked|chose|charged)\b(?: \w+){0,4} wrong\b",
        r"\b(?:i|we)(?: \w+)? (?:text|message|have|got|had)\b (?:the |a )?wrong\b",
        r"\b(?:gave|delivered|handed|shipped|mailed|entered|typed)\b(?: \w+){0,4} wrong\b",
    ),
    _row(
        "not meant",
        r"\b(?:did not|never) (?:mean|meant|want|wanted|intend|intended|ask|asked|try|tried) to (?:stop the|"
        r"stop your|stop$|stop get|unsubscribe|opt out|cancel the text|quit$|say stop|text stop|send stop)\b",
        r"\b(?:do not|no longer|not) (?:want|wish) to (?:stop|unsubscribe|opt out|be removed|be taken off)\b",
    ),
    _row(
        "somebody else will not stop",
        r"\b(?:she|he|\w*sister|brother|boss|mom|boyfriend|girlfriend|friend|ex|dog|kids?) (?:will|can|"
        r"would) not (?:stop|leave)\b",
    ),
    _row(
        "stopped coming",
        r"\b(?:why|when) (?:did|have|has|do) (?:you|they|the text|your text|the message)(?: guys| all)? (?:stop|"
        r"stopped|quit)\b",
        r"\byou stopped (?:text|message|sending)\b",
        r"\bi (?:am |do )?(?:no longer|not|never) (?:get|getting|receive|receiving|got|gotten)(?: any| your| the|"
        r" more)* (?:text|message)s?\b(?!.*\bwant)",
        r"(?<!if )\b(?:you|they|no one|nobody)(?: guys)? (?:do not |never |ever )?(?:text|message) (?:me )?(?:back|"
        r"anymore|any more|lately|now)\b",
        r"\bwhy do not (?:you|they)\b.*\b(?:text|message)\b",
    ),
)

#: Opt-outs wherever in a text they stand.
ASKS: tuple[Rule, ...] = (
    _row(
        "stop texting",
        rf"\b{_STOP} (?:it |all |with |the |your |ever |even |fucking |f ing |freaking |damn |please )*(?:text|"
        rf"message|contacting|spamming|spam|bothering|bugging|pestering|harassing|annoying|disturbing|blowing up|"
        rf"blowing (?:me|my phone|us) up|hitting me up|writing (?:me|to)|communicating)\b(?! (?:rosa|lena) )",
    ),
    _row(
        "stop sending",
        rf"\b{_STOP} (?:with )?(?:sending|send)(?: me| us| him| her| my \w+| this (?:number|"
        rf"phone))?(?: (?!wrong|damaged|broken|bad|dirty|used|incorrect)\w+)? {_ANY}(?:{_TEXTS}\b|{_STUFF}\b{_END})",
        rf"\b{_STOP} sending(?: me| us)?(?: please| now| already)*$",
    ),
    _row(
        "stop the texts",
        rf"\b{_STOP} {_ANY}{_TEXTS}\b(?! (?:the|a|bot)\b)",
    ),
    _row(
        "make it stop",
        r"\b(?:text|message|notifications?|ads|these|this|them|it|you|alerts?|promos?)(?: guys)? to (?:stop|quit|"
        r"end|go away)\b",
        r"\bmake (?:it|this|these|them|the|all)(?: \w+)? (?:stop|go away|end)\b",
        rf"\bcan (?:these|the|your|this)(?: {_TEXTS})? (?:stop|end)\b",
    ),
    _row(
        "how to stop",
        rf"\b(?:how|way|where|what)\b(?: \w+){{0,5}}? (?:(?:stop|end|cancel|turn off|turn|shut off|shut|"
        rf"switch off|disable|block|get rid of|get out of|get off|get off of)(?: getting| receiving| from| of|"
        rf" all| off)*(?: (?:{_ANY}{_TEXTS}|these|this|it)\b(?! (?:order|booking|exchange|return))|$)|unsubscribe|"
        rf"opt out|be removed)(?<!cancel)(?<!bus stop)(?: off| from| list| of)*(?: (?:this|these|it|your list|"
        rf"the list|list|{_TEXTS}|here))*$",
    ),
    _row(
        "no more texts",
        rf"^(?!.*\b(?:how come|why|when|got|get|getting|if)\b).*\bno more (?:\w+ ){{0,3}}?(?:{_TEXTS}|surveys?|"
        rf"offers?|deals?|"
        r"coupons?|of (?:this|these|it))\b",
        rf"^{_PLEASE}no more ?{_PLEASE}$",
        rf"^{_PLEASE}no {_TEXTS} ?{_PLEASE}$",
        rf"\b(?:stop|end|quit|cancel|no)(?: \w+)? (?:daily|weekly|constant) (?:deals|offers|coupons|sales|"
        rf"{_TEXTS})\b",
        rf"(?<!got )(?<!get )(?<!still )(?<!have )(?<!is )\bno {_TEXTS} (?:please|at all|thanks|ever)\b",
    ),
    _row(
        "do not text",
        r"(?<!you )(?<!they )(?<!why )\b(?:do not|never|not to|please not)(?: ever| please| even)* (?:text|message|"
        r"contact|spam|"
        r"bother|call or text|text or call|write|send message to|disturb|solicit)\b(?= (?:the |any )?(?:me|us|him|"
        r"her|here|"
        r"again|anymore|any more|ever|this|my|number|phone|it|please|or|i|while)\b|$)(?! (?:me )?(?:back|when|until|"
        r"the|"
        r"before|now)\b)",
        r"\b(?:do not|never) (?:call|phone|ring)(?: me| us| this number)? or (?:text|message|write)\b",
        r"\b(?:make sure|ensure|see that)(?: that)? (?:you|i)(?: guys)? (?:never|do not) (?:text|message|contact|"
        r"get)\b",
        r"\b(?:do not|stop|quit|no more|never) (?:market|marketing|advertise|advertising|solicit|"
        r"soliciting)(?: to me| to us| here)?\b",
    ),
    _row(
        "do not send",
        rf"(?<!you )\b(?:do not|never|please not)(?: ever| please)* (?:send|sending|sent)(?: me| us|"
        rf" to this number| here)?(?: (?!wrong|damaged|broken|bad|dirty|used|incorrect|second|other|"
        rf"new)\w+)? {_ANY}(?:{_TEXTS}\b|{_STUFF}\b(?: else| more)?{_END})",
    ),
    _row(
        "off the list",
        r"(?<!wanna )\b(?:take|get|cross|strike|leave|keep|pull|remove|delete|drop|scratch|kick|scrub|erase|wipe|"
        r"clear|be|want|taken|removed|pulled)\b(?: (?!data|personal)\w+){0,6}? (?:off|from|out|out of|off of)"
        r"(?: of)? (?:\w+ ){0,4}?(?<!waiting )(?<!(?<!thi)s )(?<!wait )(?<!appointment )(?<!booking )(?<!styli"
        r"s"
        r"t"
        r" "
        r")"
        r"(?<!contest )(?<!guest )(?<!wish )(?<!raffle )(?<!drawing )(?<!giveaway )(?<!order )(?:lists?|text|"
        r"message|sms|system|database|contacts?|thread|records|directory|phone book|rolodex|campaigns?|marketing|"
        r"mailing|everything|distribution|texting thing|text thing)\b(?! (?:of orders|for))",
    ),
    _row(
        "take me off",
        rf"{_ELSE}.*(?<!not )\b(?:take|get|pull) (?:{_WHOSE}) (?:off|out of (?:this|it|these|here))(?: of)?(?: "
        rf"(?:this|it|here|these|that|now|please|everything|immediately|asap|thanks|thank you|or|and|i|whatever)"
        rf"\b.*)?$",
    ),
    _row(
        "remove me",
        rf"{_ELSE}.*\b(?:remove|delete|unlist|deregister|unregister) (?:me|us)(?: (?:please|now|immediately|asap|"
        rf"thanks|"
        r"already|from (?:this|these|it|all|all of (?:this|it)|everything|here)))*$",
        rf"^{_PLEASE}remove ?{_PLEASE}$",
    ),
    _row(
        "remove it",
        r"\b(?:number|text|message|list|phone)\b(?: \w+){0,6}? (?:remove|delete|erase|scrub) (?:it|this|that|me)"
        r"\b(?! from (?:my|the) (?:order|booking|profile|account|cart))",
    ),
    _row(
        "ends in stop",
        r"^(?!.*\b(?:bus|train|metro|rain|raining|non|full|next|last|pit|when|which|where|will|does|should|"
        r"must)\b).+ (?<!to )"
        r"(?<!not )(?<!never )(?<!that )(?<!the )(?<!a )(?<!we )(?<!it )(?<!you )(?<!they )(?<!i )(?<!can )(?<!my )(?<!"
        r"u"
        r"n"
        r"d"
        r"o"
        r" "
        r")"
        r"stop(?: please| now| thanks| thank you| already| asap| immediately)*$",
    ),
    _row(
        "remove the number",
        r"\b(?:remove|delete|erase|lose|forget|drop|scrub|strike|unlist|trash|burn|toss|wipe|get rid of|opt) "
        r"(?:my|this|our|his|her|their|that|the)(?: \w+){0,3}? (?<!old )(?:number|phone number|cell|mobile|"
        r"contact)\b(?! (?:from|on|of|in|to|for) (?:my|the|that|this|our)? ?(?:order|booking|appointment|profile|"
        r"account|receipt|gift|2|two))",
        r"\bforget (?:you (?:ever )?(?:had|have|know|knew)|about) (?:my|this) number\b",
    ),
    _row(
        "unsubscribe",
        rf"\bunsubscribe(?: me| us| this| my| our| now| please| from| to| of| all| every| everything| the| these|"
        rf" your| this| number| phone| cell| immediately| thanks| future| marketing| sms| today| asap| here|"
        rf" already| and .*| {_TEXTS}| lists?)*$",
        rf"\bunsubscribe (?:me )?(?:from|to) {_ANY}{_TEXTS}\b",
        r"\bunsubscribe link\b",
        r"\b(?:consider (?:this|me)|get me|be)(?: my)? (?:unsubscribe|unsubscribed)\b(?! from (?:your )?email)",
    ),
    _row(
        "opt out",
        rf"\bopt(?:ing|ed)?(?: me| us| (?:my|this|her|his) (?:\w+ )?number| my \w+)? out\b(?: (?:of|from)"
        rf" {_ANY}(?:{_TEXTS}|this$|these$|it$|all$|everything|list|future|any|all|your|here)|{_END})",
    ),
    _row(
        "consent taken back",
        r"\b(?:revok\w+|withdraw\w*|rescind\w*|retract\w*|take back|taking back|cancel\w*) "
        r"(?:\w+ ){0,3}?(?:consent|permission|authorization|authorisation)\b",
        r"\b(?:consent|permission) (?:is |has been |hereby )*(?:revoked|withdrawn)\b",
        r"\brevocation of (?:my )?consent\b",
    ),
    _row(
        "do not contact list",
        r"\b(?:do not|no|dnc|not) ?(?:contact|call|text|sms|message)?(?: or text)? (?:list|registry|register)"
        r"\b(?<!not on the list)(?<!waiting list)",
        r"\bdnc\b",
        r"\bcease and desist\b",
        r"\bdo not call\b.*\bregist\w+",
    ),
    _row(
        "not wanted",
        rf"\b{_NOT} (?:really )?(?:want|wants|wish|care|need|like|interested|wanting|would like)(?: for| in|"
        rf" about| to (?:get|receive|be getting|be receiving|be sent|see|keep getting|continue (?:getting|"
        rf"receiving)))? {_ANY}{_TEXTS}\b(?! (?:late|twice|about my order))",
        rf"\b{_NOT} (?:want|wish|care|wanting)(?: to (?:get|receive))? (?:any of (?:this|these)|these|more of "
        rf"(?:these|this))$",
    ),
    _row(
        "not to be texted",
        rf"\b{_NOT}(?: \w+){{0,2}}? (?:want|wants|wish|care|like|need|"
        rf"wanting) to (?:ever )?hear(?: \w+){{0,2}} from (?:you|your|this|the)\b",
        r"\b(?:hate|tired of|sick of|done|over|rather not|prefer not to)(?: \w+){0,2} (?:hear|hearing) from\b",
        rf"\b(?:{_NOT}|hate|rather not|prefer not|stop|without|tired of|sick of)(?: \w+){{0,3}}? (?:being|"
        rf"be) (?:\w+ )?(?:text\b|message\b|"
        r"contacted|messaged|bothered|spammed|solicited|disturbed)",
    ),
    _row(
        "rather not",
        r"\b(?:rather|prefer|appreciate|would mind|mind)(?: if| you| we)*(?: to)? not(?: to)? (?:get|getting|"
        r"receive|receiving|text|message|contact|be|have|send|sending)(?: me| us)?(?: any| your| these| the| more|"
        r" further| future| promo\w*| marketing)* ?(?:text|message|these|this|them|sms|anymore|any more|contacted|"
        r"again|me|ads?|promos?|alerts?)\b",
        r"\bmind not text\b",
    ),
    _row(
        "stop getting",
        rf"\b(?:stop|quit|avoid|end) (?:getting|receiving) {_ANY}(?:{_TEXTS}|these|this|them|stuff|anything)\b",
    ),
    _row(
        "never agreed",
        rf"(?:\bnever|\bdid not|\bdo not remember|\bnot|\bnobody|\bno one|\bdo not recall) (?:even |"
        rf"ever )?(?:sign(?:ed|ing)?(?: me| myself)? up|asked?|consent(?:ed)?|subscribed?|subscribing|"
        rf"opt(?:ed)? in|agreed?|agreeing|gave|give|given|giving|request(?:ed)?|authoriz(?:ed?)|approved?|"
        rf"enrolled?)(?: \w+){{0,3}}? (?:{_TEXTS}\b|(?:this|these|any of (?:this|these|it)(?: crap| stuff|"
        rf" shit)?)(?: crap| stuff| shit| spam)?{_END}|to be (?:text|message|contacted|on)|permission|consent|"
        rf"my number)",
        r"\b(?:never|did not) (?:sign(?:ed)? up|consent(?:ed)?|subscribed?)$",
        r"\bsigned (?:me|us|my number|my phone) up(?: for (?:this|these|your text|text|it))?(?: without\b.*|$)",
        r"\bsigned (?:me|us) up\b.*\b(?:cancel|remove|stop|take (?:me|it) off|delete)\b(?!.*\b(?:fitting|styling|"
        r"appointment|contest|booking)\b)",
    ),
    _row(
        "wrong number",
        r"(?<!with the )(?<!with a )(?<!to the )(?<!my )\bwrong (?:phone )?(?:number|phone|cell|person|guy|girl|lady|"
        r"dude|man|woman|"
        r"recipient|contact)\b(?! (?:signed|came|called|answered|on|for|in|of|to|at)\b(?! me\b))"
        r"(?!.*\b(?:order|booking|tracking|should be|correct one|it is \d+|package|refund|i meant|meant (?:for|to)|"
        r"is this|friend|ignore|receipt)\b)",
        r"\b(?:incorrect (?:phone )?number|wrong party)\b",
    ),
    _row(
        "somebody else's",
        r"\b(?:this|that|it)(?: number| phone)? (?:is|was|does|are|used to)(?: be)?(?: not| no longer)? (?!my |not my |"
        r"the right |the best |the correct )"
        r"(?:\w+ ){1,3}?(?:number|phone|cell|cellphone)(?: anymore| any more| now|"
        r" no more)?\b(?<!order number)(?<!tracking number)(?<!my number)(?<!new number)",
        r"\b(?:number|phone)(?: \w+)? (?:was |got |has been |is |been |has )*(?:reassigned|recycled|disconnected|"
        r"changed hands|no longer (?:belongs?|his|hers|in use)|belongs? to (?!me|my)\w+)",
        r"\bnew owner\b",
        r"\b(?:just |recently )?(?:got|bought|have|inherited|received|assigned) this (?:phone )?number (?:last|a |"
        r"from|this|in|yesterday|today|recently|who|not|\w+ week)",
        r"\bjust got this number\b",
        r"\b(?:does not|do not|no longer|did not|not) (?:have|has|own|use|owns|uses|live|lives|belong|belongs)"
        r"(?: to)?(?: \w+)? (?:this|that|here)(?: number| phone)?(?: anymore)?$",
        r"(?<!my )\b(?:he|she|they|(?!i |we |my )\w+) (?:has |have )?(?:changed|got|gave up|switched) (?:(?:her|his|"
        r"their) (?:number|phone|line)|numbers)\b(?!.*\b(?:it is|new one is|to) \d)",
    ),
    _row(
        "nobody of that name",
        r"\b(?:no one|nobody|no body|no such person|no person|there is no|not any|nor any|know any|anyone|"
        r"anybody)(?: here| at this \w+| is)? (?:named|by that name|by the name|with that name|goes by|"
        r"of that name|called \w+ (?:here|at|lives))\b(?<!is anyone named)",
        r"\bthere is no \w+ (?:here|at this|on this)\b",
        r"\bno \w+ (?:lives|at this number|here at this number)",
    ),
    _row(
        "the dead",
        r"\b(?:he|she|husband|wife|mother|father|mom|mum|dad|son|daughter|brother|sister|owner|person|customer|"
        r"mr \w+|mrs \w+|"
        r"ms \w+|uncle|aunt|grandma|grandpa|grandmother|grandfather|boss|friend)(?: has| is|"
        r" was)? (?:passed(?: away)?|died|"
        r"deceased|dead)\b(?=.*\b(?:text|message|number|phone|list|remove|stop|contact)\b)"
        r"(?!.*\b(?:order|booking|appointment|appt|fitting|session|reschedule|cancel)\b)",
        r"\blate (?:husband|wife|mother|father|mom|dad|son|daughter|brother|sister)s?\b.*\b(?:text|message|number|"
        r"phone|list)\b",
        r"\b(?:text|message|contact|remove|number|phone)\b.*\blate (?:husband|wife|mother|father|mom|dad|son|"
        r"daughter|brother|"
        r"sister)s?\b",
        r"\b(?:person|customer|owner|man|woman) (?:that |who )?(?:you|this|of)\b.*\b(?:dead|deceased|died|passed)\b",
        r"\b(?:is|was|are|he|she) deceased\b",
    ),
    _row(
        "leave alone",
        r"\b(?:leave|let) (?:me|us|her|him|this (?:number|phone)|my (?:phone|number|mother|mom|father|dad|husband|"
        r"wife|son|"
        r"daughter|kid|kids|family))(?: the (?:hell|fuck|heck)| tf| fucking| alone)? (?:alone\b|be$|be please$)",
        r"\bleft alone\b",
    ),
    _row(
        "go away",
        rf"^{_PLEASE}(?:go away|harassment|permission denied|buzz off|get lost|piss off|f off|fuck off|f you|"
        rf"fuck you|screw you|bug off|"
        rf"shove off|back off|take a hike|shut up|please quit|quit now|quit already|end this|end it|"
        rf"enough(?: already| is enough)?|basta(?: ya)?|spam|this is spam|blocked|knock it off|cut it out|quit it|"
        rf"stop it|stop already|stop stop|remove|just stop|stop this|stop (?:dammit|damn it|doing this)|"
        rf"(?:stop ?)+) ?{_PLEASE}$",
    ),
    _row(
        "enough",
        rf"\b(?:enough|sick|tired|fed up|had it|done|over it|annoyed)(?: (?:of|with|by|already|getting|receiving|"
        rf"all|so many|too many|constant))* {_ANY}{_TEXTS}\b",
        rf"\btoo (?:many|much) {_TEXTS}\b.*\b(?:stop|off|unsubscribe|remove|done)\b",
    ),
    _row(
        "blocked",
        r"\b(?:am|i have|have|will|i) ?(?:ll )?(?:block(?:ing|ed)?|report(?:ing|ed)?)(?: you| this| these|"
        r" your)+(?: number| as spam| text| message|$)",
        r"^reported?(?: as spam| for spam)?$",
        r"\breport(?:ed|ing)? (?:you |this |it |these )*(?:as|for) spam\b",
        r"^report(?:ing|ed) this number$",
        r"\b(?:text|message|contact) me (?:one more time|again)\b(?=.*\b(?:i will|ill|fcc|lawyer|police|report|"
        r"complaint|sue|attorney|block)\b)",
        r"\b(?:one more|another) (?:text|message) and\b",
        r"\bfcc\b",
        r"\bgoing to (?:block|report) (?:you|this)\b",
        r"\bhar+as+(?:ed by (?:these|your|this)|ing me|ing us)\b",
    ),
    _row(
        "already said",
        r"\b(?:i|we|have|already|times|do i have to|must i|told you|asked you|asked)(?: \w+){0,5}? (?:said|say|"
        r"told|text|texted|sent|replied|asked|asking|typed|answered)(?: you| \w+){0,3}? (?:stop|unsubscribe|"
        r"to stop|opt out|no more)\b",
        r"\b(?:told|asked|asking|telling) (?:you|u|yall)(?: \w+){0,3}? to (?:stop|leave|take me off|remove|quit)\b",
        r"\bget my (?:stop|unsubscribe)\b",
    ),
    _row(
        "turn off",
        rf"\b(?:turn|shut|switch|cut) (?:off )?{_ANY}(?:{_TEXTS}|reminders?|updates?)(?: off)?\b(?<!on)(?! "
        rf"(?:back )?on\b)",
        r"\b(?:turn|shut|switch) (?:these|them|this|it all) off\b",
        r"\b(?:turn|shut|switch) off (?:these|them)\b",
    ),
    _row(
        "subscription",
        r"\b(?:cancel|end|stop|terminate) (?:my |the |this |our |all )*(?:text |sms |message |"
        r"messaging )*subscription(?: (?:please|now|thanks|immediately)|(?: to| for)? (?:these|the|your|this|my) "
        r"(?:text|list|message).*)*$",
    ),
    _row(
        "want out",
        r"\bi (?:just )?(?:want|need|wanted|would like) (?:off|out)(?: (?:of|from))?(?: (?:this|these|the|"
        r"your))?(?: (?:text|list|message|thread|thing|chat|group|subscription))*(?: please| now| thanks)*$",
    ),
    _row(
        "put on the stop list",
        r"\b(?:put|place|add) (?:me|this number|my number) (?:on|to) (?:the|your|a) (?:do not|no|stop|block|"
        r"opt out|black|remove)\b",
    ),
    _row(
        "no permission",
        r"\b(?:do not|did not|does not|no one|nobody|never|not) (?:have|had|has|give|gave|given|grant|granted)"
        r"(?: \w+){0,3} (?:permission|consent)\b",
    ),
    _row(
        "Spanish: no more",
        r"\b(?:ya )?no (?:quiero |deseo )?(?:recibir )?mas (?:mensajes?|textos?|sms|publicidad|promociones|"
        r"ofertas|alertas)\b",
        r"^(?:por favor |ya |gracias |no |oye |hola )*(?:no mas|ya no mas|basta|basta ya|ya basta|alto|alto ya|"
        r"pare|paren|detenganse|parar|cancelar mensajes)(?: por favor| gracias| ya)*$",
        r"\bbasta de\b",
    ),
    _row(
        "Spanish: do not send",
        r"\bno (?:me |nos |le |les )?(?:manden|mandes|mande|envien|envies|envie|escriban|escribas|escriba|"
        r"contacten|contactes|contacte|molesten|molestes|moleste|texteen|textees|vuelvan a|vuelvas a)"
        r"\b(?! (?:el|la|los|las|mi|un|una)\b(?! (?:mensajes?|textos?)))",
        r"\b(?:deje|deja|dejen|dejar|para|pare|paren|parar) de (?:mandar|enviar|escribir|molestar|textear|"
        r"contactar|llenar|fastidiar)\w*",
        r"\bdej(?:a|e|en)(?:me|nos) (?:en paz|tranquil\w)",
    ),
    _row(
        "Spanish: off the list",
        r"\b(?:quit|borr|elimin|saqu?|remuev|retir|borrar)(?:a|e|en|ar|o)?(?:me|nos|lo|se)?\b(?: \w+){0,4} "
        r"(?:lista|numero|telefono|sistema|base de datos)\b(?! de (?:pedido|orden|espera))",
        r"\b(?:dar|darme|deme|denme|dame|den|doy|darse|de) (?:me )?de baja\b",
        r"\bde baja\b",
        r"\bcancel(?:ar?|en|e|o) (?:la |mi |los |las |estos |esta |sus |todos los )*(?:suscripcion|mensajes?|"
        r"textos?|alertas?|sms)\b",
        r"\bdesuscrib\w+",
        r"\bdesinscrib\w+",
        r"\bdessuscrib\w+",
        r"^(?:por favor |ya |oye )*(?:quit|borr|elimin|saqu|sac|dese|cancel)(?:a|e|en)(?:me|nos)(?: ya| por favor|"
        r" gracias)*$",
        r"\bdejar de (?:recibir|mandar|enviar)\b",
    ),
    _row(
        "Spanish: not wanted",
        r"\bno (?:quiero|deseo|autorizo|autorice|acepto|pedi|solicite|me interesan)(?: que me (?:manden|escriban|"
        r"contacten))?(?: \w+){0,3}? (?:mensajes?|textos?|sms|publicidad|promociones|ofertas|alertas|avisos)\b",
        r"\bno (?:quiero|deseo) (?:que me (?:escriban|manden|contacten|molesten)|saber (?:mas )?(?:de ustedes|"
        r"nada))",
        r"\bno (?:quiero|deseo) (?:recibir nada|saber nada)\b",
    ),
    _row(
        "Spanish: wrong number",
        r"(?<!la )\b(?:numero|telefono|persona|celular) (?:es )?(?:equivocad\w|incorrect\w)\b(?! firm)",
        r"\b(?:se|te) equivoc\w+ de (?:numero|persona|telefono)",
        r"\bno soy \w+ (?:numero|se equivoc)",
        r"\beste no es el (?:numero|telefono) de\b",
        r"\beste (?:numero|telefono) (?:ya )?no es de\b",
        r"^(?:no |esta |estas |estan |usted esta )?equivocad[oa]$",
        r"\bse equivoc\w+ de\b",
        r"^(?:yo )?no soy (?!yo\b|de\b)\w+$",
    ),
)

#: What a text without any of those is about, where it is plainly something else; the model is not asked then.
ABOUT_ELSE: tuple[Rule, ...] = (
    _row(
        "delight",
        r"\b(?:love (?:this|these|it|them|that)(?! if)|adorable|gorgeous|cute|so pretty|beautiful|stunning|need these|"
        r"obsessed)\b",
    ),
    _row("asks too much", r"\b(?:stop|quit) asking\b"),
    _row(
        "wrong on something", r"\bwrong (?:number|person|name) (?:on|for|in|i meant)\b", r"\bmy number on (?:the|my)\b"
    ),
    _row(
        "Spanish: something else",
        r"\b(?:me equivoque|numero de (?:pedido|orden)|pedido|cita|orden|paquete|vestido|zapatos|botas|sandalias|"
        r"tenis|camisa|color|ayuda|tacon\w*|talla|"
        r"envio)\b",
        r"\b(?:quiero mas mensajes|inscrib\w+|darme de alta)\b",
    ),
    _row(
        "drops in",
        r"\b(?:stop|stopping|stopped|stops) (?:by|in|over|at|off at|there|here|into|for)\b",
        r"\b(?:bus|train|metro|subway|next|last|first|which|tram|truck|driver) stop",
    ),
    _row(
        "nothing stops",
        r"\b(?:non|can not|could not|will not|would not|never|do not|cant|wont|didnt|did not|does not|nonstop)"
        r" stop(?:ping|ped|s)?\b",
        r"\bnonstop\b",
        r"\bfull stop\b",
    ),
    _row(
        "a booking",
        r"\b(?:cancel|remove|delete|stop|end|drop|scrap|kill|ditch|lose|axe|nix|rid of|call off|calling off|"
        r"forget|pull|take|unbook|scratch|clear|free up|bail on|back out of|out of|off|skip|wont be needing|need)"
        r"\b.*\b(?:booking|bookings|appointment|appt|appts|apt|reservation|session|fitting|styling|slot|visit|"
        r"consult\w*|alteration\w*|calendar|schedule|oclock|\d{1,2} ?(?:am|pm)|monday|tuesday|wednesday|thursday|"
        r"friday|saturday|sunday|tomorrow|tmrw|cita|reserva)\b",
    ),
    _row(
        "an order",
        r"\b(?:cancel|remove|delete|stop|end|drop|scrap|kill|take|rid of|pull|send|sending|ship|shipping|shipment|"
        r"delivery|deliver|exchange|return|charge|charged|charging|refund\w*)\b.*\b(?:order|orders|\d{4}|shipment|"
        r"shipping|ships|delivery|package|parcel|pair|item|items|size|sizes|exchange|return|returns|refund|charge|"
        r"card|heels?|boots?|sneakers?|shoes?|dress|shirt|jacket|hoodie|socks|pedido)\b",
    ),
    _row(
        "a contest",
        r"\b(?:contest|giveaway|drawing|raffle|sweepstakes?|competition|lottery|waitlist|waiting list|wait list|"
        r"wish ?list|guest ?list)\b",
    ),
    _row(
        "money off",
        r"\b(?:\d+|percent|money|something|anything|how much|dollars?|bucks) off\b",
        r"\boff (?:my|the|your|a|an) (?:order|price|total|next|purchase|bill)\b",
        r"\boff today\b",
    ),
    _row(
        "an end in time",
        r"\bend of (?:the )?(?:day|week|month|year|\w+)\b",
        r"\bwhen (?:does|do|will|is)\b.*\b(?:end|ends|over)\b",
        r"\bthe end\b",
    ),
    _row(
        "never mind",
        r"^(?:ok |no |oh |sorry |ah )*(?:never ?mind|nvm|forget (?:it|that|about it|i asked)|scratch that|no "
        r"(?:thanks|thank you|thx|problem|worries|rush)|not (?:now|today|yet))(?: thanks| thank you)*$",
    ),
    _row(
        "its own number",
        r"\b(?:my|have a|got a|this is my) (?:new )?(?:number|phone) (?:changed|is now|is \d+)",
        r"\bthis is my new number\b",
        r"\b(?:change|update) my (?:phone )?number\b",
    ),
    _row(
        "a joke",
        r"\bunsubscribe (?:me |us )?from (?:nothing|life|adult\w+|mondays?|reality|winter|work|being|my \w+|"
        r"netflix|spotify|youtube|the contest|the giveaway|this (?:year|week|day)|20\d\d)\b",
    ),
    _row(
        "a call instead",
        r"\b(?:do not|stop|quit|no) (?:call\w*|ringing|phoning|ring)\b.*\btext (?:me|instead|us|only|is|works|are)\b",
        r"\bjust text\b",
        r"\btext is (?:fine|ok|better)\b",
        r"\b(?:call|email) (?:me )?instead\b",
    ),
    _row(
        "a bot",
        r"\b(?:bot|robot|human|real person|agent|automated answers?|automatic repl\w+)\b",
    ),
)


# -- deciding ------------------------------------------------------------------------------------------------------


def asks(text: str) -> bool:
    """Whether a rule is certain that the text opts out."""
    words = plain(text)
    return _first(ASKS, words) is not None and _first(KEEPS, words) is None


def decide(text: str, likely: float) -> OptOut | None:
    """The opt-out a text is, or None; `likely` is how surely the model reads one in it, 0 to 1."""
    words = plain(text)
    if _first(KEEPS, words) is not None:
        return None
    if _first(ASKS, words) is not None:
        return OptOut(sure=True)
    if likely < LINE or _first(ABOUT_ELSE, words) is not None:
        return None
    return OptOut(sure=likely >= SURE)


def _first(rules: tuple[Rule, ...], words: str) -> Rule | None:
    return next((rule for rule in rules if rule.pattern.search(words)), None)
