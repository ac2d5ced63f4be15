"""What to label next, and what choosing so would have brought."""
