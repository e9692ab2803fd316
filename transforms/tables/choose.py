"""Which kind of table a job publishes to; the only place that asks."""

from __future__ import annotations

from ...schemas.job import Job
from ...schemas.layout import layout
from .base import Table
from .delta_table import DeltaPredictions


def table_of(job: Job) -> Table:
    """The table of a job; nothing is opened yet."""
    places = layout(job)
    if job.output.bigquery:
        from .bigquery import BigQueryPredictions

        settings = job.output.bigquery
        return BigQueryPredictions(settings.table, settings.location, places.table, job.name)
    return DeltaPredictions(places.table)
