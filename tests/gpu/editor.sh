#!/bin/sh
# Render songs and train an editor that adds, replaces and remixes on a bare machine with a GPU:
#   sh tests/gpu/editor.sh FOLDER PRESET VAE_STEPS EDITOR_STEPS [TRIPLETS [OPTION OF TRAIN ...]]
# See install.sh for FOLDER. measure.sh tells how long a step takes. The job goes on in the background, and what is finished is
# kept when the command is run again. Its log is /tmp/instructme/editor.log, its run /tmp/instructme/editor.
set -e
. tests/gpu/install.sh "$1"
preset=$2 vae_steps=$3 editor_steps=$4 triplets=${5:-6000}
[ $# -gt 5 ] && shift 5 || set --
third=$((triplets / 3))
cat > editor-job.sh <<JOB
set -e
instructme corpus music --tier real --midi pack/songs --soundfont $(ls pack/fonts/*.sf[23] package/pretty_midi/*.sf2 2> /dev/null | head -1)
instructme scan music -o work
instructme prepare work
instructme pair work --count add=$third --count replace=$third --count remix=$third --eval-count 24
instructme shard work -o work/shards --splits train,validation
instructme train vae work/shards -o vae --preset $preset --steps $vae_steps $@
instructme train latents vae work/shards --work work
instructme train editor work/shards --vae vae --work work -o editor --preset $preset --steps $editor_steps $@
instructme check editor || true
JOB
setsid nohup sh editor-job.sh > editor.log 2>&1 &
