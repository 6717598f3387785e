"""Other ways to say the same: each pattern is put into the words on its right, which the rest of the reader knows."""

import re

_BEGIN = r"(?:^|(?<=, )|(?<=; )|(?<=\band )|(?<=\bthen )|(?<=\bplease ))"
"""Where a step may begin: there a verb is one, but not in `the axe`."""
_NUMBER = r"\d+(?:\.\d+)?"
_PRACTISE = (
    r"(?:sing|play|practice|practise|jam|rap|solo|improvise|rehearse|record)"
    r"(?: (?:along|over it|on top|to it|with it|it|mine|my own(?: part)?|myself|on my own))*"
)
_PLAYER = r"(?:drummer|bassist|guitarist|pianist|keyboardist|violinist|singer|vocalist|rapper|musician|beginner|dj|producer)"
REWRITES = [
    (re.compile(rf"^(?:i'?m|i am) an? {_PLAYER}[,;.]? (?:and |so )?"), ""),
    (re.compile(rf",? (?:so (?:that )?(?:i|we) (?:can|could) {_PRACTISE}|(?:for me )?to {_PRACTISE})$"), ""),
    (re.compile(r"\b(?:except for|other than|apart from|aside from|besides|but for|save for|bar|excluding)\b"), "except"),
    (
        re.compile(
            r"\b(?:all(?: of)?(?: the)?(?: other)? (?:instruments|parts|stems|sounds)"
            r"|every(?: other)? (?:instrument|part|sound)|all)(?= (?:off )?(?:except|but)\b)"
        ),
        "everything",
    ),
    (
        re.compile(r"\b(?:everything else|all else|(?:all )?(?:the )?others?(?: instruments| parts)?)(?=$|[,;]| and\b)"),
        "the rest",
    ),
    (re.compile(r"\bthe rest of (?:it|the instruments|the parts)\b"), "the rest"),
    (re.compile(r"\ba[ -]?cap+el+a\b"), "acapella"),
    (re.compile(r"\b(instrumental|acapella|karaoke) only$"), r"\1"),
    (re.compile(r"(?<=\w )'?n'?(?= \w)"), "and"),
    (re.compile(r"\bdo not\b"), "don't"),
    (re.compile(r"\bin place of\b"), "instead of"),
    (re.compile(r"\b(?:anything|everything|all) (?:that|which) (?:is not|isn't|are not|aren't)\b"), "everything except"),
    (re.compile(r"\b(?:should|must|needs? to|has to|have to) be (?=removed|muted|deleted|gone)"), ""),
    (re.compile(r"^(?:could|can) (.+?) (?:come|go) (?=(?:up|down)\b)"), r"\1 "),
    (re.compile(r"\bmore (?=(?:louder|quieter|softer)\b)"), ""),
    (re.compile(r"\b(?:i(?:'d| would) (?:like|love|want)|i wanna|i want)\b(?: to have\b)?"), "i want"),
    (re.compile(r"\b(remix(?: it)? (?:with|for|using)) (?:just|only)\b"), r"\1"),
    (re.compile(r"\bi (?:only|just) (?:want|need)(?: to hear)?\b(?! (?:you|to|an?|some)\b)"), "only"),
    (re.compile(r"\bkeep it(?: as it is| as is| the same)?,? (?:but|and)(?: just)? "), ""),
    (
        re.compile(
            r"\b(?:a )?(?:backing track|play[ -]along(?: track| version)?|minus[ -]one|version)(?= (?:without|with no)\b)"
        ),
        "",
    ),
    (
        re.compile(r"[ -]only (?:version|mix|track|edit|cut)(?=$|[,;]| (?:please|pls|plz|thanks|and)\b)|(?<=[a-z])-only\b"),
        " only",
    ),
    (re.compile(r"\b(?:an? )?(?:song|track|mix|music)(?= (?:without|with no|minus|sans)\b)"), "it"),
    (
        re.compile(r"\b(?:(?:exactly )?the )?(?:exact )?same (?:song|track|tune|thing|music|piece|mix|recording)(?=,? but\b)"),
        "same song",
    ),
    (re.compile(r"\b(?:(?:rip|grab)(?: me)?|get me)(?= (?!an? |some |it\b|them\b|.*\bout\b))"), "isolate"),
    (re.compile(rf"{_BEGIN}get(?= the [^,;@]+ (?:stem|track)$)"), "isolate"),
    (re.compile(rf"{_BEGIN}(?:nuke|axe|zap)(?= )"), "delete"),
    (re.compile(rf"{_BEGIN}(?:chuck|toss) in(?= )"), "throw in"),
    (re.compile(rf"{_BEGIN}slap(?= (?:an?|some) .*on top\b)"), "put"),
    (re.compile(rf"{_BEGIN}split out(?= )"), "separate"),
    (re.compile(rf"{_BEGIN}(?:shave|knock)(?= {_NUMBER} ?db\b)"), "take"),
    (re.compile(rf"{_BEGIN}knock(?= .*\bdown\b)"), "turn"),
    (re.compile(rf"{_BEGIN}(?:need|want)(?= (?:an?|the) (?:acapella|instrumental|karaoke))"), "i want"),
    (re.compile(rf"\b({_NUMBER}) more db\b"), r"\1 db more"),
    (re.compile(rf"\b(give .+?) another ({_NUMBER}) ?db\b"), r"\1 \2 db more"),
    (re.compile(rf"\banother (?={_NUMBER} ?db\b)"), ""),
    (re.compile(rf"(?<=[+-]) (?={_NUMBER} ?db\b)|(?<=\badd )\+(?=\d)"), ""),
    (re.compile(r"^(?:music piece[.;,]? )?instruct(?:ion)?[,:]? "), ""),  # how Instruct-MusicGen is asked
    (re.compile(r"\b(?:thanks|thank you) (?:a lot|so much|very much)$"), "thanks"),
    (re.compile(r"\bthe first minute\b"), "the first 1 minute"),
    (re.compile(r"\b(?:after|since) the first (?=\d)"), "after "),
    (re.compile(r"\bfirst (?=\d)"), "the first "),
    (re.compile(r"\bthe the first\b"), "the first"),
    (re.compile(r"\b(?:decibels?|dbs)\b"), "db"),
    (re.compile(r"\b(genre|style) of it\b"), r"\1"),
    (re.compile(r"\bvolume up\b"), "up"),
    (re.compile(r"\bvolume down\b"), "down"),
]
