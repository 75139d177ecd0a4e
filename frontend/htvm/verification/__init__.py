"""Is every output exact? Comparison, the first layer that differs, and the smallest model that still fails."""
