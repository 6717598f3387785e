#!/bin/sh
# Render music and train a separator on a bare machine with a GPU:
#   sh tests/gpu/separator.sh FOLDER SECONDS [options of train_separator.py]
# See install.sh for FOLDER. Both jobs go on in the background. What they write lies in /tmp/instructme.
set -e
. tests/gpu/install.sh "$1"
seconds=$2; shift 2
setsid nohup nice python3 tests/gpu/render_music.py pack bank --workers "${WORKERS:-14}" --passes "${PASSES:-3}" > render.log 2>&1 &
setsid nohup python3 tests/gpu/train_separator.py bank run --words pack/words.npz --seconds "$seconds" "$@" > train.log 2>&1 &
