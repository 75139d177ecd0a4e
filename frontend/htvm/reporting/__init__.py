"""The page of `htvm report`: its facts, and the HTML around them."""
