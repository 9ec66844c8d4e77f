"""Finds a translator by its name in `translate:HOW+SYSTEM`.

    given           translations that come with the task's data
    file:PATH       a table of translations (`table`)
    command:CMD     a command that reads lines and writes lines (`command`)
    FOLDER, owner/name[@revision]   a translation model of transformers (`model`)

The translations of commands and models are kept, by the content of the text (`memory`).
"""

from __future__ import annotations

from clir_bench.systems.names import Composition
from clir_bench.systems.translate.translators import Translator


def find_translator(how: str, composition: Composition) -> Translator:
    """Return the translator that a name states.

    Raises:
        UsageError: It does not exist, or an option is not one of its own.
        DataError: A table is wrong.
        EncoderError: A model cannot be found or is of the wrong kind.
    """
    kind, colon, argument = how.partition(":")
    options = composition.options
    own = {"command": "timeout", "file": "", "given": ""}.get(kind, "beams")
    for name in set(options) - {"target", own}:
        raise composition.wrong(f"{name} is no option of {how}")
    if how == "given":
        from clir_bench.systems.translate.given import Given

        return Given()
    if colon and kind in ("file", "command") and not argument:
        raise composition.wrong(f"{kind}: is followed by nothing")
    if kind == "file":
        from clir_bench.systems.translate.table import read_table

        return read_table(argument)
    from clir_bench.systems.translate.memory import Remembered

    if kind == "command":
        from clir_bench.systems.translate.command import find_command

        return Remembered(
            find_command(argument, composition.whole("timeout", default=600, least=1))
        )
    from clir_bench.systems.translate.model import find_model

    return Remembered(
        find_model(how, composition.loading, composition.whole("beams", default=1, least=1))
    )
