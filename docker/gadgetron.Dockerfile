# A Gadgetron server that knows our configurations, on the image of Gadgetron's makers, pulled and
# tagged (docker tag) by the name below. From the root of the repository:
#   docker build -f docker/gadgetron.Dockerfile -t gadgetron-with-qsm .
# With a GPU: --build-arg GADGETRON=gadgetron_ubuntu_rt_cuda:latest --build-arg EXTRA=[cuda12]

# The Gadgetron's makers name no other tag; what a site has tried it pins as NAME@sha256:DIGEST.
ARG GADGETRON=gadgetron_ubuntu_rt_nocuda:latest

# hadolint ignore=DL3006  # the tag is in the argument
FROM ${GADGETRON}
ENV GADGETRON_HOME=/opt/conda/envs/gadgetron
# The user that the base image runs as, who owns this home.
ARG OWNER=1000
WORKDIR /tmp/gadgetron-qsm
COPY --chown=${OWNER} pyproject.toml README.md LICENSE ./
COPY --chown=${OWNER} configs configs
COPY --chown=${OWNER} gadgets gadgets
ARG EXTRA=
# Into the very Python that the server starts; what it came with is kept where that will do.
USER ${OWNER}
RUN "$GADGETRON_HOME/bin/python" -m pip install --no-cache-dir ".${EXTRA}" \
    && "$GADGETRON_HOME/bin/gadgetron-qsm" install-config --prefix "$GADGETRON_HOME" \
    && "$GADGETRON_HOME/bin/gadgetron-qsm" check qsm
WORKDIR /
# The port alone: a server that is busy with scans is well.
HEALTHCHECK --interval=60s --timeout=15s --start-period=60s \
    CMD ["/opt/conda/envs/gadgetron/bin/python", "-c", \
         "import socket; socket.create_connection(('localhost', 9002), 10)"]
