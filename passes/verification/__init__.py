"""Passes that check what others have written."""
