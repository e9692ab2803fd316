"""One framework a file: input schema, output schema, RecordBatch to RecordBatch."""
