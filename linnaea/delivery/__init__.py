"""How it ships: the model card, the report and the exports."""
