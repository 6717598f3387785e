"""Read triplets for training: rendered shards, recipes rendered on the fly, latents made beforehand."""
