# docker build --target cpu -t qdrant-inference-cpu:0.2.0 .
# docker build --target gpu -t qdrant-inference-gpu:0.2.0 .
# docker build --target cpu-starter -t qdrant-inference-cpu:0.2.0-starter .    # with models, for a trial without a volume
#
# docker run --rm --stop-timeout 60 --shm-size 1g -p 127.0.0.1:6333:6333 -p 127.0.0.1:6334:6334 \
#   -v models:/models -v data:/data qdrant-inference-cpu:0.2.0
#
# compose.yaml has it with a Qdrant, k8s/ on a cluster.
#
# No models inside (but the small pair of configs/models/clip-shapes, which is a part of the project): they come into the
# cache volume. Both images have the same Python to the last digit, because Ray refuses nodes that differ.
# onnxruntime-gpu as pinned in constraints.txt needs CUDA 13 and cuDNN 9.

FROM ubuntu:24.04 AS cpu-base

# What the packages are installed with; nothing of it is in the images but the virtual environment. What nothing here runs goes
# from that: sympy (of onnxruntime's tools, 75 MB), Ray's Java (33 MB). The largest that stay: onnxruntime (267 MB), Ray
# (200 MB), NumPy (71 MB). pip stays: it fetches models that come as wheels, the starter models among them.
FROM ubuntu:24.04 AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /app/.venv
WORKDIR /app
COPY constraints.txt pyproject.toml setup.py README.md LICENSE ./
COPY deployments deployments
COPY serve_app serve_app
# Or each process compiles them at each start: what pip installs it compiles, but not these.
RUN .venv/bin/python -m compileall -q deployments serve_app
COPY configs configs

# PIP_INDEX_URL, PIP_PROXY and the like reach pip as build secrets: docker build --secret id=pip,src=pip.conf ...
FROM build AS cpu-build
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=cache,target=/root/.cache/pip \
    .venv/bin/pip install --constraint constraints.txt --editable '.[cpu,postgres,tracing]' \
    && .venv/bin/pip uninstall --yes sympy mpmath && rm -r .venv/lib/python3*/site-packages/ray/jars

FROM cpu-base AS cpu
# hadolint ignore=DL3008,SC2016
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    # KubeRay may start Ray from a login shell, which forgets ENV's PATH.
    && echo 'PATH=/app/.venv/bin:$PATH' > /etc/profile.d/qdrant-inference.sh
COPY --from=cpu-build /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_TELEMETRY=1 \
    QDRANT_INFERENCE_CACHE=/models
RUN install --directory --owner=1000 --group=1000 /models /data
USER 1000:1000
EXPOSE 6333 6334
HEALTHCHECK --start-period=10m --interval=10s --timeout=5s CMD ["python", "-Ic", "import http.client as h, sys; \
c = h.HTTPConnection('127.0.0.1', 6333, timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
CMD ["qdrant-inference", "up", "--host", "0.0.0.0", "--data", "/data"]

# The same on CUDA. Below `cpu`, because some builders (buildah 1.28) build every stage that stands above the one they were asked for.
FROM nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04 AS gpu-base
FROM build AS gpu-build
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=cache,target=/root/.cache/pip \
    .venv/bin/pip install --constraint constraints.txt --editable '.[gpu,postgres,tracing]' \
    && .venv/bin/pip uninstall --yes sympy mpmath && rm -r .venv/lib/python3*/site-packages/ray/jars

FROM gpu-base AS gpu
# hadolint ignore=DL3008,SC2016
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && echo 'PATH=/app/.venv/bin:$PATH' > /etc/profile.d/qdrant-inference.sh
COPY --from=gpu-build /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_TELEMETRY=1 \
    QDRANT_INFERENCE_CACHE=/models
RUN install --directory --owner=1000 --group=1000 /models /data
USER 1000:1000
EXPOSE 6333 6334
HEALTHCHECK --start-period=10m --interval=10s --timeout=5s CMD ["python", "-Ic", "import http.client as h, sys; \
c = h.HTTPConnection('127.0.0.1', 6333, timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
CMD ["qdrant-inference", "up", "--host", "0.0.0.0", "--data", "/data"]

# Last, so that nothing is built on it. The models come from the hub, or from where pip's settings lead.
FROM cpu AS cpu-starter
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,uid=1000 HOME=/tmp qdrant-inference models pull

# What is in an image, for whoever has to know: docker build --target cpu-sbom --output sbom .
# Python's packages as CycloneDX, Debian's as a list of names and versions.
FROM cpu-build AS cpu-sbom-build
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /sbom && /sbom/bin/pip install 'cyclonedx-bom>=7.5,<8' \
    && /sbom/bin/cyclonedx-py environment --output-reproducible --output-format JSON --output-file /python.cdx.json .venv/bin/python
FROM cpu AS cpu-packages
RUN dpkg-query --show --showformat='${Package} ${Version} ${Architecture}\n' > /tmp/debian.txt
FROM scratch AS cpu-sbom
COPY --from=cpu-sbom-build /python.cdx.json /
COPY --from=cpu-packages /tmp/debian.txt /

FROM gpu-build AS gpu-sbom-build
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /sbom && /sbom/bin/pip install 'cyclonedx-bom>=7.5,<8' \
    && /sbom/bin/cyclonedx-py environment --output-reproducible --output-format JSON --output-file /python.cdx.json .venv/bin/python
FROM gpu AS gpu-packages
RUN dpkg-query --show --showformat='${Package} ${Version} ${Architecture}\n' > /tmp/debian.txt
FROM scratch AS gpu-sbom
COPY --from=gpu-sbom-build /python.cdx.json /
COPY --from=gpu-packages /tmp/debian.txt /
