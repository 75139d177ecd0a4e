"""pooling_npu: tiny_npu, whose array also pools the results of convolutions on their way out; no pass executes it."""

import sys
from dataclasses import fields, replace
from pathlib import Path

from mlir import ir

from htvm.backend.targets.engines import fused_ops
from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.backend.targets.jobs import Job, JobKind
from htvm.backend.targets.violations import Subject, Violation
from htvm.dialects import accel
from htvm.dialects.accel import PoolKind

sys.path.insert(0, str(Path(__file__).parents[2] / "inputs" / "launchers"))

from own_start import NPU, Started
from own_start import SOC as OWN_START


class Pooling(Started):
    patterns = (("conv2d", "pool2d"),)

    def violations(self, op: ir.Operation) -> tuple[Violation, ...]:
        if (pool := fused_ops.pooled(op)) is None:
            return super().violations(op)
        found = () if pool.kind.value == PoolKind.MAX else (Violation(Subject.KIND, pool.kind.value, PoolKind.MAX),)
        return (*super().violations(fused_ops.first(op)), *found)

    def job_in(self, op: ir.Operation, form: object) -> Job:
        if not isinstance(op.operation.opview, accel.FusedOp):
            return super().job_in(op, form)
        geometry = fused_ops.job(op, JobKind.CONV2D)
        return replace(geometry, own=super().job_in(fused_ops.first(op), None).own)


ENGINE = Pooling(**{each.name: getattr(NPU, each.name) for each in fields(ArrayEngine)})
SOC = replace(OWN_START, name="pooling_npu", engines=(ENGINE, *OWN_START.engines[1:]))
