# hybridopt on the CPU: docker build -t hybridopt . && docker run --rm -v "$PWD/results:/work/results" hybridopt run
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY hybridopt hybridopt
COPY circuits circuits
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11.14-slim-bookworm
ENV PYTHONUNBUFFERED=1
COPY requirements.lock /tmp/
COPY --from=build /wheels /tmp/wheels
# the CPU build of torch is 200 MB, the default one has 3 GB of CUDA
RUN grep -E "^torch==" /tmp/requirements.lock > /tmp/torch.txt \
    && python -m pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu -r /tmp/torch.txt \
    && python -m pip install --no-cache-dir --constraint /tmp/requirements.lock /tmp/wheels/*.whl \
    && useradd --create-home --uid 1000 hybridopt \
    && mkdir -p /work/results && chown -R hybridopt /work
USER hybridopt
WORKDIR /work
ENTRYPOINT ["hybridopt"]
CMD ["--help"]
