"""Words around the words of a task: politeness, articles, the names of the music itself, levels, and words that join clauses."""

import re
from collections.abc import Iterator

from instructme.manifests.word_tables import plain as without_accents
from instructme.pipelines.sentences import slots
from instructme.pipelines.sentences.rewrites import REWRITES

_MUSIC = r"(?:mix|mixture|song|track|music|audio|recording|clip|piece|tune|file|loop)"
_THIS = r"(?:the|this|my|our|that)(?: (?:whole|entire|full|original|given|existing|current|following))?"
_KIND = r"(?!(?:the|this|my|our|that|a|an|of|from|in|into|to|with|and)\b)[\w&'/-]+"
_MUSIC_OF = re.compile(rf"\b{_THIS} (?P<kind>{_KIND}(?: {_KIND}){{0,2}}? )?{_MUSIC}\b(?! of\b)")
_ALONE = re.compile(r"\b(?:this|that)\b(?=$|[,;]| (?:into|to|without|as|with|for|in|more|sound|an?|needs)\b)")
_GERUND = re.compile(
    r"(?P<before>^|[,;] |\b(?:and|then|mind|about|try) )"
    r"(?:(?P<short>remov|delet|mut|eras|isolat|separat|replac|introduc|reduc|increas|mak|tak)|(?P<whole>add|extract|turn|boost))ing\b"
)
_LESS = re.compile(
    r"\b(?:an? )?(?P<name>[a-z]+)(?:-?less|[ -]free)(?: version| mix| track| backing track)?(?=$| (?:please|pls|plz|thanks)\b)"
)
_FROM_KIND = re.compile(r"(?<=genre|style) from (?P<kind>[\w&'/-]+(?: [\w&'/-]+)?)(?= (?:in)?to\b)")
_THIS_KIND = re.compile(r"\bmake (?:this|that) (?P<kind>[\w&'/-]+(?: [\w&'/-]+){0,2})$")
_ITEM = re.compile(r"(?:^|\s)\d[.)] ")
_VERSION = re.compile(r"\b(?:a|the) version(?: of it)?(?= (?:without|with no|minus)\b)|(?<=version) of it\b")
_ONES = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_TENS = {"twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90}
_NUMBER_WORD = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[ -](?P<unit>{'|'.join(_ONES)}))?|(?P<ones>{'|'.join(_ONES)}))"
    r"(?=[ -](?:db|decibels?|seconds?|secs?|minutes?|and|to|dbs)\b)"
)
CONNECTOR = re.compile(
    r"\s*(?:[,;&]|\+(?!\d)|\.(?= )|\b(?:and|then|plus|after that|afterwards|finally)\b)"
    r"(?:\s*(?:[,;&]|\+(?!\d)|\b(?:and|then|also|plus|after that|afterwards|finally|next)\b))*\s*"
)
"""Between two clauses, or two instruments."""
NEGATIVE = re.compile(
    r"(?:no|(?:do |it |play it )?without|(?:it )?minus|sans|(?:it )?with no|i don't want(?: to hear)?|there should be no)\b"
)
_IDIOM = r"(?:an? |the )?(?:karaoke|instrumental|acapella)\b"
_VERSION_NEXT = (
    r"(?= (?:it (?:without|minus|with no)\b"
    r"|an? [\w&'-]+(?: [\w&'-]+){0,2} (?:version|remix|only)\b"
    rf"|{_IDIOM}))"
)
_POLITE = (
    r"(?:(?:hey|ok|okay|hi|hello) (?:there|assistant|siri|alexa|google|computer|everyone|guys|dude|buddy|man|friend)"
    r"|(?:please|pls|plz)(?: to)?|kindly|now|then|also|just|only|maybe|hey|yo|hi|hello|ok|okay|so|first|next|finally|lastly"
    r"|(?:can|could|would|will) (?:you|u)(?: mind)?|(?:how|what) about|same song,? but"
    r"|(?:can|could|may) (?:i|we)(?: please)?(?: (?:get(?! rid)|have|hear))?"
    r"|(?:would|is) it (?:be )?possible (?:for you )?to|(?:is there )?any (?:way|chance) (?:to|you (?:can|could))"
    r"|is there a way (?:to|you (?:can|could))|(?:do|would) you (?:think|mind if) you could"
    r"|i(?:'d| would)(?: really)? (?:appreciate it|be (?:so |very )?(?:grateful|happy|glad)) if you (?:can|could|would)"
    r"|it(?:'d| would) be (?:great|nice|good|cool|awesome|lovely|amazing) if you (?:can|could|would)"
    r"|i was (?:wondering|hoping)(?: if)? you (?:can|could|would)|do me a favou?r and|would you be so kind as to|be so kind as to"
    r"|i (?:want|need)(?: you)?(?: to)?"
    r"|i'd rather have|i wish to|we (?:want|need)(?: to)?"
    r"|let's(?: have| hear| get(?! rid))?|let (?:me|us)|try to|help me(?: to)?|go ahead and"
    rf"|give me|gimme|get me|hear|play|(?:make|create|do|produce|prepare|get)(?: me| us)?{_VERSION_NEXT}"
    rf"|(?:isolate|extract)(?= {_IDIOM}))"
)
_BEFORE = re.compile(rf"^{_POLITE}\b[, ]*")
_AFTER = re.compile(
    r"[, ]*\b(?:(?:to|from|in|of|into|on|over|for|within|throughout|under|underneath|onto) it|on top(?: of it)?|in (?:there|here)"
    r"|please|pls|plz|thx|too|as well"
    r"|(?:that|which) (?:goes|go|fits?|match(?:es)?|works?)(?: well)?(?: with| to)? it|to (?:go with|match|fit) it"
    r"|also|thanks|thank you|now|for me|if (?:you can|possible)|completely|entirely|altogether)$"
)
_GAIN = re.compile(r"(?:\bby )?(?:\b(?:about|around|roughly) )?(?P<sign>[+-]?)(?P<number>\d+(?:\.\d+)?) ?db\b")
_SLIGHTLY = re.compile(
    r"\b(?:just )?(?:by )?(?:(?:a|an|just a) (?:tiny |little )?bit|a (?:little|touch|tad)|slightly|somewhat)\b"
)
_MUCH = re.compile(r"\b(?:by )?(?:a (?:whole )?lot|much|way(?! (?:to|you)\b)|considerably|significantly)\b")
_AMOUNTS = {_SLIGHTLY: 3.0, _MUCH: 9.0}
"""Words of amounts, in decibels."""
WORDS = frozenset(
    word
    for pattern in (_MUSIC_OF, _ALONE, _BEFORE, _AFTER, CONNECTOR, *_AMOUNTS, *(rule for rule, _ in REWRITES))
    for word in re.findall(r"[a-z]{2,}", re.sub(r"\\[a-zA-Z]|\?P<\w+>", " ", pattern.pattern))
) | frozenset(
    {"from", "between", "until", "till", "before", "after", "since", "past", "first", "opening"}
    | {"seconds", "second", "minutes", "minute", "start", "beginning", "end"}
)
"""Words that are known, whatever they do."""


def plain(said: str) -> str:
    """Put a sentence into lower case and plain words: `Could you mute it?` -> `could you mute it`, `this song` -> `it`."""
    text = without_accents(said.replace("’", "'").replace("‘", "'").replace("–", "-").replace("—", ", ")).lower()
    text = re.sub(r"\b(do|does|did|ca|wo|is|are|should|could|would)nt\b", r"\1n't", text)
    text = re.sub(r"(?<= )[:;]-?[)d](?= |$)", "", text)
    text = re.sub(r"^(\w+): ", r"\1 ", re.sub(r"\bw/(?= )", "with", text.replace("w/o ", "without ")))
    text = re.sub(r"[\"“”]|(?<!\w)'|'(?!\w)", "", re.sub(r"[()\[\]]", " ", re.sub(r":(?= |$)", ",", text)))
    text = re.sub(r"(?<=\d)(?=(?:db|s|sec|secs|seconds?|m|min|mins|minutes?)\b)", " ", text)
    text = re.sub(r"[!?]+(?=\s)", ";", text).strip(" .!?,;")
    text = _NUMBER_WORD.sub(_digits, _ITEM.sub("; ", text).strip(" ;") if _ITEM.match(text) else text)
    text = _MUSIC_OF.sub(_it, " ".join(text.split()))
    text = _VERSION.sub(lambda match: "it" if match[0].startswith(("a ", "the ")) else "", _ALONE.sub("it", text))
    text = _known_kinds(text)
    for pattern, words in REWRITES:
        text = pattern.sub(words, text)
    return " ".join(text.split())


def _known_kinds(text: str) -> str:
    """Read words that end in a known name: `drumless`, `the style from rock to jazz`, `make this jazz`; and verbs in -ing."""
    text = _GERUND.sub(lambda match: match["before"] + (match["whole"] or f"{match['short']}e"), text)
    text = _LESS.sub(lambda match: f"without {match['name']}" if slots.instrument(match["name"]) else match[0], text)
    text = _FROM_KIND.sub(lambda match: "" if slots.genre(match["kind"]) else match[0], text)
    return _THIS_KIND.sub(lambda match: f"make it {match['kind']}" if slots.genre(match["kind"]) else match[0], text)


def _digits(match: re.Match[str]) -> str:
    words = match.groupdict()
    return str(_TENS.get(words["tens"] or "", 0) + _ONES.get(words["unit"] or words["ones"] or "", 0))


def _it(match: re.Match[str]) -> str:
    """Read `the rap track` and `the music clip` as the music; `the drum track` is a part of it."""
    kind = (match["kind"] or "").strip()
    return "it" if not kind or re.fullmatch(rf"{_MUSIC}|sound", kind) or slots.genre(kind) else match[0]


def level(clause: str) -> tuple[str, float | None] | None:
    """Take the level out of a clause: its other words, and the amount in decibels; None if it says several levels."""
    amounts = list(_GAIN.finditer(clause))
    if len(amounts) == 1 and (match := amounts[0]):
        way = {"+": " up", "-": " down", "": ""}[match["sign"]]
        rest = clause[: match.start()].rstrip(" ,") + way + clause[match.end() :]
        return " ".join(rest.split()), float(match["number"])
    found = [match for pattern in _AMOUNTS for match in pattern.finditer(clause)]
    if amounts or len(found) > 1:
        return None
    if not found:
        return clause, None
    return " ".join(found[0].re.sub(" ", clause).split()), _AMOUNTS[found[0].re]


def joint(connector: str) -> str:
    """Name the kind of a connector: `stop` ends a sentence, `then` says an order, `and` joins."""
    return "stop" if re.search("[;.]", connector) else "then" if re.search("then|after|finally|next", connector) else "and"


def variants(clause: str) -> Iterator[str]:
    """Yield a clause with fewer and fewer of the words around it that change nothing."""
    shortened = (shorter for start in _shortened(clause, _BEFORE) for shorter in _shortened(start, _AFTER))
    yield from dict.fromkeys(filter(None, shortened))


def _shortened(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield a text, then it without what a pattern finds, as long as that finds anything."""
    yield text
    while (shorter := pattern.sub("", text)) != text:
        text = shorter
        yield text


def beside_connector(part: str) -> bool:
    """Tell whether a time span stands inside of a list, where it may belong to a part of the list."""
    return bool(
        re.search(r"\w\s*(?:[,&+]|\band\b|\bplus\b)\s*@\d+\s*\S|\S\s*@\d+\s*(?:[,&+]|\band\b|\bplus\b)", part.strip(" ,"))
    )
