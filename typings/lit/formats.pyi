"""lit.formats, as far as it is used."""

class ShTest:
    def __init__(self, execute_external: bool = True) -> None: ...
