"""Find instructions that ask for another edit than their recipe makes, as after a table was changed by hand."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from instructme.manifests.counting import counted
from instructme.manifests.rows import Triplet
from instructme.pipelines.editing import sentences
from instructme.pipelines.editing.refusals import SentenceError


class _Asked(NamedTuple):
    """What an instruction asks for: names of instruments are sorted."""

    task: str
    named: tuple[str, ...]
    added: tuple[str, ...]
    genre: str | None


def contradictions(triplets: Iterable[Triplet]) -> Iterator[str]:
    """Tell once of instructions that contradict their recipes; those that `edit` can't read are not judged."""
    read: dict[str, _Asked | None] = {}
    wrong = []
    for triplet in triplets:
        text = triplet.instruction
        if text not in read:
            read[text] = _asked(text)
        made = _Asked(triplet.task, tuple(sorted(triplet.named)), tuple(sorted(triplet.added)), triplet.genre)
        if read[text] not in (None, made):
            wrong.append(triplet)
    if wrong:
        rest = f", and {counted(len(wrong) - 1, 'other triplet')}" if len(wrong) > 1 else ""
        advice = "the instruction asks for another edit than source and target show: correct triplets.parquet and run shard again"
        yield f"{wrong[0].triplet_id} {wrong[0].instruction!r}{rest}: {advice}"


def _asked(text: str) -> _Asked | None:
    """Read an instruction of one step; None for any other."""
    try:
        steps = sentences.read(text).steps
    except SentenceError:
        return None
    if len(steps) != 1:
        return None
    step = steps[0]
    return _Asked(step.task, tuple(sorted(step.named)), tuple(sorted(step.added)), step.genre)
