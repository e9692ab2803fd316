"""Beam's options, without the time that asking for them takes."""

from __future__ import annotations

from typing import Any, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions

_Options = TypeVar("_Options", bound=PipelineOptions)


class Views(PipelineOptions):
    """Beam's options, each view of which is made once.

    Beam asks for some 280 views in a launch and writes a command line parser for each, which took a quarter of the
    launch. All views share one mapping of values, so which one is asked does not matter.
    """

    def view_as(self, cls: type[_Options]) -> _Options:
        """The options of a class; what is set there is set everywhere."""
        views: dict[type, Any] = self.__dict__.setdefault("_views", {})  # Beam's own __setattr__ takes options only
        if cls not in views:
            views[cls] = super().view_as(cls)
        found: _Options = views[cls]
        return found
