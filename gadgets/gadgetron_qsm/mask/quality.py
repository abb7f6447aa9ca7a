"""Where the phase follows from a field: what is worse than usual is not trusted."""

from __future__ import annotations

from gadgetron_qsm.arrays import Array, array_module

NO_COHERENCE_RAD = 0.5  # of residual, which a ROMEO quality of 0 is as bad as
WORST_USUAL_RAD = 0.5  # more than this is no noise of sound tissue


def trusted(
    residual: Array, tissue: Array, *, largest_residual_rad: float, quality: Array | None = None
) -> Array:
    """Tell which voxels of `tissue` (z, y, x) have a phase that can be trusted.

    residual (z, y, x) of the echo fit in rad, as EchoFit has it; `quality` (z, y, x), if given,
    of ROMEO, 1 at best. Both count from their median over the tissue, that is, from what noise
    makes of sound tissue, up to `largest_residual_rad`. Returns bool (z, y, x), False where the
    residual is not a number. Raises ValueError when there is no tissue.
    Hagberg et al. 2022, doi:10.1002/nbm.4676.
    """
    xp = array_module(residual)
    if not bool(tissue.any()):
        raise ValueError("no tissue to judge the phase in: the mask is empty")
    distrust = residual if quality is None else residual + NO_COHERENCE_RAD * (1 - quality)
    seen = distrust[tissue & ~xp.isnan(distrust)]
    usual = min(float(xp.median(seen)), WORST_USUAL_RAD) if len(seen) else WORST_USUAL_RAD
    return tissue & (distrust < usual + largest_residual_rad)
