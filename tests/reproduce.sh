#!/bin/sh
# Reproduce Tables 1, 2 and 4 and Figure 5 of the paper from nothing: `make reproduce`, or tests/reproduce.sh OUT [cpu|gpu|toy].
# Four systems, three seeds each, on the same VAE, data and steps. Run it again after a stop: finished parts are kept.
# INSTRUCTME: the command. OTHER: a folder of other stems, for the out-of-domain half of Table 1.
# JOBS: how many systems are trained at once on the CPU, one thread each; by default one on each core.
set -eu
out=$1 scale=${2:-cpu} instructme=${INSTRUCTME:-instructme} most=1 chains= small= running=
case $scale in
    toy) tier="--tier mini --hours 0.03" total=20 held=2 preset=tiny vae_steps=2 steps=2 count=1 seeds="0" sampler=2 ;;
    cpu) tier="--tier mini" total=1000 held=40 preset=tiny vae_steps=400 steps=200 count=8 seeds="0 1 2" sampler=5 most=$(nproc) \
        chains=4 small="--set editor_training.batch_size=8 --set editor_training.segment_seconds=2" ;;
    gpu) tier="--tier standard --hours 100" total=200000 held=800 preset=paper vae_steps=200000 steps=500000 count=800 \
        seeds="0 1 2" sampler=100 ;;
    *) echo "no such scale: $scale: choose toy, cpu or gpu" >&2; exit 2 ;;
esac
most=${JOBS:-$most}
systems="instructme audit no_msa no_chords"
options() {
    case $1 in
        audit) echo "--set unet.source=concatenation --set unet.chords=false --set diffusion.predict=target" ;;
        no_msa) echo "--set unet.source=concatenation" ;;
        no_chords) echo "--set unet.chords=false" ;;
    esac
}

mkdir -p "$out"
$instructme corpus "$out/corpus" $tier
$instructme scan "$out/corpus" -o "$out/work"
$instructme prepare "$out/work"
$instructme pair "$out/work" --total "$total" --eval-count "$held" --rounds 3
$instructme shard "$out/work" -o "$out/work/shards"
$instructme train vae "$out/work/shards" -o "$out/vae" --preset "$preset" --steps "$vae_steps"
$instructme train latents "$out/vae" "$out/work/shards" --work "$out/work"
train() {
    # Words are split on purpose: options has several. With exec, killing the job kills the training.
    ${3:-} $instructme train editor "$out/work/shards" --vae "$out/vae" --work "$out/work" -o "$out/runs/$1-$2" --preset "$preset" \
        --steps "$steps" --seed "$2" $small $(options "$1")
}
# A shell lets what runs in the background ignore Ctrl-C.
trap 'exit 130' INT TERM
trap 'kill $running 2>/dev/null || :' EXIT
runs=
for seed in $seeds; do
    for system in $systems; do
        runs="$runs --run $out/runs/$system-$seed"
        if [ "$most" = 1 ]; then train "$system" "$seed"; continue; fi
        OMP_NUM_THREADS=1 train "$system" "$seed" exec &
        running="$running $!"
        set -- $running
        if [ $# -ge "$most" ]; then wait "$1"; shift; running=$*; fi
    done
done
for job in $running; do wait "$job"; done
running=
other=
if [ -n "${OTHER:-}" ]; then
    $instructme build "$OTHER" "$out/other" --total 1 --eval-count "$held"
    other="--ood $out/other/shards"
fi
$instructme evaluate "$out/work/shards" $runs $other --count "$count" --set steps="$sampler" -o "$out/tables"
$instructme evaluate "$out/work/shards" $runs --rounds --count "${chains:-$count}" --set steps="$sampler" -o "$out/figure5"
echo "Tables 1, 2 and 4: $out/tables/tables.md; Figure 5: $out/figure5/tables.md"
