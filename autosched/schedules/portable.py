"""Elementary functions whose last bit does not depend on the machine.

numpy and the C library round ``sin``, ``exp``, ``log`` and ``**`` as the processor's vector unit or the system's
version does; the same LR then has other bits elsewhere. These are made of ``+ - * /``, ``sqrt``, ``floor`` and changes
of the exponent, which IEEE 754 rounds in one way everywhere. Their text runs on numpy arrays here and, word for word,
on Python floats in exported sources (:mod:`autosched.schedules.exports.pieces_source`), which defines the names that
are imported from numpy for single numbers. Errors stay below one unit of the last place, two for :func:`power`.

Source: polynomials and reductions of fdlibm 5.3 (Sun Microsystems 1993): ``k_sin``, ``k_cos``, ``e_exp``, ``e_log``.
"""

from __future__ import annotations

from typing import Any

from numpy import abs as absolute
from numpy import asarray, floor, frexp, inf, int64, ldexp, nan, where

Real = Any
"""An array or a number; whatever has the arithmetic operators."""


def whole(x: Real) -> Real:
    """Whole numbers as integers."""
    return asarray(x).astype(int64)


def square(x: Real) -> Real:
    """The number times itself."""
    return x * x


def sin(x: Real) -> Real:
    """Sine of an angle up to a million."""
    return turned(x, 0.0)


def cos(x: Real) -> Real:
    """Cosine of an angle up to a million."""
    return turned(x, 1.0)


def turned(x: Real, quarters: float) -> Real:
    """``sin(x + quarters * pi / 2)``; not a number beyond a million, where the digits of pi run out."""
    far = absolute(x) > 1e6
    x = where(far, 0.0, x)
    turns = floor(x * 0.6366197723675814 + 0.5)
    head = x - turns * 1.5707963267341256
    tail = turns * 6.077100506506192e-11
    y = head - tail
    tail = (head - y) - tail
    z = y * y
    odd = 2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
    odd = 0.00833333333332248946124 + z * (-0.000198412698298579493134 + z * odd)
    sine = y - ((z * (0.5 * tail - z * y * odd) - tail) - z * y * -0.166666666666666324348)
    even = -2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)
    even = -0.00138888888888741095749 + z * (2.48015872894767294178e-05 + z * even)
    even = z * (0.0416666666666666019037 + z * even)
    half = 0.5 * z
    rest = 1.0 - half
    cosine = rest + (((1.0 - rest) - half) + (z * even - y * tail))
    quarter = turns + quarters
    quarter = quarter - 4.0 * floor(quarter * 0.25)
    value = where((quarter == 1.0) | (quarter == 3.0), cosine, sine)
    return where(far, nan, where(quarter >= 2.0, -value, value))


def exp(x: Real) -> Real:
    """``e**x``; 0 and infinite where float64 ends."""
    low, high = x < -745.2, x > 709.78
    x = where(low, 0.0, where(high, 0.0, x))
    power_of_two = floor(x * 1.4426950408889634 + 0.5)
    high_part = x - power_of_two * 0.693147180369123816490
    low_part = power_of_two * 1.90821492927058770002e-10
    r = high_part - low_part
    t = r * r
    c = -0.00277777777770155933842 + t * (
        6.61375632143793436117e-05 + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08)
    )
    c = r - t * (0.166666666666666019037 + t * c)
    value = 1.0 - ((low_part - (r * c) / (2.0 - c)) - high_part)
    return where(low, 0.0, where(high, inf, ldexp(value, whole(power_of_two))))


def log_parts(x: Real) -> tuple[Real, Real]:
    """``log(x)`` of an x > 0 as the sum of a rounded number and a small rest."""
    mantissa, exponent = frexp(x)
    small = mantissa < 0.7071067811865476
    mantissa = where(small, mantissa * 2.0, mantissa)
    exponent = where(small, exponent - 1.0, exponent * 1.0)
    f = mantissa - 1.0
    s = f / (2.0 + f)
    z = s * s
    poly = 0.1818357216161805012 + z * (0.1531383769920937332 + z * 0.1479819860511658591)
    poly = 0.2857142874366239149 + z * (0.2222219843214978396 + z * poly)
    poly = z * (0.6666666666666735130 + z * (0.3999999999940941908 + z * poly))
    half = 0.5 * f * f
    small_part = (s * (half + poly) + exponent * 1.90821492927058770002e-10) - half
    big = exponent * 0.693147180369123816490
    first = big + f
    lost = where(absolute(big) > absolute(f), (big - first) + f, (f - first) + big)
    total = first + small_part
    larger = absolute(first) > absolute(small_part)
    return total, where(larger, (first - total) + small_part, (small_part - total) + first) + lost


def log(x: Real) -> Real:
    """Natural logarithm."""
    total, rest = log_parts(where(x > 0.0, x, 1.0))
    return where(x == inf, inf, where(x > 0.0, total + rest, where(x == 0.0, -inf, nan)))


def expm1(x: Real) -> Real:
    """Kahan: ``(u - 1) x / log(u)`` with ``u = exp(x)``, in which the rounding of u cancels."""
    u = exp(x)
    plain = (u == 1.0) | (u < 1e-300) | (u > 1e300)
    v = where(plain, 2.0, u)
    return where(u == 1.0, x, where(plain, u - 1.0, (v - 1.0) * (x / log(v))))


def power(x: Real, y: Real) -> Real:
    """``x**y`` of an x >= 0, as ``exp(y log(x))`` with the product in two parts."""
    total, rest = log_parts(where(x > 0.0, x, 1.0))
    product = total * y
    a = total * 134217729.0
    a = a - (a - total)
    b = y * 134217729.0
    b = b - (b - y)
    error = ((a * b - product) + a * (y - b) + (total - a) * b) + (total - a) * (y - b)
    e = exp(product)
    raised = where(absolute(product) < 1e3, e + e * (error + rest * y), e)
    zero = where(y > 0.0, 0.0, where(y == 0.0, 1.0, inf))
    return where(x > 0.0, raised, where(x == 0.0, zero, nan))
