"""Make <instruction, source, target> triplets from multitrack music, and train an editor of music on them."""
