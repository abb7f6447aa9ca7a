#!/bin/sh
# FIRE starts this in the chroot that was made of the OpenRecon image (fire.ini, chroot_command), where
# nothing is left of the image's environment, and expects it back at once.
# $1: where the log goes, as in /tmp/share/gadgetron-qsm.log; without it there is none.
export PATH=/opt/gadgetron-qsm/bin:/usr/local/bin:/usr/bin:/bin
export HOME=/var/lib/gadgetron-qsm
export PYTHONUNBUFFERED=1
export NUMBA_CACHE_DIR=/var/cache/gadgetron-qsm/numba
export CUPY_CACHE_DIR=/var/cache/gadgetron-qsm/cupy
export MPLCONFIGDIR=/var/cache/gadgetron-qsm/matplotlib
gadgetron-qsm --verbose serve --host 0.0.0.0 --port 9002 --config openrecon \
    --set spool.folder=/tmp/share/saved_data --set spool.limit_gb=20 \
    >>"${1:-/dev/null}" 2>&1 </dev/null &
