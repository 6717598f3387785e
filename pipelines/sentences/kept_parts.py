"""Read what an edit should keep: `but keep the bass`, `don't touch the bass`, `without changing anything else`.

Such words are left out only where the edit keeps that part anyway.
"""

import re
from collections.abc import Callable, Iterator

from instructme.dataset_tools.tasks import task_module
from instructme.manifests.instruments import GENERAL_NAMES, INSTRUMENTS
from instructme.pipelines.sentences import slots
from instructme.pipelines.sentences.plan import EditStep

Steps = tuple[EditStep, ...]
_CHANGE = r"(?:touch|chang|alter|affect|edit|modify|remov|delet|mut|los)(?:e|ing)?"
_KEEP = re.compile(
    rf"(?P<says>keep|keeping|leave|leaving|not|(?:don't|never|without) {_CHANGE}) (?P<part>.+?)"
    r"(?: (?:exactly )?(?:as it is|as is|as they are|the same|unchanged|untouched|alone|intact|in|there))?"
)
_REST = re.compile(r"(?:the rest|(?:anything|everything|nothing)(?: else)?|(?:the )?others?)")
_JOINT = re.compile(r"[,;.]? (?:(?:but|and|while|just|please|so) )*")


def read(words: str, steps: Callable[[str], Steps | None]) -> Steps | None:
    """Read an edit with a clause before or after it that says what to keep; None if there is none, or they don't agree.

    Args:
        words: the sentence in lower case and plain words.
        steps: reads the edit itself.
    """
    for joint in _JOINT.finditer(words):
        for clause, edit, leads in (
            (words[: joint.start()], words[joint.end() :], True),
            (words[joint.end() :], words[: joint.start()], False),
        ):
            kept = _KEEP.fullmatch(clause)
            if kept and (found := steps(edit)) and all(_agrees(step, kept, leads) for step in found):
                return found
    return None


def _agrees(step: EditStep, kept: re.Match[str], leads: bool) -> bool:
    """Tell whether a step keeps the part; `keep drums and add piano` may also ask for nothing else."""
    keeps = task_module(step.task).KEEPS
    if _REST.fullmatch(kept["part"]):
        return keeps in ("all", "rest")
    names = slots.instruments(kept["part"], either=True)
    if not names or keeps not in ("all", "rest") or (keeps == "all" and leads and kept["says"] == "keep"):
        return False
    return not set(_with_general(names)) & set(step.named) and not set(_with_general(step.named)) & set(names)


def _with_general(names: tuple[str, ...]) -> Iterator[str]:
    """Yield names, and for each the general name of its family."""
    for name in names:
        yield name
        yield GENERAL_NAMES[INSTRUMENTS[name].family]
