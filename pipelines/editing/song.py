"""Edit an audio file, from its format to that of the results."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from instructme.dataset_tools.audio import Samples, peak
from instructme.manifests.rows import DataError
from instructme.pipelines.editing import edit_page, sentences
from instructme.pipelines.editing.denoiser import SamplingSettings
from instructme.pipelines.editing.editor import Editor, Progress, Say, safe_gain
from instructme.pipelines.editing.files import BLOCK, Kind, Scratch, check_format, check_writable, decode, encode


def edit(
    load: Callable[[], Editor],
    source: Path,
    texts: Sequence[str],
    out: Path,
    *,
    settings: SamplingSettings,
    variations: int = 1,
    keep_rounds: bool = False,
    lead: Path | None = None,
    page: Path | None = None,
    bar: Callable[[float], AbstractContextManager[Any]],
    say: Say,
) -> list[Path]:
    """Edit a file by one instruction after the other, in several variations, and write the results: their paths.

    Memory doesn't grow with the length: what isn't being worked on lies in files without a name beside `out`.

    Args:
        load: loads the editor, once all that is quick to check is checked.
        source: any file that libsndfile reads.
        texts: instructions.
        out: the result's name; with several variations, what theirs are made from.
        settings: of the first variation; the others take the next seeds.
        variations: how many.
        keep_rounds: also write the result of each instruction.
        lead: a file to lay over the results.
        page: a report to write.
        bar: makes a progress bar, such as tqdm's, for so many seconds of music.
        say: called with each warning, a line; never twice with the same.

    Raises:
        DataError: an instruction or file that can't be used, or an output that is also an input.
    """
    for text in texts:
        sentences.parse(text)
    names = [_names(out, number + 1 if variations > 1 else None, len(texts)) for number in range(variations)]
    written = [path for rounds in names for path in (rounds if keep_rounds else rounds[-1:])]
    _check(written, page, [source, *([lead] if lead else [])])
    out.parent.mkdir(parents=True, exist_ok=True)
    music, kind = decode(source, out.parent)
    for path in written:
        check_writable(path, kind, music.channels)
    over = decode(lead, out.parent, kind.rate_hz)[0] if lead else None
    editor, say = load(), _once(say)
    results: list[list[Scratch]] = []
    with bar(len(music) / kind.rate_hz * len(texts) * variations) as shown:

        def progress(seconds: float) -> None:
            shown.update(min(seconds, shown.total - shown.n))  # sums of floats may end a little over the total

        for number, paths in enumerate(names):
            each = dataclasses.replace(settings, seed=settings.seed + number)
            results.append([])
            for path, result in zip(paths, _rounds(editor, music, kind, texts, each, progress, say), strict=True):
                if path in written:
                    _save(path, result, kind, say, over if path == paths[-1] else None)
                results[-1] += [result] if page else []
    if page:
        edit_page.write(page, source.name, music, results, kind.rate_hz, texts)
        written.append(page)
    return written


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
            raise DataError(f"{path} would overwrite what it is made from: choose another name (-o)")
    if page and page.resolve() in [path.resolve() for path in written]:
        raise DataError(f"{page} would overwrite the edited music: choose another name for the report")


def _once(say: Say) -> Say:
    said: set[str] = set()

    def new(line: str) -> None:
        if line not in said:
            said.add(line)
            say(line)

    return new


def _rounds(
    editor: Editor, source: Scratch, kind: Kind, texts: Sequence[str], settings: SamplingSettings, progress: Progress, say: Say
) -> Iterator[Scratch]:
    """Edit by one instruction after the other: yield the result of each."""
    for text in texts:
        result = Scratch(source.channels, source.folder)
        for block in editor.blocks(source, kind.rate_hz, text, settings, progress=progress, say=say):
            result.append(block)
        yield result
        source = result


def _save(path: Path, result: Scratch, kind: Kind, say: Say, lead: Scratch | None) -> None:
    """Write a result, with a lead of the same rate laid over it, as a whole no louder than full scale."""
    highest = max(peak(block) for block in _overlaid(result, lead)) if lead else result.peak
    gain = np.float32(safe_gain(highest, lambda line: say(f"{path.name}: {line}")))
    encode(path, (block * gain for block in _overlaid(result, lead)), kind, len(result), result.channels)


def _overlaid(result: Scratch, lead: Scratch | None) -> Iterator[Samples]:
    """Add a lead to a result, cut to its length; as the mean of its channels where they are others than the result's."""
    for number, block in enumerate(result.blocks()):
        if lead is None:
            yield block
            continue
        over = lead[number * BLOCK : number * BLOCK + len(block)]
        over = over if lead.channels == result.channels else over.mean(axis=1, keepdims=True)
        yield block + np.pad(over, ((0, len(block) - len(over)), (0, 0)))
