"""Questions about the IR and about numbers that change nothing."""
