"""A speech about to be rendered: nothing happens until its frames are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.avatar.layers import layer_folders, open_layers
from aednerf.avatar.output import check_output, open_output
from aednerf.avatar.scene import Scene
from aednerf.core.errors import InputError
from aednerf.core.progress import Progress, silent
from aednerf.core.records import Frame, Motion

Listener = Callable[[NDArray[np.float32]], None]
"""Called with every piece of sound as it is read, always before the frames that it drives."""


class Speech:
    """Frames, motion and files of one performance of an avatar; made by `Avatar.speak` and `Avatar.render`."""

    def __init__(
        self, perform: Callable[[Listener], Iterator[Motion]], draw: Callable[[Iterator[Motion]], Iterator[Frame]],
        scene: Scene, n_frames: int | None, has_sound: bool,
    ) -> None:  # fmt: skip
        self._perform = perform
        self._draw = draw
        self._has_sound = has_sound
        self.scene = scene
        self.n_frames = n_frames
        """About how many frames there will be; None for a stream."""

    @cached_property
    def motion(self) -> Motion:
        """The whole motion; made now, without rendering anything."""
        pieces = [piece for piece in self._perform(_ignore) if len(piece)]
        if not pieces:
            raise InputError("The sound is empty: there is nothing to say. Give a longer recording.")
        return Motion.concatenate(pieces)

    def frames(self, listener: Listener | None = None) -> Iterator[Frame]:
        """Yield the pictures one after the other, each as soon as the sound that it depends on has been read.

        Args:
            listener: Is handed the driving sound as it is read.
        """
        return self._draw(self._perform(listener or _ignore))

    def save(self, path: str | Path, force: bool = False, progress: Progress = silent) -> Path:
        """Write the speech: `.mp4` (with its sound), `.webm` or `.mov` (these may be transparent), or a folder of PNGs.

        The file appears when it is complete, never half. Its metadata says that it is synthetic. Layers (`aov`) go into
        folders of PNGs beside it, `hello-depth` beside `hello.mp4`.

        Args:
            path: The output.
            force: Replace an output that exists, and layers beside it.
            progress: Called after every frame.
        Returns:
            The path.
        Raises:
            InputError: the output exists or cannot hold transparency, or the sound is empty.
        """
        scene = self.scene
        path = check_output(path, transparent=scene.is_transparent, force=force)
        folders = layer_folders(path, scene.layers, force)
        opened = open_output(path, scene.width, scene.height, with_audio=self._has_sound, notice=scene.notice)
        with opened as sink, open_layers(folders) as write_layers:
            count = 0
            for count, frame in enumerate(self.frames(sink.write_audio), start=1):
                sink.write(frame.rgba)
                write_layers(frame.layers)
                progress("render", count, max(count, self.n_frames or 0))
            if count == 0:
                raise InputError("The sound is empty: there is nothing to say. Give a longer recording.")
        return path


def _ignore(_: NDArray[np.float32]) -> None:
    """Take a piece of sound and do nothing with it."""
