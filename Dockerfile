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

FROM apache/beam_python3.11_sdk:${BEAM} AS worker
ARG BEAM
COPY --from=wheel /wheel /wheel
# TensorFlow and Beam import four times slower without bytecode. compileall complains about the odd template
# that is no Python, which is no failure of the image; that the command line starts is checked last.
RUN pip install --no-cache-dir "apache-beam[gcp]==${BEAM}" "$(echo /wheel/*.whl)[gcp]" \
    && rm -rf /wheel \
    && { python -m compileall -qq -j 0 "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true; } \
    && highbeam --help

# The launcher of a Flex Template: `docker build --target template`. It starts the main file with the parameters of a
# launch; the job's folder is copied in by an image of your own on top of it (docs/dataflow.md).
FROM gcr.io/dataflow-templates-base/python311-template-launcher-base:flex_templates_base_image_release_20240628_RC00 AS launcher

FROM worker AS template
COPY --from=launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/python_template_launcher
RUN ln -s "$(python -c 'import highbeam.pipelines; print(highbeam.pipelines.__path__[0])')/flex_template.py" /opt/highbeam.py
ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/opt/highbeam.py
ENTRYPOINT ["/opt/google/dataflow/python_template_launcher"]

# Without --target: the workers' image.
FROM worker
