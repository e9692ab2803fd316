"""Why a row was turned away: every reason code there is, in one place; the docs' table is made from it."""

from __future__ import annotations

REASONS: dict[str, str] = {
    # read: what the bytes are
    "record_too_long": "the record is longer than `source.max_record_bytes`",
    "bad_encoding": "bytes of the record mean nothing in the source's `encoding`",
    "open_escape": "the record ends in an escape character",
    "line_break": "a bare carriage return stands inside the record",
    "unbalanced_quote": "a quoted field is not closed, or the record has an odd number of quote characters",
    "wrong_field_count": "the record has more or fewer fields than the header",
    "no_match": "the line is not what the log's `format` or `pattern` says",
    "bad_record": "a record of a TFRecord does not match its checksum; or a row as JSON, edited for a replay, is none",
    "bad_example": "the bytes are no tf.Example, or a feature is not of the kind its column needs",
    "bad_json": "the record is not valid JSON",
    "not_an_object": "the record is valid JSON, but no object",
    "duplicate_field": "a field that the job reads stands twice in one object",
    "not_utf8": "a text is not valid UTF-8",
    "bad_value": "a value is not of the column's type",
    "no_such_time": "the local time was skipped when the clocks went forward",
    "ambiguous_time": "the local time happened twice, and the column says `ambiguous: reject`",
    # validate: what the contract says
    "null": "a value is missing in a column that is not nullable",
    "null_key": "a value of the key is missing",
    "key_too_long": "the key's text is longer than 1,024 bytes",
    "not_finite": "a value is NaN or infinite (or overflows float32), and the column does not say `allow_nan: true`",
    "below_min": "a value is smaller than `min`",
    "above_max": "a value is greater than `max`",
    "not_in_values": "a value is not among `values`",
    "pattern": "a text does not match `pattern`",
    "too_long": "a value is longer than `max_length`",
    "wrong_size": "a list does not hold `size` items",
    "join_missing": "no row of a side table has the row's key, and the join says `missing: reject`",
    # preprocess, predict, postprocess: what the user's code and the model say
    "preprocess_failed": "the transform graph raised on this row alone",
    "model_failed": "the model raised on this row alone",
    "postprocess_failed": "the postprocess function raised on this row alone",
    # merge: what only the whole night shows
    "duplicate_key": "another row of the night has the same key, and comes first; the key says `duplicates: reject`",
}
"""Reason code -> explanation; in the order in which the codes are looked for."""
