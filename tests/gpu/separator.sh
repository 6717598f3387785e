#!/bin/sh
# Render music and train a separator on a bare machine with a GPU:  sh tests/gpu/separator.sh FOLDER SECONDS [options of train_separator.py]
# FOLDER holds pack.tar.xz and wheels (whl/). Both jobs go on in the background; what they write lies in /tmp/separator.
set -e
mkdir -p /tmp/site /tmp/separator /tmp/package/instructme
python3 -m pip install -q --no-index --no-deps --no-compile --target /tmp/site "$1"/whl/*.whl
tar xJf "$1/pack.tar.xz" -C /tmp
for room in manifests dataset_tools model pipelines; do ln -sfn "$PWD/$room" "/tmp/package/instructme/$room"; done
touch /tmp/package/instructme/__init__.py
seconds=$2; folder=$PWD; shift 2
export PYTHONPATH=/tmp/site:/tmp/package PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
cp -r tests/gpu manifests dataset_tools model pipelines /tmp/separator/ 2>/dev/null || true
for room in manifests dataset_tools model pipelines; do ln -sfn "/tmp/separator/$room" "/tmp/package/instructme/$room"; done
setsid nohup nice python3 /tmp/separator/gpu/render_music.py /tmp/pack /tmp/bank --workers 14 --passes 3 > /tmp/separator/render.log 2>&1 &
setsid nohup python3 /tmp/separator/gpu/train_separator.py /tmp/bank /tmp/separator/run --words /tmp/pack/words.npz --seconds "$seconds" "$@" > /tmp/separator/train.log 2>&1 &
