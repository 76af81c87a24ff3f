"""How far what was computed lies from a reference, both NumPy arrays or tensors of
PyTorch on the CPU."""

import numpy as np


def float16_ulps(got, reference):
    """The largest distance in units of the last place of float16. Sums that cancel
    are forgiven what float32 loses on numbers of the result's scale."""
    reference = np.array(reference, np.float64)
    reference[np.abs(reference) >= 65520] *= np.inf  # as float16 rounds them
    got, reference = _finite(got, reference)
    size = np.abs(reference)
    noise = 1e-6 * size.max(initial=0)
    # The numbers up to the largest, 65504, lie as far apart as those before 65472.
    ulp = np.spacing(np.minimum(size, 65472).astype(np.float16)).astype(np.float64)
    error = np.maximum(np.abs(got - reference) - noise, 0)
    return float((error / ulp).max(initial=0))


def relative_error(got, reference):
    """The length of the difference over the length of the reference."""
    got, reference = _finite(got, reference)
    if not reference.size:
        return 0.0
    return float(np.linalg.norm(got - reference) / np.linalg.norm(reference))


def _finite(got, reference):
    """Both where the reference is finite; elsewhere they must be the same."""
    assert got.shape == reference.shape, f"shape {got.shape}, not {reference.shape}"
    got, reference = (np.asarray(x, np.float64) for x in (got, reference))
    finite = np.isfinite(reference)
    assert np.array_equal(got[~finite], reference[~finite], equal_nan=True), (
        f"{got[~finite]}, not {reference[~finite]}")
    assert np.isfinite(got[finite]).all(), "inf or NaN where the reference has none"
    return got[finite], reference[finite]
