"""A layer of a small net, compiled: several units at a time, whose sums stay in the processor until they are whole.

A loop over 32 units takes longer to begin and to end than for what it does, and no loop of numba's keeps several sums
from one input to the next. So this one thing is said in the compiler's own words; a processor with narrower registers
takes several of them. Sums are made in the order of inputs, one product after the other, and are the same everywhere.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from policies.envs.entanglement.parts import part

REAL, WHOLE = ir.FloatType(), ir.IntType(32)


def _units(num: int) -> Any:
    """So many units of a layer, from the first of them on: relu(x w + b), float32."""
    several = ir.VectorType(REAL, num)

    def put(context: Any, builder: Any, signature: Any, told: Any) -> Any:
        weights, biases, given, found = (
            context.make_array(kind)(context, builder, array)
            for kind, array in zip(signature.args[:4], told, strict=False)
        )
        width, first = builder.extract_value(weights.shape, 1), told[4]

        def place(array: Any, at: Any) -> Any:
            return builder.bitcast(builder.gep(array.data, [at], inbounds=True), several.as_pointer())

        total = cgutils.alloca_once_value(builder, builder.load(place(biases, first), align=4))
        with cgutils.for_range(builder, builder.extract_value(given.shape, 0)) as loop:
            row = builder.load(place(weights, builder.add(builder.mul(loop.index, width), first)), align=4)
            one = builder.load(builder.gep(given.data, [loop.index], inbounds=True))
            one = builder.insert_element(ir.Constant(several, ir.Undefined), one, WHOLE(0))
            one = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(WHOLE, num), [0] * num))
            builder.store(builder.fadd(builder.load(total), builder.fmul(one, row)), total)
        whole, nothing = builder.load(total), ir.Constant(several, [0.0] * num)
        live = builder.select(builder.fcmp_ordered(">", whole, nothing), whole, nothing)
        builder.store(live, place(found, first), align=4)
        return context.get_dummy_value()

    @intrinsic
    def units(_: Any, weights: Any, biases: Any, given: Any, found: Any, first: Any) -> Any:
        return types.void(weights, biases, given, found, first), put

    return units


many, some, single = (_units(num) for num in (32, 8, 1))


@part
def layer(weights, biases, given, found):
    """relu(x w + b) into ``found``; contiguous float32 (F, H), (H,), (F,), (H,)."""
    first, num = 0, found.size
    while first + 32 <= num:
        many(weights, biases, given, found, first)
        first += 32
    while first + 8 <= num:
        some(weights, biases, given, found, first)
        first += 8
    while first < num:
        single(weights, biases, given, found, first)
        first += 1
