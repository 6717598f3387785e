"""Edit a song of the page, and say how far it is, line by line."""

import json
import traceback
import warnings
from collections.abc import Generator, Iterator, Sequence
from threading import Lock
from typing import Any

from instructme.manifests.rows import DataError
from instructme.model.config import ModelError
from instructme.pipelines.app.uploads import Upload, Uploads, mono, named
from instructme.pipelines.editing.denoiser import SamplingSettings
from instructme.pipelines.editing.editor import Editor, EditWarning
from instructme.pipelines.editing.song import FileEdit
from instructme.pipelines.pages.play_page import listening_view
from instructme.pipelines.sentences import sentence_reader
from instructme.pipelines.sentences.plan import Plan
from instructme.pipelines.sentences.refusals import SentenceError

_PATIENCE_S = 0.5


class EditQueue:
    """One editor that makes one edit after the other."""

    def __init__(self, editor: Editor, uploads: Uploads) -> None:
        self._editor, self._uploads, self._busy = editor, uploads, Lock()

    def plan(self, sentence: str) -> Plan:
        """Read a sentence, and check that the editor can make its steps.

        Raises:
            SentenceError: not understood. It offers a sentence that the editor can make.
            DataError: a step that the editor can't make.
        """
        try:
            return self._checked(sentence)
        except SentenceError as error:
            raise error.offering(self.can) from None

    def can(self, sentence: str) -> bool:
        """Tell whether a sentence can be edited."""
        try:
            self._checked(sentence)
        except DataError:
            return False
        return True

    def _checked(self, sentence: str) -> Plan:
        plan = sentence_reader.read(sentence, self._editor.data.get("templates"))
        for step in plan.steps:
            self._editor.check(step)
        return plan

    def lines(self, song: Upload, sentence: str) -> Generator[str, None, None]:
        """Edit a song: lines of JSON, the last one with the result or the error."""
        with self._uploads.using(song):
            while not self._busy.acquire(timeout=_PATIENCE_S):
                yield _line(waiting=True)
            try:
                for line in self._edit(song, sentence):
                    yield _line(**line)
            except (DataError, ModelError) as error:
                yield _line(error=str(error))
            except OSError as error:
                yield _line(error=f"the disk refuses the result: {error.strerror}")
            except Exception:
                traceback.print_exc()
                yield _line(error="the edit failed: the terminal in which the program runs says why")
            finally:
                self._busy.release()

    def _edit(self, song: Upload, sentence: str) -> Iterator[dict[str, Any]]:
        yield {"share": 0.0}
        with named(song), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", EditWarning)
            plan = self.plan(sentence)
            job = FileEdit(
                song.sent, [sentence], song.result, templates=self._editor.data.get("templates"), halves=self._editor.halves
            )
            done_s = 0.0
            for seconds in job.run(self._editor, SamplingSettings()):
                done_s += seconds
                yield {"share": round(min(1.0, done_s / job.seconds), 3)}
        yield {"share": 1.0, "view": view(song), "notes": [line for line in _notes(caught, song) if line not in plan.notes]}


def view(song: Upload) -> str:
    """Draw a song, and its result if there is one."""
    files = {"Source": song.source} | ({"Result": song.result} if song.result.exists() else {})
    return listening_view({label: mono(path) for label, path in files.items()})


def _notes(caught: Sequence[warnings.WarningMessage], song: Upload) -> list[str]:
    lines = [str(each.message).replace(str(song.sent), song.name) for each in caught if issubclass(each.category, EditWarning)]
    return list(dict.fromkeys(line.replace("result.flac", "the result") for line in lines))


def _line(**values: Any) -> str:
    return json.dumps(values) + "\n"
