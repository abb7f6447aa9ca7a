"""Whitening of the receivers' noise."""

from __future__ import annotations

from gadgetron_qsm.arrays import Array, array_module


def noise_covariance(noise: Array) -> Array:
    """Estimate the receivers' noise covariance, (coil, coil) complex128.

    noise (coil, sample): samples of noise readouts side by side.
    Raises ValueError when there are fewer samples than a covariance of full rank needs, or samples
    that are not finite.
    """
    xp = array_module(noise)
    coils, samples = noise.shape
    if samples <= coils:
        raise ValueError(f"{samples} noise samples are too few for {coils} coils")
    if not bool(xp.isfinite(noise).all()):
        raise ValueError("noise samples are not finite")
    wide = noise.astype("complex128")
    wide = wide - wide.mean(axis=1, keepdims=True)
    return wide @ wide.conj().T / (samples - 1)


def whitening_matrix(covariance: Array) -> Array:
    """Return W (coil, coil) complex64 with W C W^H = 1, the inverse Cholesky factor.

    Whitened channels have noise of unit variance per complex sample, uncorrelated.
    Raises ValueError when the covariance is not positive definite (a dead receiver).
    Pruessmann et al. 2001, doi:10.1002/mrm.1241.
    """
    xp = array_module(covariance)
    power = xp.abs(xp.diagonal(covariance))
    if not bool((power > 1e-12 * power.max()).all()):
        dead = [int(i) for i in xp.nonzero(power <= 1e-12 * power.max())[0]]
        raise ValueError(f"receivers {dead} have no noise; they are not connected")
    return xp.linalg.inv(xp.linalg.cholesky(covariance)).astype("complex64")
