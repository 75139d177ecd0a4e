"""From stage 'tiled' to 'planned': a byte offset for every buffer, and predicted cycles for every step."""
