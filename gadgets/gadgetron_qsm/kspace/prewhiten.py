"""Whitening of the receivers' noise."""

from __future__ import annotations

from gadgetron_qsm.arrays import Array, array_module

SILENT = 1e-12  # of the strongest receiver's noise


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


def silent_receivers(covariance: Array) -> list[int]:
    """Numbers of the receivers without noise in a covariance (coil, coil): not connected."""
    xp = array_module(covariance)
    power = xp.abs(xp.diagonal(covariance))
    return [int(i) for i in xp.nonzero(power <= SILENT * power.max())[0]]


def whitening_matrix(covariance: Array) -> Array:
    """Return W (coil, coil) complex64 with W C W^H = 1, the inverse Cholesky factor.

    Whitened channels have noise of unit variance per complex sample, uncorrelated.
    Raises ValueError when the covariance is not positive definite (a dead receiver).
    Pruessmann et al. 2001, doi:10.1002/mrm.1241.
    """
    xp = array_module(covariance)
    silent = silent_receivers(covariance)
    if silent:
        raise ValueError(f"receivers {silent} have no noise; they are not connected")
    return xp.linalg.inv(xp.linalg.cholesky(covariance)).astype("complex64")
