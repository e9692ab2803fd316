"""What no run of Highbeam can do without: the imports and the loaded model. Does nothing with them.

python bare.py SAVED_MODEL
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import importlib
import sys

import tensorflow as tf

for room in ("cli", "console", "models.backends.tensorflow", "models.handler", "pipelines.run"):
    importlib.import_module(f"highbeam.{room}")

if __name__ == "__main__":
    model = tf.saved_model.load(sys.argv[1])
