"""Passes on stage 'imported': scales, epilogues and functions, on exact real numbers."""
