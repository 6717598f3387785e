#!/bin/sh
# Measure the editor on a bare machine with a GPU: the GPU's tests, steps of training, and real-time factors.
#   sh tests/gpu/measure.sh FOLDER [DEVICE [PRESET:BATCH_SIZE ...]]
# See install.sh for FOLDER. REAL_TIME may hold options of real_time.py.
set -e
. tests/gpu/install.sh "$1"
device=${2:-cuda}
[ $# -gt 2 ] && shift 2 || set -- small:32 paper:8
python3 -m pytest -m gpu -p no:cacheprovider tests/test_commands_train.py || [ $? -eq 5 ]
for each in "$@"; do
    python3 tests/benchmarks/training.py --preset "${each%:*}" --batch-size "${each#*:}" --device "$device"
    python3 tests/gpu/real_time.py --preset "${each%:*}" --device "$device" $REAL_TIME
done
