"""How it learns: rungs, the training loop, heads on fixed features, augmentation, checkpoints."""
