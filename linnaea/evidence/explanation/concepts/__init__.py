"""What a classifier has learnt of its classes: pictures that drive them, and concepts that speak for them."""
