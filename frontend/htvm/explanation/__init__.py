"""Why each layer runs where it runs, and which model edits would change that."""
