"""ortools.util.python.sorted_interval_list as far as htvm uses it."""

class Domain:
    def __init__(self, low: int, high: int) -> None: ...
