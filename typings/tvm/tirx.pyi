from tvm.ir import Expr

class IntImm(Expr):
    value: int

class FloatImm(Expr):
    value: float
