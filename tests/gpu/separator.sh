#!/bin/sh
# Render music and train a separator on a bare machine with a GPU:
#   sh tests/gpu/separator.sh FOLDER SECONDS [options of train_separator.py]
# FOLDER holds wheels of soundfile, cffi, pycparser and mido (whl/), and pack.tar.xz, which is made before by
#   python tests/gpu/pack_music.py pack ... && python tests/gpu/pack_words.py pack/words.npz && tar cJf pack.tar.xz pack
# Both jobs go on in the background. What they write lies in /tmp/separator.
set -e
mkdir -p /tmp/site /tmp/separator /tmp/package/instructme
python3 -m pip install -q --no-index --no-deps --no-compile --target /tmp/site "$1"/whl/*.whl
tar xJf "$1/pack.tar.xz" -C /tmp
cp -r tests/gpu manifests dataset_tools model pipelines /tmp/separator/
for room in manifests dataset_tools model pipelines; do ln -sfn "/tmp/separator/$room" "/tmp/package/instructme/$room"; done
touch /tmp/package/instructme/__init__.py
seconds=$2; shift 2
export PYTHONPATH=/tmp/site:/tmp/package PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
cd /tmp/separator
setsid nohup nice python3 gpu/render_music.py /tmp/pack /tmp/bank --workers 14 --passes 3 > render.log 2>&1 &
setsid nohup python3 gpu/train_separator.py /tmp/bank run --words /tmp/pack/words.npz --seconds "$seconds" "$@" > train.log 2>&1 &
