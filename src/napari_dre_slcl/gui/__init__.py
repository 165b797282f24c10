"""The napari half: a reader, a dock, and one object that owns every layer we add."""
