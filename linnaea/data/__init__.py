"""What is seen: sources, pixels, duplicates, splits and the audit."""
