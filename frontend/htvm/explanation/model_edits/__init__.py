"""What could be different in a model so that an engine takes a layer: ideas as small files, and the search among them.

An idea is a generator: it looks at the layer and at what a rule found and wanted, and yields changes, each with the
layer as it is then. Whether a change helps is not said here: the engine's own rules are asked again.
"""
