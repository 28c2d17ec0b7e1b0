"""The stages in their order, run directories, and what is done with a finished run.

`ftkit.run(recipe)` is `ftkit.run.pipeline.run`: once a file of this room is imported, `ftkit.run` is the room, whatever
else had that name. So the room can be called.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    @property
    def __signature__(self) -> inspect.Signature:
        from ftkit.run.pipeline import run

        return inspect.signature(run)

    def __call__(self, *args: Any, **options: Any) -> Any:
        from ftkit.run.pipeline import run

        return run(*args, **options)


sys.modules[__name__].__class__ = _Callable
