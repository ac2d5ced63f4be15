"""What to label next: strategies that choose among images without labels."""
