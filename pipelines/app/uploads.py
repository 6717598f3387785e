"""Songs that the page sent: untrusted files, in private folders under names of ours, deleted after use."""

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from fastapi.concurrency import run_in_threadpool

from instructme.dataset_tools import broken_headers
from instructme.dataset_tools.audio import Samples
from instructme.manifests.rows import DataError
from instructme.pipelines import editing
from instructme.pipelines.editing.audio_files import decode, encode

MOST_BYTES, LONGEST_S, MOST_CHANNELS, HIGHEST_HZ = 200_000_000, 600, 8, 192_000
LIMITS = "At most 200 MB and 10 minutes: WAV, FLAC, OGG, MP3, AIFF, or any other file that libsndfile reads."
EXAMPLES = {"funk": "Funk, a recording", "charts": "A song of the built-in corpus"}
"""Recordings in the package: file name -> title."""
_EXAMPLES = Path(editing.__file__).with_name("examples")
_MOST_SONGS = 4
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Upload:
    """A song in its folder.

    id: a random word, by which the page asks for it.
    name: as the user called it; only shown, never opened.
    """

    id: str
    name: str
    folder: Path
    seconds: float = 0.0
    rate_hz: int = 0
    channels: int = 0

    @property
    def sent(self) -> Path:
        """Name the file as it was sent."""
        return self.folder / "sent"

    @property
    def source(self) -> Path:
        """Name the file that browsers play, sample by sample as long as the result."""
        return self.folder / "source.flac"

    @property
    def result(self) -> Path:
        """Name the result of the last edit."""
        return self.folder / "result.flac"


class Uploads:
    """The last few songs, in a folder of this process. Older ones are deleted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._songs: dict[str, Upload] = {}
        self._used: set[str] = set()

    def __getitem__(self, id_: str) -> Upload:
        return self._songs[id_]

    async def receive(self, name: str, blocks: AsyncIterator[bytes]) -> Upload:
        """Write a file that is being sent, and decode it.

        Raises:
            DataError: over the limits, or no audio.
        """
        song, size = self._new(name), 0
        try:
            with song.sent.open("wb") as file:
                async for block in blocks:
                    size += len(block)
                    if size > MOST_BYTES:
                        raise DataError(f"{song.name} is larger than {MOST_BYTES // 1_000_000} MB: choose a shorter part of it")
                    await run_in_threadpool(file.write, block)
            return await run_in_threadpool(self._decoded, song)
        except BaseException:
            shutil.rmtree(song.folder, ignore_errors=True)
            raise

    def add_example(self, name: str) -> Upload:
        """Take a recording of the package.

        Raises:
            KeyError: no example has this name.
        """
        song = self._new(EXAMPLES[name])
        shutil.copyfile(_EXAMPLES / f"{name}.ogg", song.sent)
        return self._decoded(song)

    @contextmanager
    def using(self, song: Upload) -> Iterator[None]:
        """Keep a song while the block runs."""
        self._used.add(song.id)
        try:
            yield
        finally:
            self._used.discard(song.id)

    def _new(self, name: str) -> Upload:
        shown = "".join(letter for letter in name if letter.isprintable())[-_LONGEST_NAME:] or "song"
        return Upload(secrets.token_urlsafe(12), shown, Path(tempfile.mkdtemp(dir=self._folder)))

    def _decoded(self, song: Upload) -> Upload:
        """Check a file, and write it as browsers play it."""
        with named(song):
            _check_size(song)
            music, kind = decode(song.sent, song.folder)
            gain = np.float32(1 / max(1.0, music.peak))  # FLAC would cut what a float file holds above full scale
            encode(song.source, (block * gain for block in music.blocks()), kind, len(music), music.channels)
        self._make_room()
        known = replace(song, seconds=len(music) / kind.rate_hz, rate_hz=kind.rate_hz, channels=music.channels)
        self._songs[song.id] = known
        return known

    def _make_room(self) -> None:
        free = [id_ for id_ in self._songs if id_ not in self._used]
        for id_ in free[: max(0, len(self._songs) - _MOST_SONGS + 1)]:
            shutil.rmtree(self._songs.pop(id_).folder, ignore_errors=True)


def _check_size(song: Upload) -> None:
    """Check what the header says, before anything is decoded: a small file may hold hours of silence.

    Raises:
        DataError: over the limits.
    """
    try:
        about = soundfile.info(broken_headers.opened(song.sent))
    except RuntimeError:
        return  # `decode` says why
    if about.channels > MOST_CHANNELS or about.samplerate > HIGHEST_HZ:
        raise DataError(
            f"{song.name} has {about.channels} channels at {about.samplerate} Hz: "
            f"convert it to at most {MOST_CHANNELS} channels and {HIGHEST_HZ} Hz"
        )
    if about.frames > LONGEST_S * about.samplerate:
        raise DataError(f"{song.name} is longer than {LONGEST_S // 60} minutes: choose a shorter part of it")


@contextmanager
def named(song: Upload) -> Iterator[None]:
    """Call a song in errors as its user does.

    Raises:
        DataError: as in the block.
    """
    try:
        yield
    except DataError as error:
        line = str(error).replace(str(song.sent), song.name).replace(str(song.folder), "")
        raise type(error)(line) from None


def mono(path: Path) -> tuple[Samples, int]:
    """Read the mean of the channels (T,) and the rate."""
    channels, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return channels.mean(axis=1), rate_hz
