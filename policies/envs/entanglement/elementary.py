"""Logarithm and exponential in nothing but sums, products, quotients and bits, so that whole rows are done at once.

Source: fdlibm (Sun Microsystems 1993), e_log.c and e_exp.c: errors below 1 unit in the last place. Its branches for
special values are left out, which a row has no use for and which would keep the processor from doing several at a time.
Plain Python and the compiled loop give the same bits, and so do all machines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LN2_HIGH, LN2_LOW, PER_LN2 = 6.93147180369123816490e-01, 1.90821492927058770002e-10, 1.44269504088896338700e00
L1, L2, L3, L4 = 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01
L5, L6, L7 = 1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01
P1, P2, P3 = 1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05
P4, P5 = -1.65339022054652515390e-06, 4.13813679705723846039e-08
FRACTION, BIAS, PLACES = np.int64((1 << 52) - 1), np.int64(1023), np.int64(52)
"""Of a number's bits: its fraction; what is added to its power of two; where that stands."""
ROOT = np.int64(0x3FE6A09E00000000)
"""Bits of about sqrt(1/2), from where on fractions are taken."""
TO_ROOT = (BIAS << PLACES) - ROOT
WHOLE, BITS_OF_WHOLE = 2.0**52, np.int64(0x4330000000000000)
"""A whole number in the fraction of this is this plus the number."""
NEAREST = 1.5 * 2.0**52
"""Added and taken away, it rounds; in between, the whole number stands in the last bits."""
MOST = 700.0
"""Of an exponent, either way: so much is a number still."""


def logarithm(x: Any) -> Any:
    """Natural logarithm of a float64 above 0 that is no subnormal; of others some finite number."""
    bits = np.int64(np.float64(x).view(np.int64) + TO_ROOT)
    power = np.int64((bits >> PLACES) | BITS_OF_WHOLE).view(np.float64) - (WHOLE + 1023.0)
    f = np.int64((bits & FRACTION) + ROOT).view(np.float64) - 1.0
    s, h = f / (2.0 + f), 0.5 * f * f
    z = s * s
    w = z * z
    r = z * (L1 + w * (L3 + w * (L5 + w * L7))) + w * (L2 + w * (L4 + w * L6))
    return power * LN2_HIGH - ((h - (s * (h + r) + power * LN2_LOW)) - f)


def exponential(x: Any, most: float = MOST) -> Any:
    """e^x of a float64, of one further from 0 than ``most`` as if it were that."""
    x = min(max(x, -most), most)
    shifted = x * PER_LN2 + NEAREST
    power = shifted - NEAREST
    high, low = x - power * LN2_HIGH, power * LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (P1 + t * (P2 + t * (P3 + t * (P4 + t * P5))))
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    return y * np.int64((np.float64(shifted).view(np.int64) + BIAS) << PLACES).view(np.float64)
