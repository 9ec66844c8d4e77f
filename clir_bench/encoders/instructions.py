"""Puts a task's instruction into the query prompt of encoders that follow instructions.

Such an encoder's `info.query_prompt` has a place for it: "Instruct: {instruction}\nQuery: ".
"""

from __future__ import annotations

import copy
from dataclasses import replace

from clir_bench.encoders.contract import AnyChecked
from clir_bench.types import EncoderInfo

PLACE = "{instruction}"
GENERAL = "Given a query, find the documents that are relevant to it."
"""For tasks whose cards state no instruction."""


def filled(template: str, instruction: str = "") -> str:
    """Return a query prompt with an instruction in its place; other prompts as they are.

    >>> filled("Instruct: {instruction} Query: ", "Find the answer.")
    'Instruct: Find the answer. Query: '
    """
    return template.replace(PLACE, instruction or GENERAL)


def instructed(encoder: AnyChecked, instruction: str) -> AnyChecked:
    """Return a copy of an encoder with the instruction in its query prompt.

    The same encoder is returned if its prompt has no place for one. The copy shares the model.
    """
    info: EncoderInfo = encoder.info
    if PLACE not in info.query_prompt:
        return encoder
    instruction = instruction or GENERAL
    inner = copy.copy(encoder.inner)
    prompt = filled(info.query_prompt, instruction)
    inner.info = replace(info, query_prompt=prompt, instruction=instruction)
    return type(encoder)(inner)  # type: ignore[arg-type]
