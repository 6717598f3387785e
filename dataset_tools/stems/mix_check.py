"""Compare the stems of a song with the mix beside them: each is heard in it, at its place, and together they are all of it.

Each stem's level in the mix is fitted (least squares). Then the stem is correlated at all lags with what the other stems leave
of the mix. So a stem that is late, inverted or of another version is told, also in a mix with an equaliser and a limiter.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.layouts import Rejected
from instructme.dataset_tools.stems import song_spectra
from instructme.dataset_tools.stems.song_spectra import Real, Spectra
from instructme.manifests.paths import inside, without_root
from instructme.manifests.rows import DataError

HEARD = 8.0
"""Height of a stem's correlation with the rest of the mix from which on it is heard there. Right stems reach 10 nearly always."""
CLEAR = 12.0
"""The same at another time than it should be."""
EXPECTED = 24.0
"""A stem that would reach this height at the level of the others, and reaches `HEARD` at no time, is not in the mix."""
NEXT = 0.8
"""The next highest correlation, against the highest: in loops, a lag is not certain."""
NEAR_S = 0.01
"""Stems that are nearer to their place are at it."""
LACKING = 0.2
"""Share of a mix's power that no stem explains: more is told."""
LACKING_ALIKE, ALIKE = 0.015, 0.985
"""The same where levels of each band and stretch explain hardly more than one level for the song. Lossy coding leaves 0.7 %."""
BALANCE_DB = 10.0
"""Levels differ from those in the mix by so much; an equaliser and a limiter make up to 6 dB."""
_SAME_S = 0.002
_PEAK_S = 0.002
_BANDS_HZ = (30, 100, 200, 400, 800, 1400, 1800)
"""A mix may be equalised and compressed: how much of it the stems explain is fitted in each band of each stretch."""
_MEDIAN = 0.6745
"""Median of what is normally distributed, against its standard deviation."""
_FAINT = 1e-9


def compare(stems: Mapping[str, Spectra], mix: str, root: Path, length_s: float) -> list[Rejected]:
    """Compare stems with the file of their mix; tell of those that do not fit, or of the song (no item).

    Args:
        stems: the spectra of those that sound, by path, without sums of others.
        mix: the path of the mix.
        root: the folder of the dataset.
        length_s: length of the song.
    """
    path = inside(root, mix)
    try:
        spectra = song_spectra.read(path, length_s)
        late_s = common_lag_s(stems, spectra)
        if late_s and abs(late_s) > NEAR_S:  # else its stretches are nearly the same
            spectra = song_spectra.read(path, length_s, late_s)
            late_s = common_lag_s(stems, spectra)
    except DataError as error:
        return [Rejected(mix, "mix_unread", without_root(f"the stems can't be compared with it: {error}", root))]
    return check(stems, spectra, late_s, mix)


def check(stems: Mapping[str, Spectra], mix: Spectra, late_s: float | None, called: str) -> list[Rejected]:
    """Find the stems that are not heard in a mix as they are, and tell if they are not all of it.

    Args:
        stems: their spectra by path.
        mix: its spectra.
        late_s: see `common_lag_s`.
        called: the name of the mix.
    """
    sizes = {name: size for name, each in stems.items() if (size := math.sqrt(song_spectra.power(each)))}
    whole = song_spectra.power(mix)
    if not sizes or not whole:
        return []
    if late_s is None:
        return [Rejected("", "mix_differs", f"none of its stems is heard in {called}: is one of another version or speed?")]
    mix = song_spectra.earlier(mix / np.float32(math.sqrt(whole)), late_s)
    unit = np.stack([stems[name] / np.float32(size) for name, size in sizes.items()])
    places = dict(zip(sizes, _places(unit, [*sizes.values()], mix), strict=True))
    wrong = {**_moved(unit, [*sizes], mix, called), **_wrong(places, called)}
    told = [Rejected(name, "mix_differs", detail) for name, detail in wrong.items()]
    return (told or _lack(unit, mix, called)) + _balance(places, called)


def common_lag_s(stems: Mapping[str, Spectra], mix: Spectra) -> float | None:
    """Find how much later than the stems a mix is: the lag of most of them, of the loudest where two lags have as many."""
    found = {name: song_spectra.lag_s(mix, each, HEARD) for name, each in stems.items()}
    lags_s = {name: lag_s for name, lag_s in found.items() if lag_s is not None}
    powers = {name: song_spectra.power(stems[name]) for name in lags_s}
    together = [[name for name, lag_s in lags_s.items() if abs(lag_s - own_s) <= _SAME_S] for own_s in lags_s.values()]
    most = max(together, key=lambda names: (len(names), sum(powers[name] for name in names)), default=[])
    return song_spectra.nearest(mix, [stems[name] for name in most], lags_s[most[0]])[0] if most else None


class _Place(NamedTuple):
    """How a stem is heard in what the others leave of a mix, in standard deviations of its correlation."""

    here: float
    highest: float
    late_s: float
    """At the highest."""
    next: float
    """The next highest."""
    usual: float
    """What it would reach here at level 1."""
    level: float

    @property
    def heard(self) -> bool:
        return abs(self.here) >= HEARD and (abs(self.late_s) <= NEAR_S or abs(self.here) >= NEXT * abs(self.highest))

    @property
    def elsewhere(self) -> str | None:
        """Say when else it is heard, if that is beyond doubt."""
        if abs(self.late_s) <= NEAR_S or abs(self.highest) < CLEAR or self.next > NEXT * abs(self.highest):
            return None
        return f"{abs(self.late_s):.3f} s {'later' if self.late_s > 0 else 'earlier'}"


def _places(unit: Spectra, sizes: Sequence[float], mix: Spectra) -> list[_Place]:
    """Look for each stem of power 1 `(stems, stretches, frequencies)` in what the others leave of a mix that begins with them."""
    weighed = song_spectra.weights(mix)
    root = np.sqrt(weighed)
    levels = song_spectra.levels(*_summed([_products(unit[:, row] * root, mix[row] * root) for row in range(len(mix))]))
    rest = mix - np.tensordot(levels.astype(np.float32), unit, 1)
    return [_place(rest, stem, float(level), size, weighed) for stem, level, size in zip(unit, levels, sizes, strict=True)]


def _place(rest: Spectra, stem: Spectra, level: float, size: float, weighed: song_spectra.Weights) -> _Place:
    heights = song_spectra.correlate(rest + np.float32(level) * stem, stem, weighed)
    usual = song_spectra.correlate(stem, stem, weighed).max() * size
    deviation = float(np.median(np.abs(heights))) / _MEDIAN + _FAINT * float(usual)
    at, centre, near = int(np.abs(heights).argmax()), len(heights) // 2, round(_PEAK_S * song_spectra.RATE_HZ)
    others = np.concatenate([heights[: max(at - near, 0)], heights[at + near + 1 :]])
    late_s = (centre - at) / song_spectra.RATE_HZ
    return _Place(
        float(heights[centre]) / deviation,
        float(heights[at]) / deviation,
        late_s,
        float(np.abs(others).max()) / deviation,
        float(usual) / deviation,
        level / size,
    )


def _wrong(places: Mapping[str, _Place], called: str) -> dict[str, str]:
    """Say of each stem that is not heard as it is, how it is heard."""
    heard = [place for place in places.values() if place.heard]
    sign = np.sign(sum(np.sign(place.here) for place in heard)) or 1.0
    usual = float(np.median([abs(place.level) for place in heard])) if heard else 0.0
    told = {}
    for name, place in places.items():
        if place.heard:
            if sign * place.here < 0:
                told[name] = f"in {called} it is inverted, against the other stems"
        elif place.elsewhere:
            told[name] = f"it is {place.elsewhere} than in {called}, against the other stems"
        elif usual * place.usual >= EXPECTED and abs(place.here) < HEARD:
            told[name] = f"in {called} it is not heard at its time: is it late, reversed or of another version?"
    return told


def _moved(unit: Spectra, names: Sequence[str], mix: Spectra, called: str) -> dict[str, str]:
    """Say of each stem `(stems, stretches, frequencies)` whether half of it is at another time: samples were lost or added."""
    told: dict[str, str] = {}
    for half, rows in zip(("first", "second"), np.array_split(np.arange(len(mix)), 2), strict=True):
        sounding = np.flatnonzero(unit[:, rows].any(axis=(1, 2)))
        if len(rows) and len(sounding):
            places = _places(unit[sounding][:, rows], [1.0] * len(sounding), mix[rows])
            told |= {
                names[int(at)]: f"its {half} half is {when} than in {called}, against the other stems"
                for at, place in zip(sounding, places, strict=True)
                if (when := place.elsewhere)
            }
    return told


def _balance(places: Mapping[str, _Place], called: str) -> list[Rejected]:
    """Tell of levels that are far from those in the mix, as where each stem was normalised."""
    levels = {name: abs(place.level) for name, place in places.items() if place.heard and place.level}
    soft, loud = min(levels, key=levels.__getitem__, default=""), max(levels, key=levels.__getitem__, default="")
    if not levels or (spread_db := audio.db(levels[loud] / levels[soft])) < BALANCE_DB:
        return []
    detail = f"{loud} is {spread_db:.0f} dB louder against {soft} in {called} than in the stems: see prepare --balance-stems"
    return [Rejected("", "mix_differs", detail)]


def _lack(stems: Spectra, mix: Spectra, called: str) -> list[Rejected]:
    """Tell if stems `(stems, stretches, frequencies)` are not all of a mix.

    Their levels are fitted in each band of each stretch, and as one for the song. An equaliser and a limiter make the second
    fit worse than the first; a stem that is missing makes both alike.
    """
    hz = np.arange(mix.shape[1]) * song_spectra.RATE_HZ / song_spectra.LENGTH
    bands = [(hz >= low_hz) & (hz < high_hz) for low_hz, high_hz in pairwise(_BANDS_HZ)]
    pieces = [_products(stems[:, row, band], mix[row, band]) for band in bands for row in range(len(mix))]
    whole = song_spectra.power(mix[:, np.logical_or.reduce(bands)])
    left = 1 - sum(song_spectra.explained(*each) for each in pieces) / whole
    left_at_once = 1 - song_spectra.explained(*_summed(pieces)) / whole
    if left < LACKING and not (left > LACKING_ALIKE and left > ALIKE * left_at_once):
        return []
    lost = "a stem may be missing or of another version, or the mix has effects that the stems lack"
    return [Rejected("", "mix_differs", f"its stems explain {1 - left:.0%} of {called}: {lost}")]


def _products(stems: Spectra, mix: Spectra) -> tuple[Real, Real]:
    """Correlate stems `(stems, frequencies)` with each other, and with a mix `(frequencies,)`."""
    return (stems @ stems.conj().T).real.astype(np.float64), (stems @ mix.conj()).real.astype(np.float64)


def _summed(products: Sequence[tuple[Real, Real]]) -> tuple[Real, Real]:
    among, shared = zip(*products, strict=True)
    return np.asarray(sum(among)), np.asarray(sum(shared))
