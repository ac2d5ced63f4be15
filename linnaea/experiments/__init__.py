"""How it is tried: images prepared, a ladder climbed, a rung chosen, calibrated, evaluated and written down."""
