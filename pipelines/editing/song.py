"""Edit an audio file, from its format to that of the results."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from instructme.dataset_tools.audio import Samples, peak
from instructme.manifests.rows import DataError
from instructme.pipelines.editing import edit_page
from instructme.pipelines.editing.audio_files import BLOCK, Scratch, check_format, check_writable, decode, doubts, encode
from instructme.pipelines.editing.denoiser import SamplingSettings
from instructme.pipelines.editing.editor import Editor, EditWarning, safe_gain
from instructme.pipelines.sentences import sentence_reader

LONGER_S = 0.1
"""An encoder adds less than this to the end of a lead."""
CANCELLED = 10 ** (-15 / 10)
"""Share of their power that channels keep in their mean, below which they cancel."""


class FileEdit:
    """Edit a file by one sentence after the other, in several variations. Each pass of the model is a round.

    A mistake in the arguments shows before a model is loaded. Memory doesn't grow with the length of the music, because the
    sound lies in files without a name beside the result. The attribute `written` lists the files that `run` writes, and `seconds`
    is the length of the music times the numbers of rounds and variations.
    """

    def __init__(
        self,
        source: Path,
        texts: Sequence[str],
        out: Path,
        *,
        variations: int = 1,
        keep_rounds: bool = False,
        lead: Path | None = None,
        page: Path | None = None,
        templates: Mapping[str, Sequence[str]] | None = None,
        halves: bool = False,
    ) -> None:
        """Read the sentences, check the files, and decode the source and the lead.

        Args:
            source: any file that libsndfile reads.
            texts: sentences.
            out: name of the result. Variations and rounds get names that are made from it.
            variations: number of results.
            keep_rounds: also write the result of each round.
            lead: a file to lay over the results.
            page: a report to write.
            templates: texts that the run was trained on, by task.
            halves: whether the run removes and adds in two passes, because a separator works beside it.

        Raises:
            SentenceError: a sentence that is not understood.
            DataError: a file or a time span that can't be used, or an output that is also an input.
        """
        plans = [sentence_reader.read(text, templates) for text in texts]
        self._notes = [note for plan in plans for note in plan.notes]
        self._rounds = [each for plan in plans for step in plan.steps for each in step.instructions(templates, halves=halves)]
        self._source, self._page, rounds = source, page, len(self._rounds)
        self._names = [_names(out, number + 1 if variations > 1 else None, rounds) for number in range(variations)]
        self._results = [path for rounds in self._names for path in (rounds if keep_rounds else rounds[-1:])]
        self.written = [*self._results, *([page] if page else [])]
        _check(self._results, page, [source, *([lead] if lead else [])])
        out.parent.mkdir(parents=True, exist_ok=True)
        self._music, self._kind = decode(source, out.parent)
        for path in self._results:
            check_writable(path, self._kind, self._music.channels)
        self._lead = decode(lead, out.parent, self._kind.rate_hz)[0] if lead else None
        length_s = len(self._music) / self._kind.rate_hz
        longer_s = (len(self._lead) - len(self._music)) / self._kind.rate_hz if self._lead else 0.0
        self._notes += [note for path in (source, lead) if path for note in doubts(path)]
        self._cancelling = [*_cancelling(source, self._music)]
        self._cut = [f"{lead} is {longer_s:.1f} s longer than {source}: its end is left out"] if longer_s > LONGER_S else []
        for each in self._rounds:
            if each.step.span[0] >= length_s:
                raise DataError(f"the edit starts at {each.step.start_s:g} s, but {source} is {length_s:.1f} s long")
        self.seconds = length_s * rounds * variations

    def run(self, editor: Editor, settings: SamplingSettings) -> Iterator[float]:
        """Edit and write the files: after each step, yield the seconds of music that it did.

        The first variation takes the seed of the settings, the others the next seeds.

        Raises:
            DataError: see `Editor.blocks`.

        Warns:
            EditWarning: see `Editor.edit`.
        """
        for each in self._rounds:
            editor.check(each.step)
        separates = all(editor.separates(each.step) for each in self._rounds)
        # A separator edits each channel on its own.
        for note in (*self._notes, *([] if separates else self._cancelling), *self._cut):
            warnings.warn(note, EditWarning, stacklevel=2)
        if len(self._names) > 1 and separates:
            warnings.warn("all variations are equal: a separator makes these edits, and draws nothing", EditWarning, stacklevel=2)
        results: list[list[Scratch]] = []
        for number, paths in enumerate(self._names):
            varied, result = dataclasses.replace(settings, seed=settings.seed + number), self._music
            results.append([])
            for each, path in zip(self._rounds, paths, strict=True):
                before, result = result, Scratch(self._music.channels, self._music.folder)
                for block in editor.blocks(before, self._kind.rate_hz, each, varied):
                    result.append(block.samples)
                    yield block.seconds
                if path in self._results:
                    self._save(path, result, self._lead if path == paths[-1] else None)
                results[-1] += [result] if self._page else []
        if self._page:
            texts = [each.text for each in self._rounds]
            edit_page.write(self._page, self._source.name, self._music, results, self._kind.rate_hz, texts)

    def _save(self, path: Path, result: Scratch, lead: Scratch | None) -> None:
        """Write a result, with a lead of the same rate laid over it, as a whole no louder than full scale."""
        highest = max(peak(block) for block in _overlaid(result, lead)) if lead else result.peak
        gain = np.float32(safe_gain(highest, path.name))
        encode(path, (block * gain for block in _overlaid(result, lead)), self._kind, len(result), result.channels)


def _cancelling(source: Path, music: Scratch) -> Iterator[str]:
    """Tell of channels that nearly cancel in their mean, which is what is edited."""
    mean = apart = 0.0
    for block in music.blocks():
        mean += float(np.square(block.mean(axis=1, dtype=np.float64)).sum())
        apart += float(np.square(block, dtype=np.float64).mean(axis=1).sum())
    if mean < CANCELLED * apart:
        yield f"the channels of {source} cancel, and their mean is edited: invert one of them"


def _names(out: Path, variation: int | None, rounds: int) -> list[Path]:
    """Name the results of all rounds; the last one is that of the edit."""
    name = out.stem if variation is None else f"{out.stem}.variation{variation}"
    numbers = [f".round{number}" for number in range(1, rounds)]
    return [out.with_name(f"{name}{number}{out.suffix}") for number in (*numbers, "")]


def _check(written: Sequence[Path], page: Path | None, inputs: Sequence[Path]) -> None:
    for path in written:
        check_format(path)
    for path in (*written, *([page] if page else [])):
        if path.resolve() in [each.resolve() for each in inputs]:
            raise DataError(f"{path} would overwrite an input: choose another name (-o)")
    if page and page.resolve() in [path.resolve() for path in written]:
        raise DataError(f"{page} would overwrite the edited music: choose another name for the report")


def _overlaid(result: Scratch, lead: Scratch | None) -> Iterator[Samples]:
    """Add a lead to a result, cut to its length. A lead with another number of channels is mixed down to mono."""
    for number, block in enumerate(result.blocks()):
        if lead is None:
            yield block
            continue
        over = lead[number * BLOCK : number * BLOCK + len(block)]
        over = over if lead.channels == result.channels else over.mean(axis=1, keepdims=True)
        yield block + np.pad(over, ((0, len(block) - len(over)), (0, 0)))
