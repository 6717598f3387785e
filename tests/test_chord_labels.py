"""Chord labels: Harte syntax and codes, against mir_eval."""

import itertools
import json

import mir_eval
import numpy as np
import pytest
from conftest import real_data
from hypothesis import given
from hypothesis import strategies as st
from synthetic import agreement, codes_at

from instructme.dataset_tools import chord_labels
from instructme.dataset_tools.chord_labels import NAMES, codes, parse
from instructme.manifests.rows import DataError

LABELS = st.sampled_from(["N", *(f"{root}:{quality}" for root in NAMES for quality in ("maj", "min", "7", "sus4", "dim"))])
SEQUENCES = st.dictionaries(st.integers(0, 900), LABELS, min_size=1, max_size=8).map(lambda chords: sorted(chords.items()))


def _arrays(sequence: list[tuple[int, str]]) -> tuple[np.ndarray, list[str]]:
    return np.array([start for start, _ in sequence], dtype=np.int64), [label for _, label in sequence]


@pytest.mark.parametrize("root", ["C", "F#", "Bb", "Cb", "B#", "Abb"])
@pytest.mark.parametrize(
    "rest",
    [f":{name}" for name in mir_eval.chord.QUALITIES if name and "1" not in name and "9" not in name] + ["", ":min/b3", ":7/5"],
)
def test_pitch_classes_are_mir_evals(root: str, rest: str) -> None:
    tonic, semitones, bass = mir_eval.chord.encode(root + rest)
    expected = {(tonic + step) % 12 for step in np.flatnonzero(semitones)}
    assert parse(root + rest) == (tonic, frozenset(expected), (tonic + bass) % 12)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("C:(1,5)", {0, 7}),
        ("C:maj(*5)", {0, 4}),
        ("C:sus4(b7,9)", {0, 5, 7, 10, 2}),
        ("D:maj9", {2, 6, 9, 1, 4}),
        ("C:maj11", {0, 4, 7, 11, 2, 5}),
        ("C:min13", {0, 3, 7, 10, 2, 5, 9}),
        ("C:aug7", {0, 4, 8, 10}),
        ("C:9(*9,*3)", {0, 7, 10}),
        ("A:min/2", {9, 0, 4, 11}),
        ("X", set()),
        ("N", set()),
    ],
)
def test_degrees_are_added_and_omitted(label: str, expected: set[int]) -> None:
    assert parse(label).pitch_classes == expected


@pytest.mark.parametrize(
    "label", ["", "H:maj", "C:", "C:major", "C:maj/", "C:maj/15", "Cm", "c:maj", "C:maj(", "N:maj", "C:maj(14)"]
)
def test_other_syntax_is_refused(label: str) -> None:
    with pytest.raises(DataError, match="not a chord label"):
        parse(label)


def test_codes_keep_root_and_third() -> None:
    labels = ["N", "X", "C:maj", "B:7/3", "C:min7", "B:hdim7", "D:sus4", "D:5", "E:aug", "C#", "Db:maj6", "C:7(#9)"]
    assert codes(labels).tolist() == [0, 0, 1, 12, 13, 24, 3, 3, 5, 2, 2, 1]


@pytest.mark.parametrize("label", ["N", "X"])
def test_no_chord_has_neither_root_nor_bass(label: str) -> None:
    assert parse(label).root == parse(label).bass == -1


@pytest.mark.parametrize("number", range(10))
def test_agreement_is_mir_evals_thirds(number: int) -> None:
    folder = real_data(f"mir_eval_fixtures/chord/ref{number:02}.lab").parent
    reference, labels_a = mir_eval.io.load_labeled_intervals(str(folder / f"ref{number:02}.lab"))
    estimate, labels_b = mir_eval.io.load_labeled_intervals(str(folder / f"est{number:02}.lab"))
    first, last = reference.min(), reference.max()
    estimate, labels_b = mir_eval.util.adjust_intervals(estimate, labels_b, first, last, "N", "N")
    starts = [np.rint((intervals[:, 0] - first) * 48000).astype(np.int64) for intervals in (reference, estimate)]
    expected = json.loads((folder / f"output{number:02}.json").read_text())["thirds"]
    assert agreement(starts[0], labels_a, starts[1], labels_b, round((last - first) * 48000)) == pytest.approx(expected, abs=1e-4)


@given(SEQUENCES)
def test_merging_changes_no_sample(sequence) -> None:
    starts, labels = _arrays(sequence)
    fewer, merged = chord_labels.merge(starts, labels)
    each = np.arange(1000)
    assert (codes_at(fewer, merged, each) == codes_at(starts, labels, each)).all()
    assert all(a != b for a, b in itertools.pairwise(merged))
