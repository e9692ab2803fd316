# One image for both: Beam's Python SDK worker with Highbeam in it, and the command line.
#
#   workers       highbeam run job.yaml --date D -- --environment_type=DOCKER --environment_config=IMAGE
#                 or --sdk_container_image=IMAGE on Dataflow
#   command line  docker run --rm --volume "$PWD:/job" --workdir /job --entrypoint highbeam IMAGE run job.yaml --date D
#
# The entry point stays Beam's own boot program, which is what a runner starts. The Beam release must be the one
# that launches the jobs, since runners refuse to mix them; a test holds it to setup.py.
ARG BEAM=2.77.0

FROM apache/beam_python3.11_sdk:${BEAM} AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM apache/beam_python3.11_sdk:${BEAM}
ARG BEAM
COPY --from=wheel /wheel /wheel
# TensorFlow and Beam import four times slower without bytecode. compileall complains about the odd template
# that is no Python, which is no failure of the image; that the command line starts is checked last.
RUN pip install --no-cache-dir "apache-beam[gcp]==${BEAM}" /wheel/*.whl \
    && rm -rf /wheel \
    && { python -m compileall -qq -j 0 "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true; } \
    && highbeam --help
