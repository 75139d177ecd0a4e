"""From float models to quantised ones that compile."""
