"""Pictures, decoded where a hostile one can do no harm: in a process with limits.

At most 50 megapixels, 10 s of processor time and 256 MiB of memory; see
``image_work`` for the formats. Nothing here imports Pillow.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from weakref import WeakKeyDictionary

from nodetool_site.lib.process_pool import BlockingPool
from storage import image_work
from storage.image_work import ImageFacts, UnreadableImage

TIME_LIMIT_S = 10.0
MEMORY_LIMIT_BYTES = 256 * 1024**2
MAX_FILE_BYTES = 64 * 1024**2
# Of this process's requests; more of them wait with nothing read.
AT_ONCE = 4


class Pool(Protocol):
    """What runs the work; see ``BlockingPool``."""

    async def run(
        self,
        fn: Callable[..., Any],
        *args: Any,
        time_limit_s: float | None = None,
        memory_limit_bytes: int | None = None,
    ) -> Any: ...


class Images:
    """Reads, shrinks and edits pictures in the processes of a pool.

    A source is the bytes of a picture, a path, or a file that is open for reading. All
    raise `UnreadableImage` for what is no picture, or one that breaks a limit.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._turns: WeakKeyDictionary[Any, asyncio.Semaphore] = WeakKeyDictionary()

    async def identify(self, source: bytes | Path | BinaryIO) -> ImageFacts:
        """Return what the header says; the rest may be damaged."""
        facts: ImageFacts = await self._work(image_work.identify, source)
        return facts

    async def thumbnail(
        self, source: bytes | Path | BinaryIO, *, width: int, height: int
    ) -> bytes:
        """Return a JPEG that fits into ``width`` and ``height`` pixels."""
        made: bytes = await self._work(image_work.thumbnail, source, width, height)
        return made

    async def edit(
        self,
        fn: Callable[..., Any],
        pictures: Sequence[bytes],
        *args: Any,
        kind: str = "PNG",
    ) -> list[bytes]:
        """Call a module-level function with Pillow's images of ``pictures``.

        It gets them upright as RGB or RGBA, then ``args``, and returns one image or a
        list; they come back as files of ``kind``, one of the formats. What it raises is
        raised here.
        """
        for picture in pictures:
            _check_length(len(picture))
        made: list[bytes] = await self._run(image_work.edit, fn, pictures, args, kind)
        return made

    async def _work(self, fn: Callable[..., Any], source: Any, *args: Any) -> Any:
        turns = self._turns.setdefault(
            asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)
        )
        async with turns:
            if not isinstance(source, bytes | Path):
                source = await asyncio.to_thread(_read, source)
            return await self._run(fn, source, *args)

    async def _run(self, fn: Callable[..., Any], *args: Any) -> Any:
        try:
            return await self._pool.run(
                fn,
                *args,
                time_limit_s=TIME_LIMIT_S,
                memory_limit_bytes=MEMORY_LIMIT_BYTES,
            )
        except TimeoutError:
            raise UnreadableImage(
                f"The image took longer than {TIME_LIMIT_S:g} s: make it smaller"
            ) from None
        except (MemoryError, RecursionError):
            raise UnreadableImage(
                f"The image needs more than {MEMORY_LIMIT_BYTES // 1024**2} MiB of "
                "memory: make it smaller"
            ) from None
        except ChildProcessError as died:
            raise UnreadableImage(
                "The image broke the process that decoded it"
            ) from died


def _read(file: BinaryIO) -> bytes:
    data = file.read(MAX_FILE_BYTES + 1)
    _check_length(len(data))
    return data


def _check_length(size_bytes: int) -> None:
    if size_bytes > MAX_FILE_BYTES:
        raise UnreadableImage(
            f"The image file has more than {MAX_FILE_BYTES // 1024**2} MiB: make it "
            "smaller"
        )


# Apart from the engine's, so that pages wait for no workflow.
_pool = BlockingPool(min(2, os.cpu_count() or 1))
_images = Images(_pool)
identify = _images.identify
thumbnail = _images.thumbnail
close = _pool.close
