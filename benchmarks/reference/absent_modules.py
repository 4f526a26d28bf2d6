"""Importing a package without the compiled modules that it names but that are not needed here."""

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any


class _Absent(ModuleType):
    """Stands for a module: any name in it is a class that does nothing."""

    __version__ = "2.1.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__new__": lambda cls, *given, **_: given[0] if given else object.__new__(cls)})


class _Absentees(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, packages: tuple[str, ...]) -> None:
        self._packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.split(".")[0] in self._packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def do_without(*packages: str) -> None:
    """Let everything that is imported from these packages from now on be a class that does nothing."""
    sys.meta_path.insert(0, _Absentees(packages))
