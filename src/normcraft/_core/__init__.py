"""Errors, the registry of extensions, names, and the one file that touches Keras's private API."""
