"""Find the time spans in a sentence: "from 0:10 to 0:20", "for the first 5 seconds", "after 1:30"."""

import re
from typing import NamedTuple

_NUMBER = r"\d+(?:\.\d+)?"
_SECOND = r"(?:s|secs?|seconds?)\b"
_MINUTE = r"(?:m|mins?|minutes?)\b"
_CLOCK = r"\d{1,3}:\d{2}(?::\d{2})?(?:\.\d+)?"
_LENGTH = rf"(?:{_NUMBER}[ -]?(?:m|mins?|minutes?)(?: and | )?{_NUMBER}[ -]?{_SECOND}|{_NUMBER}[ -]?(?:{_SECOND}|{_MINUTE}))"
_COUNTED = rf"(?:seconds?|secs?|minutes?|mins?) {_NUMBER}(?! ?(?:{_SECOND}|{_MINUTE}|:))"
_TIME = rf"(?:the )?(?:{_CLOCK}|{_LENGTH}|{_COUNTED})(?: mark)?"
_START = r"the (?:very )?(?:start|beginning|top)"
_END = r"the (?:very )?end"
_TO = r"(?: to | till | til | until | up to | through | ?[-–] ?)"
_WHOLE = r"(?: of it)?"
_PATTERNS = [
    rf"(?:from|between|starting (?:at|from)|after|since) (?P<a>{_TIME}|{_START}|{_NUMBER}){_TO}(?P<b>{_TIME}|{_END}){_WHOLE}",
    rf"between (?P<a>{_TIME}|{_START}|{_NUMBER}) and (?P<b>{_TIME}|{_END}){_WHOLE}",
    rf"(?:from|starting at|starting from|after|at) (?P<a>{_TIME}|{_START}) for (?P<d>{_LENGTH})",
    rf"for (?P<d>{_LENGTH}),? (?:from|starting at|starting from|after) (?P<a>{_TIME}|{_START})",
    rf"(?:(?:for|in|during|over|within) )?the (?:first|opening) (?P<b>{_LENGTH}){_WHOLE}",
    rf"(?:from|starting at|starting from|after|past|since) (?P<a>{_TIME}|{_START}){_WHOLE}(?: (?:onwards?|on(?! top\b)))?",
    rf"(?:until|till|til|before|up to|up until) (?P<b>{_TIME}|{_END}){_WHOLE}",
    rf"(?:in |during )?(?P<a>{_CLOCK}|{_NUMBER}){_TO}(?P<b>{_CLOCK}|{_LENGTH})",
]
_SPANS = [re.compile(rf"(?<![\w:.@])(?:{pattern})(?![\w:])") for pattern in _PATTERNS]
MARK = re.compile(r"@\d+")
"""Takes the place of a time span in a sentence."""


class TimeSpan(NamedTuple):
    """Seconds; None where the span is open."""

    start_s: float | None
    end_s: float | None


def find(text: str) -> tuple[str, list[TimeSpan]]:
    """Put marks in the place of time spans: "mute drums from 0:10 to 0:20" is "mute drums @0", with that span.

    Raises:
        ValueError: a span that ends before it starts, or a clock time with 60 seconds or more; its words.
    """
    spans: list[TimeSpan] = []

    def mark(match: re.Match[str]) -> str:
        spans.append(_span(match))
        return f"@{len(spans) - 1}"

    for pattern in _SPANS:
        text = pattern.sub(mark, text)
    return text, spans


def _span(match: re.Match[str]) -> TimeSpan:
    groups = match.groupdict()
    end_words = groups.get("b") or ""
    start = _seconds(groups.get("a") or "", end_words)
    end = _seconds(end_words) if not end_words.endswith("end") else None
    if groups.get("d"):
        end = (start or 0.0) + (_seconds(groups["d"]) or 0.0)
    if end is not None and end <= (start or 0.0):
        raise ValueError(match[0])
    first = "a" not in groups and "d" not in groups and re.search(r"\b(?:first|opening)\b", match[0])
    return TimeSpan(0.0 if first else start, end)


def _seconds(words: str, later: str = "") -> float | None:
    """Read a time; a bare number takes the unit of the later end of the span."""
    if not words or re.search(r"\b(?:start|beginning|top)$", words):
        return 0.0 if words else None
    if clock := re.search(_CLOCK, words):
        *most, seconds = clock[0].split(":")
        if float(seconds) >= 60:
            raise ValueError(words)
        return sum(60.0**power * float(part) for power, part in enumerate([seconds, *reversed(most)]))
    numbers = [float(number) for number in re.findall(_NUMBER, words)]
    if len(numbers) == 2:
        return 60 * numbers[0] + numbers[1]
    minutes = re.search(rf"(?<![a-z]){_MINUTE}", words) or (not re.search(rf"(?<![a-z]){_SECOND}", words) and "min" in later)
    return numbers[0] * (60 if minutes else 1)
