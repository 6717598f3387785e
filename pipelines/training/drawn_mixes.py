"""Draw mixes of parts, and questions about them, for a separator.

Half of the mixes are parts of one song that sound together, half are parts of different songs. A question is the name of an
instrument; its answer is the sum of all parts that this name covers, or silence.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from instructme.manifests.instruments import GENERAL_NAMES, INSTRUMENTS
from instructme.model.production import produce
from instructme.pipelines.training.part_bank import BLOCK_SAMPLES, PartBank

MOST_PARTS = 5
_COUNTS = (2, 3, 4, 5)
_COUNT_SHARES = (0.4, 0.35, 0.15, 0.1)
_FAMILY_WEIGHTS = {"drums": 4.0, "bass": 3.0, "guitar": 3.0, "vocals": 2.0, "keys": 3.0}
_BY_FAMILY = 0.7
"""Share of the parts that are drawn by the weights of their families; the others are balanced by name."""
_ABSENT_BY_FAMILY = 0.3
"""The same for instruments that do not sound. With a larger share, rare names are asked for only where they sound, and the
separator hears a harp everywhere."""
_WORDS_ALONE, _NAME_ALONE = 0.3, 0.3
"""Shares of the questions without the name, and without the words."""
_GAIN_DB, _WIDE_GAIN_DB, _WIDE_SHARE = (-7.0, 5.0), (-16.0, 4.0), 0.3
"""Levels of parts. Real mixes hold drums 18 dB under the rest: a share of the mixes is drawn more widely."""
_FASTEST = 2 ** (3 / 12)
_SEPARATE = {("piano", "electric piano")}


def covers(name: str, instrument: str) -> bool:
    """Tell whether a name also means an instrument: "guitar" means every guitar, "saxophone" the tenor saxophone."""
    if name == instrument or (name, instrument) in _SEPARATE:
        return name == instrument
    entry = INSTRUMENTS[instrument]
    return name == GENERAL_NAMES[entry.family] or instrument.endswith(f" {name}")


NAMES = tuple(name for name, entry in INSTRUMENTS.items() if entry.editable)
"""The names that may be asked for, in the order of the separator's table."""


class DrawnMixes(NamedTuple):
    """B mixes of up to P parts, with Q questions each, decided but not rendered."""

    parts: np.ndarray
    """(B, P) part of the bank, or -1."""
    starts: np.ndarray
    """(B, P) first sample of the window."""
    speeds: np.ndarray
    gains: np.ndarray
    """(B, P) amplitudes."""
    asked: np.ndarray
    """(B, Q) index into NAMES."""
    covered: np.ndarray
    """(B, Q, P) 1 where a question covers a part."""


def draw(bank: PartBank, mixes: int, questions: int, rng: np.random.Generator, *, absent: float = 0.2) -> DrawnMixes:
    """Draw mixes whose first question is balanced by the names of instruments; a share of the questions is about none of them."""
    rows = [_draw_mix(bank, questions, rng, absent) for _ in range(mixes)]
    return DrawnMixes(*(np.stack(column) for column in zip(*rows, strict=True)))


def _draw_mix(bank: PartBank, questions: int, rng: np.random.Generator, absent: float) -> tuple[np.ndarray, ...]:
    first = _draw_part(bank, rng)
    count = int(rng.choice(_COUNTS, p=_COUNT_SHARES))
    parts, starts, speeds = _from_song(bank, first, count, rng) if rng.random() < 0.5 else ([], [], [])
    if len(parts) < 2:
        parts, starts, speeds = _from_songs(bank, first, count, rng)
    empty = np.full(MOST_PARTS, -1)
    empty[: len(parts)] = parts
    gains = 10 ** (rng.uniform(*(_WIDE_GAIN_DB if rng.random() < _WIDE_SHARE else _GAIN_DB), MOST_PARTS) / 20)
    named = [bank.parts[part].instrument for part in parts]
    asked = [_question(named, each, rng, absent) for each in range(questions)]
    covered = np.array([[float(covers(name, each)) for each in named] + [0.0] * (MOST_PARTS - len(named)) for name in asked])
    indices = np.array([NAMES.index(name) for name in asked])
    return empty, _padded(starts), _padded(speeds), gains, indices, covered


def _padded(values: list[float]) -> np.ndarray:
    return np.array([*values, *[1.0] * (MOST_PARTS - len(values))])


def _draw_part(bank: PartBank, rng: np.random.Generator, avoid: tuple[str, ...] = ()) -> int:
    """Draw a part by weighted family, or evenly by name."""
    names = [name for name in list(bank.by_instrument) if INSTRUMENTS[name].editable and name not in avoid]
    families = {INSTRUMENTS[name].family for name in names}
    if rng.random() < _BY_FAMILY:
        order = sorted(families)
        weights = np.array([_FAMILY_WEIGHTS.get(family, 1.0) for family in order])
        family = order[rng.choice(len(order), p=weights / weights.sum())]
        names = [name for name in names if INSTRUMENTS[name].family == family]
    members = bank.by_instrument[names[rng.integers(len(names))]]
    return members[rng.integers(len(members))]


def _start(bank: PartBank, part: int, rng: np.random.Generator) -> int:
    starts = bank.parts[part].starts
    block = int(starts[rng.integers(len(starts))]) * BLOCK_SAMPLES
    return max(0, int(block + rng.integers(-BLOCK_SAMPLES, BLOCK_SAMPLES)))


def _speed(rng: np.random.Generator) -> float:
    return float(_FASTEST ** rng.uniform(-1, 1)) if rng.random() < 0.6 else 1.0


def _from_song(bank: PartBank, first: int, count: int, rng: np.random.Generator) -> tuple[list[int], list[float], list[float]]:
    """Take other parts of the song that sound in the same window."""
    start, speed = _start(bank, first, rng), _speed(rng)
    block = start // BLOCK_SAMPLES
    others = [each for each in bank.songs[bank.parts[first].song] if each != first and _near(bank.parts[each].starts, block)]
    others = list(rng.permutation(others)[: count - 1])
    parts = [first, *map(int, others)]
    return parts, [start] * len(parts), [speed] * len(parts)


def _near(starts: np.ndarray, block: int) -> bool:
    place = np.searchsorted(starts, block)
    return bool(place < len(starts) and starts[place] - block <= 1) or bool(place and block - starts[place - 1] <= 1)


def _from_songs(bank: PartBank, first: int, count: int, rng: np.random.Generator) -> tuple[list[int], list[float], list[float]]:
    """Take parts of other songs, of other instruments."""
    parts, names = [first], [bank.parts[first].instrument]
    while len(parts) < count and len(names) < len(bank.by_instrument):
        part = _draw_part(bank, rng, tuple(names))
        parts.append(part)
        names.append(bank.parts[part].instrument)
    return parts, [_start(bank, each, rng) for each in parts], [_speed(rng) for _ in parts]


def _question(named: list[str], which: int, rng: np.random.Generator, absent: float) -> str:
    """Name a part, by its own name or a more general one, or an instrument that does not sound."""
    if rng.random() < absent:
        free = [name for name in NAMES if not any(covers(name, each) or covers(each, name) for each in named)]
        asked_often = [name for name in free if INSTRUMENTS[name].family in _FAMILY_WEIGHTS]
        free = asked_often if asked_often and rng.random() < _ABSENT_BY_FAMILY else free
        return free[rng.integers(len(free))]
    sounding = [each for each in named if INSTRUMENTS[each].editable]
    instrument = sounding[which % len(sounding)]
    general = [name for name in NAMES if name != instrument and covers(name, instrument)]
    return general[rng.integers(len(general))] if general and rng.random() < 0.4 else instrument


class RenderedMixes(NamedTuple):
    """Mixes (B, T), the answers (B, Q, T) to their questions, and the questions (B, Q)."""

    mix: Tensor
    answers: Tensor
    asked: Tensor


def render(bank: PartBank, drawn: DrawnMixes, rate_hz: int, generator: torch.Generator | None = None) -> RenderedMixes:
    """Read the parts, produce them if there is a generator, and sum them, on the device of the bank."""
    return mixed(dry_parts(bank, drawn), drawn, rate_hz, generator)


def dry_parts(bank: PartBank, drawn: DrawnMixes) -> Tensor:
    """Read the parts with their gains: (B, P, T), silent where a mix has fewer parts."""
    parts = torch.zeros(*drawn.parts.shape, bank.window_samples, device=bank.device)
    for row, column in np.argwhere(drawn.parts >= 0):
        part, start, speed, gain = (each[row, column].item() for each in drawn[:4])
        parts[row, column] = bank.window(part, int(start), speed) * gain
    return parts


def mixed(parts: Tensor, drawn: DrawnMixes, rate_hz: int, generator: torch.Generator | None = None) -> RenderedMixes:
    """Produce dry parts if there is a generator, and sum them."""
    if generator is not None:
        parts = produce(parts.flatten(0, 1), rate_hz, generator).view_as(parts)
    covered = torch.from_numpy(drawn.covered).to(parts)
    answers = torch.einsum("bqp,bpt->bqt", covered, parts)
    return RenderedMixes(parts.sum(dim=1), answers, torch.from_numpy(drawn.asked).to(parts.device))


def ask(asked: Tensor, words: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
    """Leave out the name or the words of some questions, so that the separator understands each alone.

    Args:
        asked: (B, Q) indices into NAMES.
        words: (B, Q, width) text vectors of these names.
        chance: (B, Q) random numbers of 0 to 1.

    Returns:
        Names and words as `Separator` takes them.
    """
    name = torch.where(chance < _WORDS_ALONE, -1, asked)
    return name, torch.where((chance > 1 - _NAME_ALONE)[..., None], torch.nan, words)
