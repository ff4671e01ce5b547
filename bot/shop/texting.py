"""What people text for a time, as tables: slang, words that name no time, and who a time is said of; it reads nothing.

Kept apart from bot.shop.when, which reads with them: here a designer of the tables works, there one of the reading.
"""

import re

WEEKDAY = r"(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?s?"
MONTH = r"(?:(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)[a-z]*|may)"
DAY = rf"(?:{WEEKDAY}|today|tomorrow|tonight)"
PART = r"(?:morning|afternoon|evening)"
#: Holidays whose names hold no other word of time; those Duckling knows that a shop hears of.
HOLIDAY = (
    r"(?:\w+mas|thanksgiving|easter|eve|hall?owe?en|valentine'?s?|pentecost|ascension|epiphany|lent|mardi gras|carnival"
    r"|new years?'?s?|april fool'?s?|c?hann?ukk?ah?|kwanzaa|passover|purim|rosh hashann?ah?|yom kippur|sukk?ot"
    r"|shavu'?oth?|rama[dt]h?an|eid(?: [au]l.\w+)?|diwali|deepavali|holi|vesak|juneteenth|cinco de mayo|ides)"
)
HOUR = r"(?<![\d:./$#-])(?:1[0-2]|[1-9])"
CLOCK = r"(?<![\d:./$#-])\d{1,2}(?::[0-5]\d)?(?: ?[ap]m)?"
TIME = rf"(?:{DAY}(?:,? (?:at )?{CLOCK})?|{CLOCK}(?: (?:on )?{DAY})?)"
APPT = r"(?:appointments?|appts?|apts?|apointments?|bookings?|reservations?|visits?|fittings?|haircuts?|slots?)"
MOVE = r"(?:chang|mov|switch|swap|resched|shift|bump|push|trad|postpon|delay)[a-z]*"
TO = r"(?:-|to|till?|thru|through)"
#: What may follow a bare hour that is meant as a clock time; before any other word it counts something.
END = (
    r"(?=\s*(?:$|[,?!;]|\.(?!\d)|~|(?:instead|please|pls|plz|ok|okay|or|then|if|on|that|would|works?|is|thx|thanks|for"
    rf"|and|not|better|next|{DAY})\b))"
)
#: "The day after", where no other event follows that it could be the day after of.
ALONE = rf"(?: that| it)?(?! (?:the|my|our|an?|i|we|new|{DAY}|thanksgiving|christmas|xmas|easter|\d\w*)\b)"

#: Texting, and the words Duckling knows for it; in order, always.
SLANG = [
    (
        r"\b(?:2|two|to?|too )m+[aeou]*r+[aeou]*w*\b|\b(?:2|two|to)mo(?:z|ra)?\b|\btmw\b|\btomm\b|\btomorrow'?s\b",
        "tomorrow",
    ),
    (r"\b2day\b", "today"),
    (r"\b2ni(?:te|ght)\b|\btonite\b", "tonight"),
    (r"\bnxt\b", "next"),
    (r"\byrs?\b", "year"),
    (r"\beom\b", "end of the month"),
    (r"\bwk(s?)\b", r"week\1"),
    (r"\bwk?e?nds?\b|\bweek[ -]ends?\b", "weekend"),
    (r"\bweds?\b|\bwed?n?e?sd?ay\b", "wednesday"),
    (r"\bthursd?ay\b|\bthurday\b", "thursday"),
    (r"\bsaterday\b", "saturday"),
    (r"\b(?:arvo|afternon|aftrnoon)(s?)\b", r"afternoon\1"),
    (r"\b(?:mornin|mrng|morn)(s?)\b", r"morning\1"),
    (r"\bnite\b", "night"),
    (rf"\b({DAY}) eve\b", r"\1 evening"),
    (rf"\b({DAY}) aft(?=\W*$)", r"\1 afternoon"),
    (r"\b(?:afta|aft|aftr)\b", "after"),
    (r"\bb4\b", "before"),
    (r"\b(?:btwn|btw|b/w|betw)(?= \d)", "between"),
    (r"(?<=[\dm]) ?(?:n|&) ?(?=\d)", " and "),
    (rf"(\b(?:{MOVE}|from)\b[^.?!]*) 2 (?=next\b|the\b|(?!\w+days\b){DAY}\b)", r"\1 to "),
    (r"\bl8r\b", "later"),
    (r"\b1st (?=thing\b)", "first "),
    (r"(?<=\d)-(\d{1,2}) ?ish\b", r"-\1"),
    *[(rf"\b({MONTH}) (\d{{1,2}}(?:st|nd|rd|th)?)(?:,| or|, or) (?=\d{{1,2}}(?:st|nd|rd|th)\b)", r"\1 \2 or \1 ")] * 2,
    (r"\bor (?=\d{1,2}(?:st|nd|rd|th)\b)", "or the "),
    (r"\b(?:noon|midday)[ -]?ish\b", "noon"),
    (r"\b(?:(?:at|around|over|about) )?lunch ?time\b|\b(?:around|over|about) lunch\b", "at lunch"),
    (r"\b([ap])\.m\b\.?", r"\1m"),
    (r"(?<=\d)-(?=ish\b)", ""),
    (r"(?<=[ap]m)[ -]?ish\b", ""),
    (r"\b(?:w/c|week (?:commencing|beginning|starting))(?: on)?\b", "the week of"),
    (rf"\b({MONTH})\. ?(?=\d)", r"\1 "),
    (rf"\b({DAY})\.? ?/ ?(?={DAY}\b)", r"\1 or "),
    (r"(?<=\d)\.(?=[0-5]\d ?[ap]m?\b)", ":"),
    (r"(?<=\d)( ?p|a)(?:\.m\b\.?|\b(?![.']))", r"\1m"),
    (r"\b(stop|com|dropp?|swing|pass|go)(e|ing)? by\b", r"\1\2 in"),
    (r"(\b(?:not|ca'?n'?t|\w+n'?t)\b[^,.;?!]{0,30}),", r"\1;"),
]

#: Read like this only where there is a shop: it has a closing hour, and its contacts text bare hours about bookings.
IN_SHOP = [
    (r"(?<=[\dm]) (?:e[sd]?t|c[sd]t|m[sd]t|p[sd]?t)\b", ""),
    (r"\b(come|get|be) in (?=[^,.?!]{1,20} (?:later|earlier|sooner)\b)", r"\1 "),
    (r"\b(?:not (?:before|until|till?)|no (?:earlier|sooner) than|(?<!no )later than(?!.* but ))\b", "after"),
    (r"\b(?:not after|no later than|(?:earlier|sooner) than)\b", "before"),
    (rf"(\b{MOVE}\b[^.?!]*)\bfrom ({TIME}|the \d+\w\w) to (?=\S)", r"\1my \2 appt; to "),
    (rf"\b(my|{MOVE}) ({TIME}) (?:to|for) (?=\S)", r"\1 my \2 appt; to "),
    (rf"(\b{MOVE}\b[^.?!]*)\b(?:until|till?) ", r"\1to "),
    (r"\bbefore the weekend\b", "before friday"),
    (r"\b(next week\b.*)\bthe week after\b(?! \w+day| next)", r"\1the week after next"),
    (r"\b(?:start|beginning|early(?: part)?|first part)(?: of| in)? (?=(?:next|this) week)", "beginning of "),
    (r"\b(?:late(?:r part)?|last part)(?: of| in)? (?=(?:next|this) week)", "end of "),
    (r"\b(?:in )?(?:the )?early(?: part of| in)?(?: the)? morning\b", "between 8am and 10am"),
    (r"\bmid[ -]?morning\b", "between 9am and 11am"),
    (r"\blate(?:r in the)? morning\b", "between 10am and 12pm"),
    (r"\b(?:in the )?early(?: in the)? afternoon\b", "between 12pm and 3pm"),
    (r"\b(?:in the )?mid[ -]?afternoon\b", "between 2pm and 4pm"),
    (r"\b(?:in the )?late(?: in the)? afternoon\b", "between 3pm and 7pm"),
    (r"\b(?:in the )?early(?: in the)? evening\b", "between 5pm and 8pm"),
    (r"\b(between \d+[ap]m and \d+[ap]m),? (?:on |this )?((?:next )?(?:\w*day|tomorrow|tonight)\b)", r"\2 \1"),
    (rf"\b(between \d+[ap]m and \d+[ap]m),? (?:on )?((?:next )?{DAY}\b)", r"\2 \1"),
    (r"\b(?:a )?fortnight\b", "2 weeks"),
    (rf"\b((?:an?|one|two|three|\d) weeks?) (?:on |this )?(?={DAY}\b)", r"\1 from "),
    (rf"\b(?:on |this )?({DAY}) week\b", r"a week from \1"),
    (r"\bby (?=(?:about |like )?(?:an?|half|one|two|three|\d+) ?(?:an? )?(?:min|h(?:ou)?r|day|week|month))", ""),
    (
        rf"\b(?:from )?({MONTH}) (\d{{1,2}})(?:st|nd|rd|th)? ?{TO} ?(?:the )?(\d{{1,2}})(?:st|nd|rd|th)?{END}",
        r"from \1 \2 to \1 \3",
    ),
    (
        rf"\b(?:from )?(?:the )?(\d{{1,2}}\w\w) ?{TO} ?(?:the )?(\d{{1,2}}\w\w) (?:of )?({MONTH})\b",
        r"from \3 \1 to \3 \2",
    ),
    (
        rf"\b(\d{{1,2}}(?:st|nd|rd|th)) ?(?:/|or|&|and) ?(?:the )?(\d{{1,2}}(?:st|nd|rd|th)) (?:of )?({MONTH})\b",
        r"\3 \1 or \3 \2",
    ),
    (r"\b(tomorrow,? (?:or|and) )the day after\b(?! tomorrow)", r"\1the day after tomorrow"),
    (rf"\bnext week,? (?:on )?({DAY}) (or|and) ({DAY})\b", r"\1 next week \2 \3 next week"),
    (r"\bbefore (?=the end of)", "by "),
    (r"\bat (?=(?:5|10|20|25) (?:to|of|past)\b)", ""),
    (rf"(?<!at )(?<!\w)({HOUR})(?:ish)? or ({CLOCK})(?:ish)? (?:on )?({DAY})\b", r"\3 at \1 or at \2"),
    (r"\bweek ?days?\b", "any weekday"),
    (r"\b(?:any|every|all|on) any weekday", "any weekday"),
    (r"\bafter the weekend\b", "after sunday"),
    (rf"\b({DAY}) am\b", r"\1 morning"),
    (rf"\b({DAY}) pm\b", r"\1 afternoon"),
    (rf"\b(to|at|like|around|about|after|before|{DAY}) (1[0-2]|[1-9])([0-5]\d)(?=$|[ ?!,])", r"\1 \2:\3"),
    (r"(?<![\w'] )(?<!\w)(?=h(?:ou)?r (?:and a half )?(?:later|earlier|sooner))", "an "),
    (rf"\b({DAY})\. (?=at|after|before|around|from|between|\d)", r"\1 "),
    (r"\bthe weekend of (?=the \d)", ""),
    (r"^\W*(1[0-2]|[1-9])(00|15|30|45)\W*$", r"at \1:\2"),
    (r"(?<![\d/.-])(?!24/7)(1[3-9]|2\d|3[01])/(1[0-2]|0?[1-9])(?![\d.-])", r"\2/\1"),
    (
        rf"(^|[,.!?] |\b(?:on|for|to|try|do|about|maybe|until|by|before|after|or|and) )(\d{{1,2}}(?:st|nd|rd|th)){END}",
        r"\1the \2",
    ),
    (r"\b(\d{1,2}(?:st|nd|rd|th)), ?(?:the )?(?=\d{1,2}(?:st|nd|rd|th)\b)", r"\1 or the "),
    (
        r"(?<!at )\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)[ -](?=fifteen|thirty|forty)",
        r"at \1 ",
    ),
    (rf"({HOUR}) ?(?:-|to|till?|until) ?(?=\d{{1,2}}:[0-5]\d)", r"between \1 and "),
    (r"\bbefore work\b", "before 9am"),
    (r"\bafter work\b", "after 5pm"),
    (r"\bafter (?:my )?lunch\b", "after 1pm"),
    (r"\bafter school\b", "after 3pm"),
    (r"\bfirst thing(?: in the morning)?\b", "morning"),
    (r"\b(?:by |at )?(?:eod|cob|end of (?:the )?day|close of business|last thing)\b", "in the afternoon"),
    (rf"\bby (?={CLOCK}|noon)", "before "),
    (rf"(\b{MONTH} \d{{1,2}})(?:st|nd|rd|th)? (?=after|before)", r"\1; "),
    (r"\bany ?time (?=after|before|between|from)", ""),
    (r"\bany ?day (?=after|before|between|from)", "any "),
    (
        rf"\b(?:between|from) ({CLOCK}) (?:and|{TO}) ({CLOCK}) (?:on )?((?:next |this )?{DAY})\b",
        r"\3 between \1 and \2",
    ),
    (
        r"\b(?:(?:the )?(?:soonest|earliest)|(?:next|first) available"
        r"|as (?:early|soon) as (?:possible|you can|u can))\b",
        "asap",
    ),
    (rf"\bfrom ({CLOCK}) on(?:wards?)?\b|({CLOCK}) (?:onwards?|(?:or|and) (?:later|after))\b", r"after \1\2"),
    (rf"({CLOCK}) (?:or|and) (?:earlier|before)\b", r"before \1"),
    (rf"({HOUR}) ?(?:-|(?<!\b5 )(?<!\b10 )to|till?|thru) ?((?:1[0-2]|[1-9])){END}", r"between \1 and \2"),
    (
        r"\b(how (?:a?bout)|what about|do|make (?:it|that)|(?:let'?s|we) say|try|meant?|prefer|actually|maybe|to"
        rf"|(?<!d )like) ({HOUR}){END}",
        r"\1 at \2",
    ),
    (
        rf"(^|[,.!?] |\b(?:yes|yeah|yep|ok|okay|no|then) )({HOUR})"
        r"(?= (?:works?|ok|okay|free|available|(?:is|would be|sounds) \w+)\b)",
        r"\1at \2",
    ),
    (rf"\bis ({HOUR}) (?=(?:fine|good|better|ok|okay|free|available|possible|open|still)\b)", r"at \1 "),
    (rf"\bnot ({HOUR})[,;]? (?:but )?({HOUR}){END}", r"not at \1; at \2"),
    (rf"\bnot ({HOUR}){END}", r"not at \1"),
    (rf"(?<!at )({HOUR}),? (?=not at )", r"at \1 "),
    (rf"((?:n'?t|cant) [^;]{{0,24}}; )({HOUR}){END}", r"\1at \2"),
    (rf"\b({DAY}),? ({HOUR}){END}", r"\1 at \2"),
    (rf"\b((?:at|around|about|after|before) {CLOCK}) or ({HOUR}){END}", r"\1 or at \2"),
]

#: Words that name no wanted time; they are blanked out, so that nothing joins across them.
NO_TIME = [
    # references, prices, phone numbers, ratings, quantities
    r"#\s?\w+|\b(?:order|size|sz|option|ticket|suite|room|code|zip|invoice|item|style|tracking)s?"
    r"(?: (?:number|no|nr)\.?)?[ :]*\d[\w./-]*",
    r"[$£€] ?\d[\d.,]*|\b\d[\d.,]* ?(?:[$£€%]|(?:usd|dollars?|bucks?|cents|percent)\b)",
    r"(?<![\d/])(?:\+?1[ .-]?)?\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{4}(?![\d/])|(?<![\d/-])\d{3}[.-]\d{4}(?![\d-])",
    r"\d+(?:[:./-]+\d+){4,}|\d{5,}",
    r"(?<![\d/])(?<!on )(?<!to )(?<!by )(?<!for )(?<!before )(?<!after )(?:[0-5] ?/ ?5|(?:10|\d) ?/ ?10|24/7)(?![\d/])"
    r"(?! (?:at|@|\d))",
    r"\b(?:\d+|one|two|three|four|five)(?: out)? of (?:an? )?(?:\d+|five|ten)\b",
    r"\b\d+(?:\.\d+)?[ -]?(?:stars?|people|guests|kids|items?|pairs?|shirts?|pants|dress(?:es)?|suits?|times|pieces?"
    r"|pcs|orders?|lbs?|kg|inch(?:es)?|cm|feet|ft|years? old|yo|x|miles?)\b",
    # greetings, thanks, turns of phrase
    r"\b(?:happy|merry) \w+(?: eve| years?)*\b|\b(?:good|gd|nice|enjoy (?:the|your|ur|ya)|(?:have|had) an?(?: \w+)?)"
    r" (?:morning|afternoon|evening|night|day|weekend|week|thanksgiving|christmas|holidays?|rest of \w+ \w+)\b",
    r"\b(?:thanks?|thank you|thx|ty|tysm|sorry)(?: \w+){0,2} (?:for|about) "
    rf"(?:today|tonight|yesterday|this \w+|last \w+|the other \w+|{WEEKDAY})\b",
    r"\bwhy not\b|\bca'?n'?t (?:we|you|u|i|wait)\b|\bcouldn'?t (?:we|you|u|i)\b",
    r"\bnot (?:sure|cancel\w*|a problem)\b|\bno (?:problem|prob|worries|rush)\b",
    r"\b(?:i|we|he|she|they|just) sat\b|\bthe sun\b",
]

#: Those that do name a time for Duckling, though none that a shop's contact asks for.
NO_TIME_IN_SHOP = [
    r"\bfeb[a-z]* 3[01]\b(?:st|th)?|\b(?:the )?3(?:1st|0th|[01]) (?:of )?feb[a-z]*"
    r"|\b(?:apr|jun|sep|nov)[a-z]* 31(?:st)?\b|\b(?:the )?31(?:st)? (?:of )?(?:apr|jun|sep|nov)[a-z]*",
    r"(?<!come )(?<!come in )(?<!free )(?<!from )(?<!from right )\b(?:right )?now\b",
    r"\b(?:in|just) an? (?:sec|second|moment|min|minute|bit|while)\b(?! (?:from|later|earlier))",
    r"\bone (?:sec|moment)\w*\b",
    r"\b(?:the|this|that) (?:(?:first|second|third|last|later|earlier|other|latest|middle) )?(?:one|time|option)\b",
    r"\bmarch (?:into|in (?:here|there|the)|over|right|out|back|down|up|there)\b",
    r"(?<!\bof )(?<!\bin )\bthe (?:day|week|month)\b(?! (?:after|before|of|from) \w)"
    r"|\b(?:summer|winter|autumn|fall|spring)s?\b",
]

ALWAYS = [(re.compile(pattern), words) for pattern, words in SLANG]
SHOP = [(re.compile(pattern), words) for pattern, words in IN_SHOP]
BLANK = re.compile("|".join(NO_TIME))
BLANK_IN_SHOP = re.compile("|".join([*NO_TIME, *NO_TIME_IN_SHOP]))

#: The stretch between a word and the mention it governs: one clause, with no new question or proposal in between.
REACH = (
    r"(?:(?!\b(?:can|could|how|what|maybe|is|are|any|lets?|move|but|so|please|pls|instead|need|would|or)\b)"
    r"[^,.;?!~]){0,30}$"
)
REFUSED_BEFORE = re.compile(
    r"\b(?:ca'?n'?t|cannot|can not|couldn'?t|won'?t|unable|not able|busy|away|out of town|closed|never|do(?:es)?n'?t"
    r"|(?:have to|gotta|i|i'?m) work(?:ing)?|instead of|rather than|in place of|except|besides|other than"
    rf"|on vacation|on holiday){REACH}"
    r"|\bany\w*(?: \w+)? but (?:on |the )*$|\bnot\b(?! only)[^,.;?!~]{0,16}$"
)
REFUSED_AFTER = re.compile(
    r"^(?:'?s)?(?: (?:is|are|was|so|really|just|actually))* (?:no good|bad|out|full|taken"
    r"|(?:is|are|do|does|wo)n'?t|ca'?n'?t|cannot|no longer|impossible|too (?:early|late|soon|far)"
    r"|not (?:good|great|gonna|going|possible|working|ok|okay|free|available|an option)"
    r"|(?:i'?m|i am|we'?re) (?:busy|away|out|working|not)|(?:i|we) (?:ca'?n'?t|cannot|won'?t|work"
    r"|have (?:class|to|a)))\b"
)
PAST = re.compile(
    r"\b(?:ordered|bought|purchased|received|arrived|shipped|delivered|paid|waited|waiting|placed|returned|called|texted"
    r"|emailed|wrote|visited|went|came|happened|got it|since|booked|supposed to"
    rf"|ha(?:s|ve)n'?t|broke|fell){REACH}|\bsince\b"
)
LISTED = re.compile(r"^\s*(?:,?\s*(?:or|nor|and|&)|/)\s*(?:on |the |at )*$")
CORRECTED = re.compile(
    r"\b(?:no|wait|nvm|never ?mind|actually|sorry|i mean|meant|scratch that|rather|oops|so|say|like)\b|\*"
)
MINE = re.compile(r"\b(?:my|our) $")
THEIRS_BEFORE = re.compile(
    rf"\b(?:my|our|the|have an?) (?:\w+ ){{0,2}}?{APPT} (?:is |was |i have )?(?:on |for |at |from )?(?:the )?$"
)
THEIRS_AFTER = re.compile(rf"^(?:'?s)? (?:{APPT}|one)\b")
OFFERED = re.compile(r"\b(?:an?|any|another|some|have|other|more|next) $")
EVERY = re.compile(r"\b(?:any|every|each|all) (?:days? )?(?P<working>weekday )?(?:in the )?$")
SAME_TIME = re.compile(r"\bsame time\b")

#: Zones that Duckling knows, at the end of a clock time.
ELSEWHERE = re.compile(r"\d.* \(?(?:utc|gmt|bst|[cew]es?t|[ecmp][sd]t|ak[sd]t|hst|ist|jst|msk|ae[sd]t|nz[sd]t)\)?$")
#: A part of a month that Duckling knows by an adjective alone: "mid december", not "the middle of december".
PART_OF_MONTH = re.compile(
    rf"\b(?:the )?(?P<part>start|beginning|early|first part|middle|mid|late|last part|end)(?: of| in|-)?"
    rf"(?: (?P<relative>next|this) month| (?P<name>{MONTH}))\b"
)
NEXT_WEEKDAY = re.compile(rf"(?:on )?next {WEEKDAY}\b")
THIS_WEEKDAY = re.compile(rf"\bthis (?:coming )?{WEEKDAY}\b")
BARE_DAY = re.compile(rf"(?:on )?{WEEKDAY}$")
DAYS_NEXT_WEEK = re.compile(rf"\b(?:from )?({WEEKDAY}) ?{TO} ?({WEEKDAY}) next week\b")
BY_DAY = re.compile(r"by (?!.*\bend of)")
FROM_NOW = re.compile(
    r"^in\b.*\b(?:h(?:ou)?rs?|min\w*|sec\w*)(?: and a half)?$|\b(?:h(?:ou)?rs?|min\w*|sec\w*)\b.* (?:now|hence|ago)$"
)
BROUGHT = re.compile(r"\b(?:bring|brought|pull)[a-z]*\b[^.?!,]{0,20}\bforward (?:by )?(?:about |like )?$")
FORWARD = re.compile(r"\bforward (?:by )?(?:about |like )?$")
#: "Between 2 and 4", but no date such as 2026-12-03.
RANGE = re.compile(r"\b(?:between|to|till?|until|thru|through)\b|(?<!\d{4})(?<!\d{4}-\d\d)-")
LATER = re.compile(r"^ (?:later|after(?: that)?(?! \w))\b")
EARLIER = re.compile(r"^ (?:earlier|sooner|before(?: that| my \w+)?(?! \w))\b")
PUSHED = re.compile(
    rf"\b(?:{MOVE}|put (?=.*\bback))\b[^.?!,]{{0,40}}?(?P<up>\bup |\bahead )?(?:\bback |\bout |\boff )?"
    r"(?:\bby )?(?:about |like )?$"
)
LATE = re.compile(r"\b(?:be|am|i'?m|we'?re|running|run) (?:about |like |at least )?$")
COMPARED = re.compile(
    r"\b(?:something|anything|any|an?|come(?: in)?|got|me|get in|but|little|bit|much|to|on|make it)"
    r" (later|earlier|sooner)\b"
    r"(?P<day> (?:date|day))?|\b(later|earlier|sooner) (?:slot|time|on \d{4}-)"
)
