"""From stage 'scheduled' to 'tiled': tensors become buffers; layers on accelerators become commands."""
