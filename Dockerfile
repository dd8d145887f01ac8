# Build stage: the full image has a compiler, which faust-streaming needs where it has no wheel (arm64).
FROM python:3.13.16-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# What runs, and what only makes the wheel, by hash. Both change seldom: a layer of their own.
COPY requirements-build.lock requirements-run.lock ./
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r requirements-build.lock \
 && python -m venv --without-pip /opt/fenghuo \
 && pip --python /opt/fenghuo/bin/python install --require-hashes -r requirements-run.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY schemas schemas
COPY detectors detectors
COPY dashboards dashboards
COPY streams streams
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.13.16-slim-bookworm
LABEL org.opencontainers.image.title="Fenghuo" \
      org.opencontainers.image.description="Real-time public-health surveillance: events in, explained early warnings out." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 10001 fenghuo \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin fenghuo
COPY --from=build /opt/fenghuo /opt/fenghuo
# Our own code is a small layer above that of the libraries.
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip --python /opt/fenghuo/bin/python --disable-pip-version-check --root-user-action ignore \
        install --no-deps --no-cache-dir /wheels/*.whl
# The file system may be read-only but for /tmp. Faust's page stays on the container's loopback.
ENV PATH=/opt/fenghuo/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    FENGHUO_CONFIG=/etc/fenghuo/fenghuo.yaml \
    FENGHUO_WEB_PORT=6066 \
    FENGHUO_PAGE_HOST=0.0.0.0
WORKDIR /tmp
USER 10001:10001
EXPOSE 8090
# Of a worker; the page and jobs have their own, or none, in compose.yaml.
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
    CMD ["fenghuo", "health", "worker"]
# Exec form: signals reach the process. Run with --init, so that it is not process 1.
ENTRYPOINT ["fenghuo"]
CMD ["worker"]
