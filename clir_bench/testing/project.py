"""Writes a Python package for a user's own encoder, from the files in `template/`."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from string import Template

from clir_bench.core import plugins
from clir_bench.encoders import DESCRIBED
from clir_bench.errors import OutputError, UsageError

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_TEMPLATES = Path(__file__).with_name("template")


@dataclass(frozen=True)
class ProjectNames:
    """The names of a package's parts.

    Attributes:
        name: What `--model` takes.
        package: What pip installs, as normalised by PEP 503.
        module: What Python imports.
    """

    name: str
    package: str
    module: str

    @classmethod
    def of(cls, name: str) -> ProjectNames:
        """Return the names of a package for the encoder `name`.

        >>> ProjectNames.of("my-model-0.5b")
        ProjectNames(name='my-model-0.5b', package='clir-bench-my-model-0-5b', \
module='clir_bench_my_model_0_5b')

        Raises:
            UsageError: It cannot be a package's name, or an encoder has that name.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"encoder name {name!r}: expected at most 64 lower-case letters a-z, digits and "
                "inner '-', '_' or '.', as in my-encoder"
            )
        if name.endswith(DESCRIBED):
            raise UsageError(
                f"encoder name {name!r}: `--model` reads a name that ends in {DESCRIBED} as a "
                f"file; try {name.removesuffix(DESCRIBED)!r}"
            )
        normal = _normal(name)
        for other in plugins.names(plugins.ENCODERS):
            if _normal(other) == normal:
                raise UsageError(
                    f"encoder name {name!r}: {other!r} is registered already "
                    "(`clir-bench encoders`); choose another name"
                )
        return cls(name, f"clir-bench-{normal}", f"clir_bench_{normal.replace('-', '_')}")


def write_project(names: ProjectNames, directory: Path) -> list[Path]:
    """Write the package into `directory`, all of it or nothing, and return its files.

    Raises:
        UsageError: The folder holds something.
        OutputError: It cannot be written.
    """
    if directory.is_symlink() or (directory.exists() and not _is_empty_folder(directory)):
        raise UsageError(
            f"{directory} exists and is not an empty folder; choose another --directory"
        )
    texts = _texts(names)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".new-encoder-") as folder:
            written = Path(folder, "package")
            for place, text in texts.items():
                path = written / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            written.rename(directory)
    except OSError as error:
        raise OutputError(f"{directory} cannot be written: {error.strerror or error}") from error
    return [directory / place for place in texts]


def _texts(names: ProjectNames) -> dict[str, str]:
    """Return path inside the package to content."""
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "system.toml": "system.toml",
        ".gitignore": "gitignore",
        f"src/{names.module}/__init__.py": "encoder.py",
        "tests/test_encoder.py": "test_encoder.py",
    }
    return {
        place: Template((_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")).substitute(
            name=names.name, package=names.package, module=names.module
        )
        for place, template in places.items()
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
