"""Looking at a preprocessing_fn before anything is launched."""

from __future__ import annotations

from pathlib import Path

import pytest

from highbeam.schemas.errors import UsageError
from highbeam.transforms.preprocessing import PreprocessingFn, Trace, trace

from tests.support.models import contract_of

CONTRACT = contract_of({"x": "float32", "k": "int64", "s": "string", "price": "decimal"})
HEAD = "import tensorflow as tf\nimport tensorflow_transform as tft\n\n\ndef fn(inputs):\n"


def traced(folder: Path, body: str) -> Trace:
    (folder / "pp.py").write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
    return trace(PreprocessingFn("pp.py:fn", str(folder)), CONTRACT)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return {'y': inputs['z']}",
            "pp.py:fn at line 6: no input 'z'; the contract and training.columns offer x, k, s",
        ),
        ("return {'y': inputs['price']}", "no input 'price'; the column is a decimal, which is no feature; say as:"),
        ("x = inputs['x']\nraise ValueError('no\\nway')", "pp.py:fn at line 7: ValueError: no"),
        ("return {'y': inputs['x'] + inputs['k']}", "pp.py:fn at line 6: TypeError: "),
        ("pass", "pp.py:fn returned nothing; it returns a dict"),
        ("return {}", "pp.py:fn returned an empty dict"),
        ("return [inputs['x']]", "pp.py:fn returned a list"),
        ("return {'y': 3.0}", "pp.py:fn returned a float as 'y'"),
        ("return {'mean': tft.mean(inputs['x'])}", "pp.py:fn returned one value for all rows as 'mean'"),
        (
            "return {'y': inputs['x'] > 0}",
            "pp.py:fn returned 'y' as bool (a feature is int64, float32 or string: cast it)",
        ),
        ("return {'x': tf.Variable(1.0) * inputs['x']}", "pp.py:fn at line 6: ValueError: "),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        traced(tmp_path, body)
    assert message in str(error.value)


def test_a_contract_without_features_cannot_be_analyzed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="offers no feature"):
        trace(PreprocessingFn("pp.py:fn", str(tmp_path)), contract_of({"d": "date"}))


def test_equal_functions_have_equal_traces_and_others_do_not(tmp_path: Path) -> None:
    one = traced(tmp_path, "return {'y': tft.scale_to_z_score(inputs['x'] + 1)}")
    assert len(one.entries) == 1
    assert traced(tmp_path, "return {'y': tft.scale_to_z_score(inputs['x'] + 1)}") == one
    assert traced(tmp_path, "return {'y': tft.scale_to_z_score(inputs['x'] - 1)}").digest != one.digest


def test_a_function_of_the_neighbourhood_counts(tmp_path: Path) -> None:
    digests = []
    for factor in (2, 3):
        (tmp_path / f"neighbour{factor}.py").write_text(f"def scaled(x):\n    return {factor} * x\n")
        body = f"import neighbour{factor} as n\nreturn {{'y': tft.scale_to_z_score(n.scaled(inputs['x']))}}"
        digests.append(traced(tmp_path, body).digest)
    assert None not in digests
    assert digests[0] != digests[1]


def test_a_function_that_calls_python_has_no_digest(tmp_path: Path) -> None:
    called = "tf.numpy_function(lambda v: v, [inputs['x']], tf.float32)"
    assert traced(tmp_path, f"return {{'y': tf.reshape({called}, [-1])}}").digest is None
