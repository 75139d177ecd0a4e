"""From stage 'integer' to 'scheduled': engines, layouts, kernels, order and tile sizes."""
