# syntax=docker/dockerfile:1
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE NOTICE ./
COPY schemas schemas
COPY detectors detectors
COPY streams streams
RUN python -m venv /opt/fenghuo \
 && /opt/fenghuo/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
 && /opt/fenghuo/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home fenghuo
COPY --from=build /opt/fenghuo /opt/fenghuo
ENV PATH=/opt/fenghuo/bin:$PATH PYTHONUNBUFFERED=1
USER fenghuo
ENTRYPOINT ["fenghuo"]
CMD ["worker"]
