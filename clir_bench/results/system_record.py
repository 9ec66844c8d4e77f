"""Records which system made a result, and decides whether two results come from one system."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from clir_bench.core.display import both_ends
from clir_bench.types import EncoderInfo


class Record(BaseModel):
    """A part of a result: every field is known, and every number finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SystemRecord(Record):
    """The encoder, as `types.EncoderInfo` describes it, and the name that the user gave for it.

    Attributes:
        dtype_reason: Why `dtype` was chosen by `auto`; empty if the user stated it and in results
            older than this field.
        parts: The systems that it is made of, in the order of its name.
        instruction: The task's sentence in `query_prompt`; other tasks have others.
    """

    name: str
    spec: str
    package: str
    revision: str
    weights_sha256: str | None
    query_prompt: str
    document_prompt: str
    max_tokens: int | None
    dtype: str
    dim: int
    n_parameters: int | None
    similarity: str
    license: str | None
    training_languages: tuple[str, ...]
    description: str
    dtype_reason: str = ""
    details: dict[str, str] = {}
    parts: tuple[SystemRecord, ...] = ()
    instruction: str = ""

    @classmethod
    def of(cls, info: EncoderInfo, *, dim: int, spec: str, package: str) -> SystemRecord:
        """Return the record of an encoder asked for as `spec`, provided by `package`."""
        fields = {name: getattr(info, name) for name in EncoderInfo.__dataclass_fields__}
        fields["details"] = dict(info.details)
        return cls(spec=spec, package=package, dim=dim, **fields)

    def fingerprint(self) -> tuple[Any, ...]:
        """Return the fields that must be equal for results of one system, whatever the task."""
        own = self.on_any_task()
        return tuple(getattr(own, field) for field in _OF_ONE_SYSTEM)

    def on_any_task(self) -> SystemRecord:
        """Return the record with "{instruction}" in place of a task's instruction."""
        if not self.instruction:
            return self
        prompt = self.query_prompt.replace(self.instruction, "{instruction}")
        return self.model_copy(update={"query_prompt": prompt, "instruction": ""})

    def differences(self, other: SystemRecord) -> list[str]:
        """Name the fields that make this and another record of a task differ, with both values.

        If the weights differ, a revision that follows from them is not named too.
        """
        found = [
            f"{field} ({both_ends(getattr(self, field))}, not {both_ends(getattr(other, field))})"
            for field in _OF_ONE_SYSTEM
            if getattr(self, field) != getattr(other, field)
        ]
        if self.revision == other.revision:  # the parts differ at most in their tasks' prompts
            for own, another in zip(self.parts, other.parts, strict=False):
                found += [f"{own.name}: {difference}" for difference in own.differences(another)]
        if self.weights_sha256 != other.weights_sha256 and self._is_local() and other._is_local():
            found = [difference for difference in found if not difference.startswith("revision ")]
        return found

    def how_to_go_on(self, earlier: SystemRecord) -> str:
        """Say which --dtype continues an earlier result of this system in another arithmetic.

        Empty if the user stated this arithmetic, or if anything else differs.
        """
        alike = self.model_copy(update={"dtype": earlier.dtype})
        same = self.dtype == earlier.dtype or alike.fingerprint() != earlier.fingerprint()
        if same or not self.dtype_reason:
            return ""
        return (
            f"it was made in {earlier.dtype}, and --dtype auto takes {self.dtype} here "
            f"({self.dtype_reason}): go on with it by --dtype {earlier.dtype}, "
        )

    def _is_local(self) -> bool:
        return (self.weights_sha256 or "").startswith(self.revision)


_OF_ONE_SYSTEM = (
    "name", "revision", "weights_sha256", "query_prompt",
    "document_prompt", "max_tokens", "dtype", "dim", "similarity",
)  # fmt: skip


def with_arithmetic(system: str, dtype: str) -> str:
    """Return a system's name, followed by its arithmetic unless that is float32."""
    return system if dtype == "float32" else f"{system} ({dtype})"
