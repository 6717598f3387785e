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
_WORDS = {
    rf"^(?:i'?m|i am) an? {_PLAYER}[,;.]? (?:and |so )?": "",
    rf",? (?:so (?:that )?(?:i|we) (?:can|could) {_PRACTISE}|(?:for me )?to {_PRACTISE})$": "",
    rf"^(?:i|we) (?:want|need|would like) to {_PRACTISE}(?:[,;.] (?:so |and )?|,? so )(?:please )?": "",
    r"^(?:i|we) (?:don't like|hate|can't stand) (the [\w '-]+?)(?:,|;|\.)? (?:so |and )?(?:please )?"
    r"(remove|delete|mute|drop|lose) (?:it|them)$": r"\2 \1",
    r"\b(?:except for|other than|apart from|aside from|besides|but for|save for|bar|excluding)\b": "except",
    r"\b(?:all(?: of)?(?: the)?(?: other)? (?:instruments|parts|stems|sounds)"
    r"|every(?: other)? (?:instrument|part|sound)|all)(?= (?:off )?(?:except|but)\b)": "everything",
    r"\b(?:everything else|all else|(?:all )?(?:the )?others?(?: instruments| parts)?)(?=$|[,;]| and\b)": "the rest",
    r"\bthe rest of (?:it|the instruments|the parts)\b": "the rest",
    r"\ba[ -]?cap+el+a\b": "acapella",
    r"\b(instrumental|acapella|karaoke) only$": r"\1",
    r"(?<=\w )'?n'?(?= \w)": "and",
    r"\bdo not\b": "don't",
    r"\bin place of\b": "instead of",
    r"\b(?:anything|everything|all) (?:that|which) (?:is not|isn't|are not|aren't)\b": "everything except",
    r"\b(?:should|must|needs? to|has to|have to) be (?=removed|muted|deleted|gone)": "",
    r"^(?:could|can) (.+?) (?:come|go) (?=(?:up|down)\b)": r"\1 ",
    r"\bmore (?=(?:louder|quieter|softer)\b)": "",
    r"\b(?:i(?:'d| would) (?:like|love|want)|i wanna|i want)\b(?: to have\b)?": "i want",
    r"\b(remix(?: it)? (?:with|for|using)) (?:just|only)\b": r"\1",
    r"\bi (?:only|just) (?:want|need)(?: to hear)?\b(?! (?:you|to|an?|some)\b)": "only",
    r"\bkeep it(?: as it is| as is| the same)?,? (?:but|and)(?: just)? ": "",
    r"\b(?:a )?(?:backing track|play[ -]along(?: track| version)?|minus[ -]one|version)(?= (?:without|with no)\b)": "",
    r"[ -]only (?:version|mix|track|edit|cut)(?=$|[,;]| (?:please|pls|plz|thanks|and)\b)|(?<=[a-z])-only\b": " only",
    r"\b(?:an? )?(?:song|track|mix|music)(?= (?:without|with no|minus|sans)\b)": "it",
    r"\b(?:(?:exactly )?the )?(?:exact )?same (?:song|track|tune|thing|music|piece|mix|recording)(?=,? but\b)": "same song",
    r"\b(?:(?:rip|grab)(?: me)?|get me)(?= (?!an? |some |it\b|them\b|.*\bout\b))": "isolate",
    rf"{_BEGIN}get(?= the [^,;@]+ (?:stem|track)$)": "isolate",
    rf"{_BEGIN}(?:nuke|axe|zap)(?= )": "delete",
    rf"{_BEGIN}(?:extract|isolate) everything (?:except|but)(?= )": "delete",
    rf"{_BEGIN}strip(?: out| away| off)?(?= everything\b)": "delete",
    rf"{_BEGIN}(?:(?:can|could|may) (?:i|we|you)|(?:i|we) (?:want to|would like to)) hear "
    r"((?!more\b)[\w '-]+?)((?: an? (?:little )?bit| a little| slightly)?) more$": r"make \1\2 louder",
    rf"{_BEGIN}(double|halve) (the [\w '-]+?) (?:volume|level)$": r"\1 the volume of \2",
    r"^minus one[,:]? (?=the |[a-z])": "without ",
    rf"{_BEGIN}leave only (.+) in$": r"keep only \1",
    r"\b([a-z]+) (guitar|bass|piano|organ|drums?)( (?:for|with|by|to|into)) (an?) ([a-z]+) one$": r"\1 \2\3 \4 \5 \2",
    rf"^([+-]{_NUMBER}) ?db (?:(?:on|for|to) )?((?:the )?[a-z][a-z -]*)$": r"\2 \1 db",
    rf"{_BEGIN}(?:chuck|toss) in(?= )": "throw in",
    rf"{_BEGIN}slap(?= (?:an?|some) .*on top\b)": "put",
    rf"{_BEGIN}split out(?= )": "separate",
    rf"{_BEGIN}(?:shave|knock)(?= {_NUMBER} ?db\b)": "take",
    rf"{_BEGIN}knock(?= .*\bdown\b)": "turn",
    rf"{_BEGIN}(?:need|want)(?= (?:an?|the) (?:acapella|instrumental|karaoke))": "i want",
    rf"\b({_NUMBER}) more db\b": r"\1 db more",
    rf"\b(give .+?) another ({_NUMBER}) ?db\b": r"\1 \2 db more",
    rf"\banother (?={_NUMBER} ?db\b)": "",
    rf"(?<=[+-]) (?={_NUMBER} ?db\b)|(?<=\badd )\+(?=\d)": "",
    r"^(?:music piece[.;,]? )?instruct(?:ion)?[,:]? ": "",  # how Instruct-MusicGen is asked
    r"\b(?:thanks|thank you) (?:a lot|so much|very much)$": "thanks",
    r"\bthe first minute\b": "the first 1 minute",
    r"\b(?:after|since) the first (?=\d)": "after ",
    r"\bfirst (?=\d)": "the first ",
    r"\bthe the first\b": "the first",
    r"\b(?:decibels?|dbs)\b": "db",
    r"\b(genre|style) of it\b": r"\1",
    r"\bvolume up\b": "up",
    r"\bvolume down\b": "down",
}
REWRITES = [(re.compile(pattern), words) for pattern, words in _WORDS.items()]
