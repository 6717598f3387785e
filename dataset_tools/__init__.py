"""Turn multitrack folders into edit triplets."""
