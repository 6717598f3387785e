"""Check that the stems of one song belong together in time.

Their headers tell rates, starts and delays. Lengths and first samples tell that silence was cut from their starts.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from instructme.dataset_tools import audio
from instructme.dataset_tools.broken_headers import Facts
from instructme.dataset_tools.layouts import Rejected
from instructme.manifests.paths import inside
from instructme.manifests.rows import DataError, Stem

TRIMMED_S, SHORTEST_S = 0.5, 10.0
"""Stems of a song of so many seconds differ in length by more than this, if silence was cut from their starts."""
FIRST_S, FIRST_DB = 0.1, -50.0
"""A stem begins with sound if it is louder than this so early. In whole exports, some stem nearly always waits."""

SECOND_S = 1e-3
"""Lengths differ by whole seconds if they differ by no more from them. Of other lengths, one pair in 500 does so."""
DIFFERENT_S = 0.05
"""Stems whose lengths differ by more are looked for in the mix of their song."""
PIECES_S = 0.5
"""Files that follow each other are together as long as the longest stem, within this."""
_SPEED, NEAR_SPEED = 44100 / 48000, 2e-4
"""Ratio of the lengths of one recording at the wrong one of two usual sample rates, and how near to it a ratio is the same."""
_NEAR = 0.01
"""Numbers of frames that differ by so much are about the same: stems are trimmed. Usual rates differ by 8 % or more."""


def check(stems: Sequence[Stem], facts: Mapping[str, Facts]) -> tuple[list[Stem], list[Rejected]]:
    """Leave out stems that can't be in time with the others, and tell of those that may not be.

    Args:
        stems: those of one song.
        facts: what the bytes of the files say, by path.
    """
    wrong = [*_of_other_rates(stems)]
    kept = [stem for stem in stems if stem.path not in {each.item for each in wrong}]
    return kept, [*wrong, *_starts(kept, facts), *_delays(kept, facts), *_pieces(kept), *_of_other_speeds(kept)]


def _of_other_rates(stems: Sequence[Stem]) -> Iterator[Rejected]:
    """Name stems of about as many frames as others, but of another rate: one of both headers is wrong."""
    for stem in stems:
        rates = Counter(other.sample_rate_hz for other in stems if _has_as_many_frames(other, stem)).most_common(2)
        if len(rates) < 2 or (stem.sample_rate_hz == rates[0][0] and rates[0][1] > rates[1][1]):
            continue
        others = next(rate for rate, _ in rates if rate != stem.sample_rate_hz)
        detail = f"it has as many frames as a stem of {others} Hz, but {stem.sample_rate_hz} Hz by its header: export it again"
        yield Rejected(stem.path, "rate_differs", detail)


def _has_as_many_frames(other: Stem, stem: Stem) -> bool:
    """Tell whether two stems have about the same number of frames; of two rates, it differs by much less than they do."""
    apart = abs(other.sample_rate_hz / stem.sample_rate_hz - 1)
    near = min(_NEAR, apart / 4) if apart else _NEAR
    return abs(other.length_samples - stem.length_samples) <= near * stem.length_samples


def _of_other_speeds(stems: Sequence[Stem]) -> list[Rejected]:
    """Tell of a stem that is as much shorter or longer than all others as if it were played at another sample rate."""
    if len(stems) < 3:
        return []
    whole_s = _lengths_s(stems)[len(stems) // 2]
    odd = [stem for stem in stems if abs(_length_s(stem) - whole_s) > DIFFERENT_S]
    if len(odd) != 1:
        return []
    ratio = _length_s(odd[0]) / whole_s
    if min(abs(ratio / _SPEED - 1), abs(ratio * _SPEED - 1)) > NEAR_SPEED:
        return []
    detail = f"it is {ratio:.4f} times as long as the other stems, as if it were played at another sample rate: export it again"
    return [Rejected(odd[0].path, "rate_differs", f"{detail} if that is so")]


def _starts(stems: Sequence[Stem], facts: Mapping[str, Facts]) -> Iterator[Rejected]:
    """Tell of Broadcast Wave files that begin later than others by their time reference."""
    starts_s = {
        stem.path: reference / stem.sample_rate_hz for stem in stems if (reference := facts[stem.path].time_reference) is not None
    }
    first_s = min(starts_s.values(), default=0.0)
    for path, start_s in starts_s.items():
        if start_s - first_s > 1e-3:
            begins = f"its time reference says that it begins {start_s - first_s:.3f} s after the first stem; all start together"
            yield Rejected(path, "time_reference", f"{begins}: export it from the start of the song if that is wrong")


def _delays(stems: Sequence[Stem], facts: Mapping[str, Facts]) -> list[Rejected]:
    """Tell of MP3 files that may begin late, beside files that don't."""
    late = [stem for stem in stems if facts[stem.path].delayed]
    detail = "it doesn't state the delay of its encoder and may sound 25 to 50 ms late beside the other stems"
    return [Rejected(stem.path, "mp3_delay", detail) for stem in late] if len(late) < len(stems) else []


def _pieces(stems: Sequence[Stem]) -> Iterator[Rejected]:
    """Tell of files that may follow each other, such as `Drums_part1` and `Drums_part2`: their lengths add up to the longest."""
    whole_s = max(_lengths_s(stems), default=0.0)
    series: defaultdict[tuple[str, str], list[Stem]] = defaultdict(list)
    for stem in stems:
        series[stem.instrument, re.sub(r"\d+", "", stem.path)].append(stem)
    for own in series.values():
        lengths_s = _lengths_s(own)
        if abs(sum(lengths_s) - whole_s) < PIECES_S and lengths_s[-1] < whole_s - PIECES_S:
            long = f"it and {own[0].path} are together as long as the song, and are heard at once"
            yield Rejected(own[-1].path, "trimmed", f"{long}: if they follow each other, join them")


def differ(stems: Sequence[Stem]) -> bool:
    """Tell whether the stems of a song differ in length, so that their starts may have been cut."""
    lengths_s = _lengths_s(stems)
    return bool(lengths_s) and lengths_s[-1] - lengths_s[0] > DIFFERENT_S


def trimmed(stems: Sequence[Stem], root: Path) -> str | None:
    """Tell of stems whose starts may have been cut: all begin with sound and have three lengths, or differ by whole seconds.

    So may a stem alone be cut that is shorter than all others and begins with sound, or all others, if one is longer.
    """
    lengths_s = _lengths_s(stems)
    steps_s = [step for one, other in pairwise(lengths_s) if (step := other - one) > SECOND_S]
    if not steps_s or lengths_s[-1] < SHORTEST_S:
        return None
    begin = sum(step > TRIMMED_S for step in steps_s) > 1 and all(_begins(stem, root) for stem in stems)
    begin = begin or _odd_one_begins(stems, root)
    if not begin and any(abs(step - round(step)) > SECOND_S for step in steps_s):
        return None
    lengths = f"its stems differ in length by {lengths_s[-1] - lengths_s[0]:.1f} s{' and begin with sound' if begin else ''}"
    return f"{lengths}: if their starts were cut, they are not in time; export them from the start of the song"


def _odd_one_begins(stems: Sequence[Stem], root: Path) -> bool:
    """Tell whether all stems but one have one length, and the shorter ones begin with sound as if their starts were cut."""
    lengths_s = _lengths_s(stems)
    steps_s = [other - one for one, other in pairwise(lengths_s)]
    if len(stems) < 3 or sum(step > DIFFERENT_S for step in steps_s) != 1:
        return False
    shorter = [stem for stem in stems if _length_s(stem) < lengths_s[-1] - TRIMMED_S]
    return len(shorter) in (1, len(stems) - 1) and all(_begins(stem, root) for stem in shorter)


def _lengths_s(stems: Sequence[Stem]) -> list[float]:
    return sorted(map(_length_s, stems))


def _length_s(stem: Stem) -> float:
    return stem.length_samples / stem.sample_rate_hz


def _begins(stem: Stem, root: Path) -> bool:
    try:
        first = audio.read(inside(root, stem.path), length=round(FIRST_S * stem.sample_rate_hz), channel=0)
    except DataError:
        return True  # what can't be read, tells nothing
    return audio.peak_db(first) > FIRST_DB
