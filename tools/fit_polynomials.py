#!/usr/bin/env python3
"""Fits the polynomials of src/cpu/math-inl.h and prints them with their errors.

Each is a weighted least-squares fit at Chebyshev points, reweighted (Lawson's
iteration) until the largest error is as small as the degree allows. Errors are
relative to the function. Needs numpy and mpmath.
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 40
POINTS = 2000


def fit(name, function, weight, low, high, degree):
    """Prints coefficients c0, c1, ... of a polynomial near `function`."""
    k = np.arange(POINTS)
    x = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (k + 0.5) / POINTS)
    y = np.array([float(function(mp.mpf(v))) for v in x])
    w = np.array([float(weight(mp.mpf(v))) for v in x])
    powers = np.vander(x, degree + 1, increasing=True)
    importance = np.ones(POINTS) / POINTS
    best_error, best = np.inf, None
    for _ in range(60):
        scale = np.sqrt(importance) * w
        c, *_ = np.linalg.lstsq(powers * scale[:, None], y * scale, rcond=None)
        error = np.abs((powers @ c - y) * w)
        if error.max() < best_error:
            best_error, best = error.max(), c
        importance *= error + 1e-30
        importance /= importance.sum()
    print(f"{name}: {best_error:.1e}")
    print("   " + ", ".join(f"{np.float32(v):.9g}f" for v in best))


def main():
    root = mp.sqrt
    half_log = 0.3466  # ln(2) / 2 and a little
    fit("e^r = 1 + r + r^2 P(r)",
        lambda r: (mp.exp(r) - 1 - r) / r**2,
        lambda r: r * r / mp.exp(r), -half_log, half_log, 4)
    fit("2^f = 1 + f P(f)",
        lambda f: (mp.mpf(2) ** f - 1) / f,
        lambda f: abs(f) / mp.mpf(2) ** f, -0.5, 0.5, 3)
    fit("ln(1 + r) = r - r^2 / 2 + r^3 P(r)",
        lambda r: (mp.log1p(r) - r + r * r / 2) / r**3,
        lambda r: abs(r**3 / mp.log1p(r)),
        float(root(0.5)) - 1, float(root(2)) - 1, 7)
    quarter = (np.pi / 4) ** 2 * 1.001
    fit("sin r = r + r^3 P(r^2)",
        lambda z: (mp.sin(root(z)) / root(z) - 1) / z,
        lambda z: z * root(z) / mp.sin(root(z)), 1e-6, quarter, 2)
    fit("cos r = 1 - r^2 / 2 + r^4 P(r^2)",
        lambda z: (mp.cos(root(z)) - 1 + z / 2) / z**2,
        lambda z: z * z / mp.cos(root(z)), 1e-6, quarter, 2)
    fit("tanh x = x + x^3 P(x^2)",
        lambda z: (mp.tanh(root(z)) / root(z) - 1) / z,
        lambda z: z * root(z) / mp.tanh(root(z)), 1e-6, 0.625**2, 4)
    fit("erf x = x + x P(x^2)",
        lambda z: mp.erf(root(z)) / root(z) - 1,
        lambda z: root(z) / mp.erf(root(z)), 1e-6, 1.0, 6)
    fit("-ln(1 - erf t) = t + t Q(t)",
        lambda t: -mp.log(mp.erfc(t)) / t - 1,
        lambda t: t * mp.erfc(t), 1.0, 4.0, 6)


if __name__ == "__main__":
    main()
