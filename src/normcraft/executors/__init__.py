"""Where trials run: here; worker processes and Ray will join. Knows nothing of Keras.

An executor is one file with `run(worker, groups)`: it hands each group of trial specifications to
the worker and yields the records as they come.
"""
