"""Find instructions that ask for another edit than their recipe makes, as after a table was changed by hand."""

from collections.abc import Iterable, Iterator
from functools import cache

from instructme.manifests.counting import counted
from instructme.manifests.rows import Triplet
from instructme.pipelines.sentences import sentence_reader
from instructme.pipelines.sentences.plan import EditStep


def contradictions(triplets: Iterable[Triplet]) -> Iterator[str]:
    """Tell once of instructions that contradict their recipes; those that `edit` can't read are not judged."""
    read = cache(sentence_reader.single_step)
    wrong = [triplet for triplet in triplets if (step := read(triplet.instruction)) and _asked(step) != _asked(triplet)]
    if wrong:
        rest = f", and {counted(len(wrong) - 1, 'other triplet')}" if len(wrong) > 1 else ""
        advice = "the instruction asks for another edit than source and target show: correct triplets.parquet and run shard again"
        yield f"{wrong[0].triplet_id} {wrong[0].instruction!r}{rest}: {advice}"


def _asked(edit: EditStep | Triplet) -> tuple[object, ...]:
    """Say what an edit is, with the instruments in order."""
    return edit.task, sorted(edit.named), sorted(edit.added), edit.genre
