"""Charts of the report; what all are drawn in is in `style`."""
