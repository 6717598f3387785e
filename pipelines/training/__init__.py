"""Training: one loop, one trainer for each kind of model."""
