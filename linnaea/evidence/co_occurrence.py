"""Which labels come together, in truth and in answers, more or less often than chance would have it."""

