"""What decides how a model is compiled: one frozen record for the API, the commands, plans and messages.

    htvm.compile("resnet8.onnx", "diana", options=CompileOptions(requant="pow2", memory={"l1": 64 << 10}))
    htvm.compile("resnet8.onnx", "diana", requant="pow2", memory={"l1": 64 << 10})      # the same

Every command that compiles has the same choices, as `CompileOptions.arguments` writes them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, cast, get_args

if TYPE_CHECKING:
    from htvm.backend.kernels import KernelSpec
    from htvm.backend.targets.soc import Soc
    from htvm.plan import Entry

Objective = Literal["latency", "energy", "memory"]
Requant = Literal["exact", "pow2"]
MappingKind = Literal["default", "htvm"]
RequantShift = Literal["floor", "half"]

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
"""What a size may be counted in: bytes, KiB, MiB, GiB."""


@dataclass(frozen=True)
class ConstantBudget:
    """How many constants the host's kernels may have: a factor of the bytes of the weights, or bytes in all.

    A layer never has fewer constants than its weights take. Exactly one of both is given.
    """

    factor: float | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        if (self.factor is None) == (self.size_bytes is None):
            raise ValueError("a budget for constants is a factor or a number of bytes, one of both")
        if self.factor is not None and not 1 <= self.factor <= 1000:
            raise ValueError(f"the budget for constants is {self.factor:g} times the weights, expected 1 to 1000")
        if self.size_bytes is not None and self.size_bytes < 0:
            raise ValueError(f"the budget for constants is {self.size_bytes} bytes, expected at least 0")

    @classmethod
    def parse(cls, text: str) -> ConstantBudget:
        """Return the budget that a text gives: "2.4x" is a factor, "120k" are bytes. Raises ValueError."""
        if number := re.fullmatch(r"(\d{1,4}(?:\.\d{1,6})?)x", text):
            return cls(factor=float(number[1]))
        try:
            return cls(size_bytes=size_of(text))
        except ValueError:
            raise ValueError(f"'{text}' is no budget for constants, expected a factor such as 2.4x, or bytes") from None

    def __str__(self) -> str:
        return f"{self.factor:g}x" if self.factor is not None else str(self.size_bytes)


SPEED = ConstantBudget(factor=2.4)
"""What `optimize = "speed"` was called before budgets had numbers."""


def size_of(text: str) -> int:
    """Return the bytes that a text says: "65536", "0x10000", "64k", "64KiB", "1m". Raises ValueError."""
    number = re.fullmatch(r"(0x[0-9a-f]{1,12}|\d{1,15})([kmg]?)(i?b)?", text.strip(), re.IGNORECASE)
    if number is None or (number[1].lower().startswith("0x") and number[2]):
        raise ValueError(f"'{text}' is no size, expected bytes, such as 65536, 0x10000 or 64k")
    return int(number[1], 0 if number[1].lower().startswith("0x") else 10) * UNITS[number[2].lower()]


@dataclass(frozen=True)
class CompileOptions:
    """How a model is compiled; the target is given beside it.

    objective: what tilings of layers on accelerators are chosen for.
    requant: "exact": the model's numbers; "pow2": scales become powers of two, for engines that can only shift, and
        numbers change.
    mapping: of layers on accelerators: the fastest found, or HTVM's, to compare with.
    effort: how much work searches may do for engines, forms, the order of layers and memory, as a multiple of what
        they may by default: counted, not timed, so that the result is the same on every machine.
    constants: the budget for constants of the host's kernels; None for the compiler's own.
    engines: names of the target's engines that are used; empty for all.
    cost_model: name of the target's published figures that predictions use; None for its first.
    memory: size in bytes by name of the target's memories that have another one than the target says.
    plan: entries that pin layers to engines and tilings; htvm.plan.read returns options with those of a file.
    requant_shift: what RequantShift means: "floor" rounds down, as quantlib has it; "half" adds half of div first, as
        Deeploy does.
    tflite_rounding: of TOSA: fully connected layers round once, as TFLite's reference kernels do, instead of twice.
    input_types: what inputs hold that no QuantizeLinear describes (float32, or integers of fewer bits than their
        type), by input, such as {"input": "u8"}.
    shapes: of inputs with axes of no fixed size, by input, such as {"input": (1, 3, 32, 32)}.
    passes: more passes, as a textual pipeline, by the stage behind which they run, such as {"integer": "count-layers"};
        "input" is the module as it came in, before htvm looks for its own operations there.
    kernels: kernels of one's own for the host: paths of Python files that describe some, or htvm.kernels.KernelSpec.
    function: of a module, the one to compile, alone; None for the only one that is htvm's.

    Raises ValueError for a choice that there is not, and TypeError for a field that holds something else.
    """

    objective: Objective = "latency"
    requant: Requant = "exact"
    mapping: MappingKind = "default"
    effort: int = 1
    constants: ConstantBudget | None = None
    engines: tuple[str, ...] = ()
    cost_model: str | None = None
    memory: Mapping[str, int] = field(default_factory=dict[str, int])
    plan: Sequence[Entry] = ()
    requant_shift: RequantShift = "floor"
    tflite_rounding: bool = False
    input_types: Mapping[str, str] = field(default_factory=dict[str, str])
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    passes: Mapping[str, str] = field(default_factory=dict[str, str])
    kernels: Sequence[str | KernelSpec] = ()
    function: str | None = None

    def __post_init__(self) -> None:
        for name, kind in CHOICES.items():
            if (chosen := getattr(self, name)) not in get_args(kind):
                raise ValueError(f"{name} is '{chosen}', expected one of {', '.join(get_args(kind))}")
        if type(self.effort) is not int or self.effort < 1:
            raise ValueError(f"effort is {self.effort!r}, expected an integer of at least 1")
        if not isinstance(self.constants, ConstantBudget | None):  # pyright: ignore[reportUnnecessaryIsInstance]  (callers need not be typed)
            raise TypeError(f"constants is {self.constants!r}, expected a text such as '2.4x' or '300k'")
        for name in ("memory", "input_types", "shapes", "passes"):
            given = getattr(self, name)
            if not isinstance(given, Mapping) or not _holds(name, cast("Mapping[str, object]", given)):
                raise TypeError(f"{name} is {given!r}, expected {_WANTED[name]}")
        for name in ("engines", "kernels"):
            if isinstance(given := getattr(self, name), str):
                raise TypeError(f"{name} is {given!r}, expected {_WANTED[name]}")

    @property
    def refits(self) -> bool:
        """Whether the numbers are not those of the model."""
        return self.requant != "exact"

    def having(self, **changes: Any) -> CompileOptions:
        """Return the same options with others for some fields. Raises ValueError, and TypeError for no field.

        None stands for a field's default. `optimize`, "memory" or "speed", is the former name of a budget for
        constants. `constants` may be a text, as ConstantBudget.parse takes it.
        """
        if "optimize" in changes:
            changes["constants"] = former_budget(changes.pop("optimize"))
        if isinstance(constants := changes.get("constants"), str):
            changes["constants"] = ConstantBudget.parse(constants)
        for name in ("engines", "kernels"):
            if name in changes and not isinstance(changes[name], str):
                changes[name] = tuple(changes[name] or ())
        known = {each.name for each in fields(self)}
        if unknown := sorted(set(changes) - known):
            raise TypeError(f"there is no option '{unknown[0]}'; options are {', '.join(sorted(known))}")
        defaults = CompileOptions()
        return replace(
            self, **{name: getattr(defaults, name) if value is None else value for name, value in changes.items()}
        )

    def refined(self, soc: Soc) -> Soc:
        """Return a target with the engines, the cost model and the memories of these options. Raises ValueError."""
        if self.engines:
            soc = soc.with_engines(self.engines)
        if self.cost_model:
            soc = soc.with_cost_model(self.cost_model)
        for name, size_bytes in self.memory.items():
            soc = soc.with_memory(name, size_bytes)
        return soc

    @property
    def kernel_files(self) -> list[str]:
        """The files that describe the kernels, each once."""
        paths = [str(getattr(each, "origin", each)) for each in self.kernels]
        return list(dict.fromkeys(paths))

    def facts(self) -> dict[str, Any]:
        """Return the fields that are not their defaults as JSON has them, but for the plan."""
        found = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "plan"}
        found = {name: value for name, value in found.items() if value != getattr(DEFAULTS, name)}
        changed: dict[str, Any] = {}
        if self.engines:
            changed["engines"] = list(self.engines)
        if self.constants is not None:
            changed["constants"] = str(self.constants)
        if self.kernels:
            changed["kernels"] = self.kernel_files
        if self.shapes:
            changed["shapes"] = {name: list(sizes) for name, sizes in self.shapes.items()}
        return found | changed

    @classmethod
    def of_facts(cls, facts: Mapping[str, object]) -> CompileOptions:
        """Return the options that `facts` gave. Raises ValueError that names the field, what was found and wanted."""
        kinds = {"engines": list, "kernels": list, "memory": dict, "input_types": dict, "shapes": dict, "passes": dict}
        for name, value in facts.items():
            wanted = {"tflite_rounding": bool, "effort": int}.get(name) or kinds.get(name, str)
            if name == "plan" or name not in {each.name for each in fields(cls)}:
                raise ValueError(f"options: there is no '{name}'")
            if not isinstance(value, wanted) or (name in kinds and not _holds(name, value)):
                raise ValueError(f"options: '{name}' is {value!r}, expected {_WANTED.get(name, 'a text')}")
        try:
            return DEFAULTS.having(**facts)
        except ValueError as error:
            raise ValueError(f"options: {error}") from None

    def arguments(self) -> list[str]:
        """Return the words of a command line that give the same options, but for the plan, which is a file."""
        words: list[str] = []
        for name in CHOICES:
            if (chosen := getattr(self, name)) != getattr(CompileOptions, name):
                words += [f"--{name.replace('_', '-')}", chosen]
        if self.tflite_rounding:
            words.append("--tflite-rounding")
        if self.effort != 1:
            words += ["--effort", str(self.effort)]
        if self.constants is not None:
            words += ["--constants", str(self.constants)]
        if self.engines:
            words += ["--engines", ",".join(self.engines)]
        if self.cost_model is not None:
            words += ["--cost-model", self.cost_model]
        words += [word for name, size in self.memory.items() for word in ("--memory", f"{name}={size}")]
        words += [word for name, kind in self.input_types.items() for word in ("--input-type", f"{name}={kind}")]
        for name, sizes in self.shapes.items():
            words += ["--shape", f"{name}={'x'.join(map(str, sizes))}"]
        words += [word for stage, each in self.passes.items() for word in ("--passes", f"{stage}={each}")]
        words += [word for path in self.kernel_files for word in ("--kernels", path)]
        if self.function is not None:
            words += ["--function", self.function]
        return words


CHOICES: Mapping[str, Any] = {
    "objective": Objective,
    "requant": Requant,
    "mapping": MappingKind,
    "requant_shift": RequantShift,
}
"""The fields that are one of a few words, and these words."""

_WANTED = {
    "engines": "a list of names",
    "kernels": "a list of paths",
    "tflite_rounding": "true or false",
    "effort": "an integer",
    "memory": "bytes by memory",
    "input_types": "texts by input",
    "shapes": "lists of sizes by input",
    "passes": "pipelines by stage",
}


def _holds(name: str, value: Any) -> bool:
    """Say whether a list or a mapping has the elements that a field has."""
    elements = cast("list[object] | Mapping[str, object]", value)
    held = [*elements.values()] if isinstance(elements, Mapping) else elements
    if name == "shapes":
        lists = [cast("Sequence[object]", each) for each in held if isinstance(each, list | tuple)]
        return len(lists) == len(held) and all(_is_size(size) for each in lists for size in each)
    return all(_is_size(each) if name == "memory" else isinstance(each, str) for each in held)


def _is_size(value: object) -> bool:
    return isinstance(value, SupportsIndex) and not isinstance(value, bool)


DEFAULTS = CompileOptions()


def former_budget(optimize: str) -> ConstantBudget | None:
    """Return the budget that `optimize` named. Raises ValueError."""
    if optimize not in ("memory", "speed"):
        raise ValueError(f"optimize is '{optimize}', expected one of memory, speed")
    instead = f"constants={str(SPEED)!r}" if optimize == "speed" else "no budget"
    warnings.warn(f"optimize={optimize!r} is deprecated: give {instead}", DeprecationWarning, stacklevel=4)
    return SPEED if optimize == "speed" else None


def of_target(whole: Soc, soc: Soc) -> CompileOptions:
    """Return the options that make `soc` of the target as its description has it."""
    engines = tuple(engine.name for engine in soc.engines)
    cost_model = soc.cost_model.name if soc.cost_model else None
    default = whole.cost_model.name if whole.cost_model else None
    return CompileOptions(
        engines=engines if engines != tuple(engine.name for engine in whole.engines) else (),
        cost_model=cost_model if cost_model != default else None,
        memory={
            memory.name: memory.size_bytes
            for memory in soc.memories
            if memory.size_bytes != whole.memory(memory.name).size_bytes
        },
    )
