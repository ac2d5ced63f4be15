"""How far a figure could be off: intervals of shares and figures, and paired tests, the same ones for all rooms."""
