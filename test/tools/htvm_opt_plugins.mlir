// RUN: htvm-opt %s --load-pass-plugin=%S/Inputs/own_passes.py -p cse,count-layers | FileCheck %s
// RUN: htvm-opt %s --load-pass-plugin=%S/Inputs/own_passes.py --list-passes | FileCheck %s --check-prefix=LIST
// RUN: not htvm-opt %s --load-pass-plugin=%S/Inputs/own_passes.py -p 'count-layers{limit=0}' 2>&1 | FileCheck %s --check-prefix=LIMIT
// RUN: not htvm-opt %s --load-pass-plugin=%S/Inputs/own_passes.py -p silent 2>&1 | FileCheck %s --check-prefix=SILENT
// RUN: not htvm-opt %s --load-pass-plugin=%S/Inputs/own_passes.py -p needs-order 2>&1 | FileCheck %s --check-prefix=ORDER
// RUN: htvm-opt %s --load-pass-plugin=%S/Inputs/own_passes.py -p dispatched,scheduled,needs-order --target=rv32 | FileCheck %s --check-prefix=ORDERED
// RUN: not htvm-opt %s --load-pass-plugin=%S/Inputs/own_passes.py -p cse,spoils 2>&1 | FileCheck %s --check-prefix=SPOILT
// RUN: htvm-opt %s --load-pass-plugin=%S/Inputs/own_passes.py -p cse,spoils --verify-each=0 --mlir-print-op-generic -o /dev/null

// A pass that raises is named, and the line and the file that repeat it work.
// RUN: not htvm-opt %s --load-pass-plugin=%S/Inputs/own_passes.py -p canonicalize,raises --mlir-pass-pipeline-crash-reproducer=%t.mlir 2>&1 | FileCheck %s --check-prefix=RAISES
// RUN: FileCheck %s --check-prefix=FILE < %t.mlir
// RUN: not htvm-opt %t.mlir --run-reproducer 2>&1 | FileCheck %s --check-prefix=RAISES
// RUN: not htvm-opt %s --run-reproducer 2>&1 | FileCheck %s --check-prefix=NONE

// What cannot be loaded says why.
// RUN: %python %S/Inputs/exits_with.py 2 htvm-opt %s --load-pass-plugin=%t.none.py 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: echo "1 +" > %t.bad.py
// RUN: %python %S/Inputs/exits_with.py 2 htvm-opt %s --load-pass-plugin=%t.bad.py 2>&1 | FileCheck %s --check-prefix=BAD
// RUN: echo "class P: name = 'integerize'" > %t.plain.py
// RUN: %python %S/Inputs/exits_with.py 2 htvm-opt %s --load-pass-plugin=%t.plain.py 2>&1 | FileCheck %s --check-prefix=PLAIN
// RUN: %python %S/Inputs/exits_with.py 2 htvm-opt %s --load-pass-plugin=%S/Inputs/unreadable_option.py 2>&1 | FileCheck %s --check-prefix=UNREADABLE
// RUN: not htvm-opt %s -p 'verify-stage{stage=integer,stage=tiled}' 2>&1 | FileCheck %s --check-prefix=COMMA

// A dialect in a library, as for mlir-opt.
// RUN: htvm-opt %s --load-dialect-plugin=%plugin | FileCheck %s --check-prefix=DIALECT
// RUN: %python %S/Inputs/exits_with.py 2 htvm-opt %s --load-dialect-plugin=%s 2>&1 | FileCheck %s --check-prefix=NOLIB

// RUN: not htvm-opt %s --load-dialect-plugin=%plugin --load-pass-plugin=%S/Inputs/own_passes.py -p raises --mlir-pass-pipeline-crash-reproducer=%t.lib.mlir 2>/dev/null
// RUN: FileCheck %s --check-prefix=WITHLIB < %t.lib.mlir
// RUN: htvm compile %s -o %t.c --load-dialect-plugin=%plugin | FileCheck %s --check-prefix=COMPILED
// RUN: %python %S/Inputs/exits_with.py 2 htvm compile %s -o %t.c --load-dialect-plugin=%s 2>&1 | FileCheck %s --check-prefix=NOLIB

// CHECK: module attributes {mine.layers = 1 : i64}
// WITHLIB: arguments: "{{.*}}--load-dialect-plugin {{.*}}libhtvm_accel.so
// COMPILED: C of 'f' for target 'rv32'
// LIST: {{^}}  count-layers {{ *}}Write how many layers there are, and refuse more than a limit. ({{.*}}own_passes.py)
// LIST-NEXT: {limit=int} (default: 8)
// LIMIT: htvm_opt_plugins.mlir:[[#@LINE+22]]:8: error: layer 1, expected at most 0
// LIMIT: htvm_opt_plugins.mlir: error: pass 'count-layers{limit=0}' failed
// SILENT: htvm_opt_plugins.mlir: error: pass 'silent' failed
// ORDER: error: the module is in stage 'integer'; pass 'needs-order' takes stage 'scheduled': -p dispatched,scheduled,needs-order
// ORDERED: module attributes {mine.ordered}
// SPOILT: error: {{.*}}'accel.pool2d' op
// SPOILT: htvm_opt_plugins.mlir: error: pass 'spoils' failed
// RAISES: error: {{.*}}.mlir: pass 'raises' of {{.*}}own_passes.py failed: KeyError: 'no such layer' (own_passes.py:[[#]], in __call__)
// RAISES-NEXT: to repeat it: htvm-opt {{.*}}-before-raises.mlir --load-pass-plugin {{.*}}own_passes.py -p raises
// FILE: accel.pool2d
// FILE: pipeline: "builtin.module(raises)"
// FILE: arguments: "--load-pass-plugin {{.*}}own_passes.py"
// NONE: htvm-opt: error: {{.*}}htvm_opt_plugins.mlir: has no reproducer
// MISSING: --load-pass-plugin: {{.*}}.none.py: no such file
// BAD: --load-pass-plugin: {{.*}}.bad.py{{.*}}SyntaxError
// PLAIN: --load-pass-plugin: {{.*}}.plain.py: class 'P': is no dataclass
// UNREADABLE: unreadable_option.py: pass 'keeps-some': option 'limit' has type 'int | None', which is not read from text; expected bool, int
// COMMA: pass 'verify-stage': a comma comes before option 'stage', expected a space
// DIALECT: accel.pool2d
// NOLIB: --load-dialect-plugin: {{.*}}htvm_opt_plugins.mlir: is no plug-in for MLIR

func.func @f(%x: tensor<1x8x4x4xi8>) -> tensor<1x8x3x3xi8> {
  %y = accel.pool2d %x {kind = #accel.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x8x4x4xi8>) -> tensor<1x8x3x3xi8>
  return %y : tensor<1x8x3x3xi8>
}
