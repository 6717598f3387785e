"""Merge the stems of a track into parts: one 16-bit FLAC per instrument, all of one length and one gain."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from instructme.dataset_tools import activity, audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.layouts import Rejected
from instructme.dataset_tools.stems import (
    copies,
    heard_twice,
    measures,
    mix_check,
    mix_lags,
    mixtures,
    name_check,
    song_spectra,
    sources,
    versions,
)
from instructme.dataset_tools.stored import Stored
from instructme.manifests.paths import slug, without_root
from instructme.manifests.rows import DataError, Part, Reject, Stem, Track

LENGTH_TOLERANCE_S = 5.0
"""Stems that end earlier or later than the others by up to this are padded: many a DAW trims the silence at the end."""
LOUD_TOLD, LOUD_REJECTED = 2.0, 10.0
"""Peaks above 6 dB over full scale are told; files that peak 20 dB over it hold something else than float samples."""
_TURNED = "all stems of the track are turned down"
_UNNAMED = "it is used in mixes, and no instruction names it; if the name is right, give it with scan --aliases"
SOFT, SOFT_TARGET = 0.05, 0.5
"""A track whose loudest part peaks below -26 dBFS is turned up to -6 dBFS."""
BALANCED_LUFS = {"vocals": -19.0, "drums": -20.0, "bass": -22.0, "guitar": -24.0, "keys": -24.0, "other": -25.0}
"""Loudness of each family in a rough mix: the voice in front, drums and bass under it, what accompanies behind."""
MOST_BALANCE_DB = 24.0
_MEMORY_BYTES = 256 << 20
"""Merged parts of a track wait in memory up to this size, then on disk."""


@dataclass(frozen=True)
class Merged:
    """The sum of one instrument's stems before the common gain."""

    stems: list[Stem]
    sound: Stored
    full_scale: float
    """Largest sample as a share of what 16 bit can hold on that side."""
    balance_db: float | None = None
    """Gain of this part alone, by `--balance-stems`; `full_scale` is after it."""

    def pcm(self, length: int, gain: float) -> Iterator[audio.Pcm]:
        """Pad the sum with silence, apply the gain and round to 16 bit: give it in blocks, and keep it as it is given."""
        gain = float(np.float32(gain * 10 ** ((self.balance_db or 0.0) / 20))) if self.balance_db else gain
        self.sound.pad(length)
        for start, block in self.sound.blocks():
            rounded = audio.to_int16(block * np.float32(gain) if gain != 1.0 else block)
            self.sound.put(start, rounded * np.float32(audio.STEP))
            yield rounded


def merge(
    track: Track,
    stems: Sequence[Stem],
    root: Path,
    scratch: Path,
    rate_hz: int,
    length_tolerance_s: float = LENGTH_TOLERANCE_S,
    channels: int = 1,
) -> tuple[list[Merged], list[Reject]]:
    """Decode each stem once, mono or with 2 `channels` at the working rate, and sum the stems of each instrument in float.

    Stems known to be bad, unreadable ones, and those whose length differs too much from the others' are rejected; the
    parts are then made of the rest, as a mix that misses a stem is still a mix. Of what is long, blocks are in memory at a
    time; the rest waits in `scratch`.
    """
    sound = [stem for stem in stems if stem.known_bad is None]
    lags_s, told = mix_lags.place(sound, track.mix_path, root) if track.aligned else ({}, [])
    kept, unfit = _select(track, stems, length_tolerance_s, lags_s)
    ordered = sorted(kept, key=lambda stem: (stem.instrument, stem.stem_id))
    song = _Song(
        track,
        ordered,
        lambda source: sources.read(source, root, scratch, rate_hz, channels, lags_s),
        lambda: Stored(scratch, channels, _MEMORY_BYTES // len({stem.instrument for stem in kept})),
        root,
        rate_hz,
        max((math.ceil(stem.length_samples * rate_hz / stem.sample_rate_hz) for stem in kept), default=0),
    )
    song.tell_all(told)
    song.rejects.extend(unfit)
    merged = song.merged()
    sums = song.tell_sums(kept, channels, scratch) if track.aligned else set()
    if track.mix_path and song.spectra and not any(each.reason == "trimmed" for each in told):
        alone = {path: spectra for path, spectra in song.spectra.items() if path not in sums}
        song.tell_all(mix_check.compare(alone, track.mix_path, root, song.length / rate_hz))
    merged, doubted = _asked(song.without(sums, merged), rate_hz)
    for stem, detail in doubted:
        song.tell(stem.path, "name_doubted", detail)
    song.tell_loud(merged)
    return merged, song.rejects


@dataclass(frozen=True)
class _Song:
    """The stems of a track by instrument and id, how they are decoded, and what is noticed of them."""

    track: Track
    stems: Sequence[Stem]
    decode: Callable[[Sequence[Stem]], tuple[Stored, list[sources.StemFault]]]
    total: Callable[[], Stored]
    root: Path
    rate_hz: int
    length: int
    rejects: list[Reject] = field(default_factory=list)
    heard: dict[str, copies.StemSketch] = field(default_factory=dict)
    alike: dict[str, str] = field(default_factory=dict)
    sketches: dict[str, Samples] = field(default_factory=dict)
    spectra: dict[str, song_spectra.Spectra] = field(default_factory=dict)

    def tell(self, item: str, reason: str, detail: str) -> None:
        self.rejects.append(reject(self.track, item or self.track.path, reason, detail))

    def tell_all(self, noticed: Iterable[Rejected]) -> None:
        for each in noticed:
            self.tell(each.item, each.reason, each.detail)

    def tell_sums(self, kept: Sequence[Stem], channels: int, scratch: Path) -> set[str]:
        """Tell of stems whose sound is in others, too. Returns the paths of those that are sums of others."""
        by_path = {source[0].path: source for source in sources.group(self.stems)}
        decoded = heard_twice.DecodedStems(
            kept, self.sketches, self.spectra, lambda path: self.read(by_path[path]), self.rate_hz, channels, scratch
        )
        doubled = heard_twice.find(decoded)
        sums = {overlap.name for overlap in doubled if overlap.is_sum}
        # A sum that is left out is not heard twice.
        self.rejects[:] = [
            row for row in self.rejects if row.reason != "overlap" or not sums & {row.item, self.alike.get(row.item)}
        ]
        for overlap in doubled:
            self.tell(overlap.name, "mixture" if overlap.is_sum else "overlap", overlap.detail)
        return sums

    def tell_loud(self, merged: Sequence[Merged]) -> None:
        """Tell of parts that are too loud though none of their stems is."""
        loud = {row.item for row in self.rejects if row.reason == "loud"}
        for part in merged:
            if part.full_scale > LOUD_TOLD and not loud & {stem.path for stem in part.stems}:
                detail = (
                    f"its {len(part.stems)} stems together peak {audio.db(part.full_scale):.0f} dB over full scale: {_TURNED}"
                )
                self.tell(part.stems[0].instrument, "loud", detail)

    def read(self, source: Sequence[Stem]) -> Stored:
        return self.decode(source)[0]

    def merged(self) -> list[Merged]:
        """Sum the stems of each instrument, of several versions of one the first."""
        aligned = self.track.aligned
        guides = versions.guides([*sources.group(self.stems)], self.read, self.rate_hz) if aligned else []
        self._tell_versions(guides)
        guided = {each.source for each in guides}
        left_out = {each.source for each in guides if each.certain}
        merged = []
        for _, group in groupby(self.stems, key=lambda stem: stem.instrument):
            several = [source for source in sources.group([*group]) if source not in left_out]
            found = versions.find(several, self.read, self.rate_hz) if aligned else []
            self._tell_versions(each for each in found if each.source not in guided)
            gone = [each.source for each in found if each.certain]
            merged += self._sum((source for source in several if source not in gone), checked=False)
        return merged

    def without(self, sums: Collection[str], merged: Sequence[Merged]) -> list[Merged]:
        """Sum the parts that hold sums of other stems again without these; a part of nothing else goes."""
        parts = []
        for part in merged:
            if any(stem.path in sums for stem in part.stems):
                part.sound.close()
                rest = [source for source in sources.group(part.stems) if source[0].path not in sums]
                parts += self._sum(rest, checked=True)
            else:
                parts.append(part)
        return parts

    def _tell_versions(self, found: Iterable[versions.Version]) -> None:
        for each in found:
            self.tell(each.source[0].path, "version" if each.certain else "overlap", each.detail)

    def _sum(self, several: Iterable[Sequence[Stem]], *, checked: bool) -> list[Merged]:
        """Sum the good ones of some stems, which are all of those that are `checked`; an empty list if none is good."""
        used, total = list[Stem](), self.total()
        for source in several:
            samples = self.read(source) if checked else self._check(source, total)
            if samples is not None:
                _add(total, samples)
                samples.close()
                used += source
        return [Merged(used, total, measures.full_scale(total))] if used else []

    def _check(self, source: Sequence[Stem], total: Stored) -> Stored | None:
        """Decode a stem that may join a sum, and tell what is wrong with it; None if it is not summed."""
        path = source[0].path
        try:
            samples, notes = self.decode(source)
            notes += _fault(source[0], samples, total, self.heard, self.rate_hz)
            notes += sources.faults(source, self.root, samples, self.rate_hz)
        except DataError as error:
            for stem in source:
                self.tell(stem.path, "unreadable", without_root(error, self.root))
            return None
        for note in notes:
            self.tell(path, note.reason, note.detail)
            self.alike.update({path: note.other} if note.other else {})
        if any(note.fatal for note in notes):
            samples.close()
            return None
        if self.track.aligned:
            self.sketches[path] = mixtures.sketch(samples, self.rate_hz)
            self.spectra[path] = song_spectra.of(samples, self.rate_hz, self.length)
        return samples


def _asked(merged: Sequence[Merged], rate_hz: int) -> tuple[list[Merged], list[tuple[Stem, str]]]:
    """Let parts whose sound contradicts the names of their files be "other", and say of each of their stems why.

    A name is not asked of one stem among several: a layer of a bass may have no low notes.
    """
    parts, others, doubted = list[Merged](), list[Merged](), list[tuple[Stem, str]]()
    for part in merged:
        named = all(stem.rule == "name" and stem.certain and stem.editable for stem in part.stems)
        sound = name_check.measure(part.sound, rate_hz) if named else None
        problem = name_check.against(part.stems[0].instrument, sound) if sound else None
        if problem:
            doubted += [(stem, f"it is named {stem.instrument}, but {problem}; {_UNNAMED}") for stem in part.stems]
            part = replace(part, stems=[_unnamed(stem) for stem in part.stems])
        (others if part.stems[0].instrument == "other" else parts).append(part)
    return sorted(parts + _joined(others), key=lambda part: part.stems[0].instrument), doubted


def _unnamed(stem: Stem) -> Stem:
    return replace(stem, instrument="other", family="other", editable=False, certain=False, guess=stem.instrument)


def _joined(parts: Sequence[Merged]) -> list[Merged]:
    """Sum parts into one."""
    if len(parts) < 2:
        return list(parts)
    total = parts[0].sound
    for part in parts[1:]:
        _add(total, part.sound)
        part.sound.close()
    stems = sorted((stem for part in parts for stem in part.stems), key=lambda stem: stem.stem_id)
    return [Merged(stems, total, measures.full_scale(total))]


def _add(total: Stored, samples: Stored) -> None:
    for start, block in samples.blocks():
        total.add(start, block)


def balanced(merged: Sequence[Merged], rate_hz: int) -> list[Merged]:
    """Bring the parts of a raw multitrack to a rough mix: each to the loudness that is usual for its family.

    No part changes by more than 24 dB; a part without a loudness stays as it is. Effects and other parts that no edit names are
    never turned up: on recorded songs some of them are 30 dB under the voice on purpose.
    """
    parts = []
    for part in merged:
        lufs = measures.lufs(part.sound, rate_hz)
        wanted = BALANCED_LUFS.get(part.stems[0].family, BALANCED_LUFS["other"])
        most_db = MOST_BALANCE_DB if part.stems[0].editable else 0.0
        change_db = 0.0 if lufs is None else round(float(np.clip(wanted - lufs, -MOST_BALANCE_DB, most_db)), 2)
        parts.append(replace(part, balance_db=change_db, full_scale=part.full_scale * 10 ** (change_db / 20)))
    return parts


def write(merged: Sequence[Merged], folder: Path, relative: Path, rate_hz: int) -> Iterator[tuple[Part, Stored]]:
    """Write each part as FLAC into `folder`; yield its row, with a path under `relative`, and its sound as written.

    All parts share a length, the longest, and a gain: 1 unless one of them would have clipped, or all are so soft that 16 bit
    would hold little of them. A sound is there until the next one is asked for.
    """
    length = max((len(part.sound) for part in merged), default=0)
    gain = _gain(max((part.full_scale for part in merged), default=0.0))
    for part in merged:
        sound, first = part.sound, part.stems[0]
        name = f"{slug(first.instrument)}.flac"
        audio.write_flac_blocks(folder / name, part.pcm(length, gain), rate_hz, sound.channels)
        level_db = measures.levels_db(sound, rate_hz)
        yield (
            Part(
                track_id=first.track_id,
                instrument=first.instrument,
                family=first.family,
                editable=first.editable,
                lead=any(stem.lead for stem in part.stems),
                path=(relative / name).as_posix(),
                stems=[stem.stem_id for stem in part.stems],
                sample_rate_hz=rate_hz,
                length_samples=length,
                gain=gain,
                lufs=measures.lufs(sound, rate_hz),
                rms_db=measures.rms_db(sound),
                peak_db=audio.db(measures.peak(sound)),
                bandwidth_hz=min(stem.sample_rate_hz for stem in part.stems) // 2,
                level_db=level_db,
                activity=activity.detect(level_db).tolist(),
                balance_db=part.balance_db,
                channels=None if sound.channels == 1 else sound.channels,
            ),
            sound,
        )
        sound.close()


def _fault(
    stem: Stem, samples: Stored, total: Stored, heard: dict[str, copies.StemSketch], rate_hz: int
) -> Iterator[sources.StemFault]:
    """Find what keeps a stem from being summed: silence, a copy, the opposite of what is there, levels beyond reason."""
    highest = measures.peak(samples)
    if highest < audio.STEP / 2:
        yield sources.StemFault("silent", "it holds no sound", False)
        return
    own = copies.listen(stem.instrument, samples, 0.1 * highest, rate_hz)
    if first := copies.find(own, heard, rate_hz):
        name = heard[first].instrument
        wrong = "" if name == stem.instrument else f", which is named {name}; one of the names is wrong"
        yield sources.StemFault("twice", f"the same sound as {first}{wrong}: only the first is used", True)
        return
    if opposite := copies.find(own, heard, rate_hz, sign=-1):
        yield sources.StemFault(
            "cancels", f"it is the opposite of {opposite}: together they are silent; only the first is used", True
        )
        return
    if later := copies.find_later(own, heard, rate_hz):
        yield sources.StemFault("overlap", later[1], False, later[0])
    if highest > LOUD_REJECTED:
        yield sources.StemFault(
            "too_loud", f"it peaks {audio.db(highest):.0f} dB over full scale: does the file hold integers?", True
        )
        return
    if highest > LOUD_TOLD:
        yield sources.StemFault("loud", f"it peaks {audio.db(highest):.0f} dB over full scale: {_TURNED}", False)
    if _cancels(samples, total):
        yield sources.StemFault("cancels", "it is the opposite of another stem of its instrument: together they are silent", True)
    else:
        heard[stem.path] = own  # a copy of what is left out may be right


def _cancels(samples: Stored, total: Stored) -> bool:
    """Tell whether a signal and the sum that it would join are silent together, though each of them sounds."""
    both = apart = 0.0
    for start, block in samples.blocks(stop=len(total)):
        other = total[start : start + len(block)]
        both += float(np.square(block + other, dtype=np.float64).sum())
        apart += float(np.square(block, dtype=np.float64).sum() + np.square(other, dtype=np.float64).sum())
    return apart > 0 and both < sources.CANCELLED * apart


def _gain(full_scale: float) -> float:
    """Bring a track down to full scale, or up where 16 bit would hold little of it."""
    if 0 < full_scale < SOFT:
        return float(np.float32(SOFT_TARGET / full_scale))
    return float(np.float32(1.0 / max(1.0, full_scale)))


def reject(track: Track, item: str, reason: str, detail: str, count: int = 1) -> Reject:
    """Note what of a track can't be prepared, and why."""
    return Reject("prepare", track.dataset, track.track_id, item, reason, detail, count)


def _select(track: Track, stems: Sequence[Stem], tolerance_s: float, lags_s: Collection[str]) -> tuple[list[Stem], list[Reject]]:
    """Sort out known-bad stems and, by the headers, those of another length than most, unless their place is known."""
    sound = [stem for stem in stems if stem.known_bad is None]
    rejects = [reject(track, stem.path, "known_bad", stem.known_bad) for stem in stems if stem.known_bad is not None]
    lengths_s = sorted(stem.length_samples / stem.sample_rate_hz for stem in sound)
    kept = []
    for stem in sound:
        usual_s, own_s = lengths_s[len(lengths_s) // 2], stem.length_samples / stem.sample_rate_hz
        if track.aligned and abs(own_s - usual_s) > tolerance_s and stem.path not in lags_s:
            detail = f"{own_s:.1f} s long, the track's stems {usual_s:.1f} s: raise --length-tolerance to pad it with silence"
            rejects.append(reject(track, stem.path, "length_differs", detail))
        else:
            kept.append(stem)
    return kept, rejects
