"""What steers the denoiser: one file for each condition."""
