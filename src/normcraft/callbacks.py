"""Callbacks for your own `fit`."""

from normcraft.api.monitor import NormalizationMonitor

__all__ = ["NormalizationMonitor"]
