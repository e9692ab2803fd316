"""What the examples of the docs are run on: two nights of made-up flights, their history, and a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from highbeam.models.runtime import tf

from tests.support.models import saved_model

CARRIERS = ("AA", "B6", "DL", "EV", "UA")
HEADER = "flight_id,carrier,distance,dep_delay"
JOB = """\
name: flight-delay
source:
  csv: {path: "data/{date}/*.csv"}
columns:
  flight_id: int64
  carrier: {type: string, values: [AA, B6, DL, EV, UA]}
  distance: {type: float32, min: 0}
  dep_delay: {type: float32, nullable: true, default: 0}
key: flight_id
model: {path: models/flight_delay}
output:
  delta: {path: predictions}
  passthrough: [carrier]
"""


def late(carrier: Any, distance: Any, dep_delay: Any) -> Any:
    """A made-up probability of being late."""
    often = tf.cast(carrier == "EV", tf.float32)
    return {"late": tf.sigmoid(dep_delay / 10 - distance / 5000 - 1 + often / 2)}


def flights(day: int, count: int) -> list[str]:
    """Records of HEADER."""
    rows = ((f"2013{day}{i:04d}", CARRIERS[i % 5], 94 + 37 * i % 2500, 13 * i % 70 - 10) for i in range(1, count + 1))
    return [f"{key},{carrier},{distance},{delay if delay % 7 else ''}" for key, carrier, distance, delay in rows]


def make_world(folder: Path) -> Path:
    """Writes `data/`, `history/`, `models/flight_delay/1` and `job.yaml`; row 42 of the first night is broken."""
    for day in (1201, 1202):
        lines = flights(day, 500)
        if day == 1201:
            lines[41] = lines[41].replace(",1648,", ",164O,")
        write(folder / "data" / f"2013-12-{day % 100:02d}" / "flights.csv", HEADER, lines)
    history = [f"{line},{13 * i % 70 - 12 + i % 5}" for i, line in enumerate(flights(1001, 2000), 1)]
    write(folder / "history" / "2013-10.csv", f"{HEADER},arr_delay", history[:1000])
    write(folder / "history" / "2013-11.csv", f"{HEADER},arr_delay", history[1000:])
    (folder / "job.yaml").write_text(JOB, "utf-8")
    text, number = tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.float32)
    saved_model(folder / "models" / "flight_delay" / "1", late, carrier=text, distance=number, dep_delay=number)
    return folder


def write(path: Path, header: str, lines: list[str]) -> None:
    """Writes a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines, ""]), "utf-8")
