"""Lets Rasa run without loading TensorFlow, which nothing in config.yml uses; it stands in for no working part of it.

Rasa imports TensorFlow, and with it Keras and JAX, for components this project does not configure: 8 of 13 seconds and
over 200 MB at every start. What is imported here has every name and does nothing; a component that really needed
TensorFlow fails at once with a sentence that says so.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

LEFT_OUT = ("tensorflow", "tensorflow_addons", "tensorflow_hub", "tensorflow_text", "keras")


class TensorFlowLeftOut(ImportError):
    """A component of config.yml needs TensorFlow; start plain Rasa (`python -m rasa`) to use it."""


class _AbsentType(type):
    """Names below a missing module: to subclass, to annotate with, to decorate by; never to use."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent(name)

    def __or__(cls, other: Any) -> Any:
        return cls

    def __len__(cls) -> int:
        # spaCy's library counts TensorFlow's devices and does without TensorFlow where it cannot be imported.
        raise TensorFlowLeftOut(f"{cls.__name__} needs TensorFlow, which is left out here")


class _Absent(metaclass=_AbsentType):
    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # A decorator's only argument is what it decorates, and classes that are defined now may never be used.
        if len(args) == 1 and callable(args[0]) and not kwargs:
            return args[0]
        if cls.__module__ == __name__:
            return _absent(cls.__name__)
        raise TensorFlowLeftOut(f"{cls.__name__} needs TensorFlow, which is left out here")


def _absent(name: str) -> type:
    return _AbsentType(name, (_Absent,), {"__module__": __name__})


class _AbsentModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent(name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> Any:
        if fullname.partition(".")[0] not in LEFT_OUT:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def install() -> None:
    """Leave TensorFlow out of this process; to be called before anything of Rasa is imported."""
    sys.meta_path.insert(0, _Finder())
