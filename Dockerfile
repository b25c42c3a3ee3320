# syntax=docker/dockerfile:1
# One image for every process of Parley; compose.yaml says what each of them runs.

FROM node:24.11.1-bookworm-slim AS front
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM python:3.12.12-slim-trixie AS base
ENV PYTHONUNBUFFERED=1 PATH=/opt/parley/bin:$PATH
WORKDIR /app

FROM base AS packages
COPY requirements.txt ./
# What the lock names, by its hashes; nothing is built. `--no-deps`: README says why.
RUN python -m venv --without-pip /opt/parley \
 && pip --python /opt/parley/bin/python install --no-cache-dir \
    --no-deps --only-binary :all: --require-hashes -r requirements.txt

FROM base AS parley
# For backups: pg_dump of the release that compose.yaml's server has.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends postgresql-client-17 \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --create-home parley \
 && install -d -o parley -g parley /data /models
COPY --from=packages /opt/parley /opt/parley
COPY --from=front /app/node_modules ./node_modules
COPY manage.py Procfile ./
COPY voiceproject ./voiceproject
COPY sessions ./sessions
COPY transcripts ./transcripts
COPY bot ./bot
COPY templates ./templates
ENV DATA_DIR=/data STT_MODELS_DIR=/models
USER parley
VOLUME ["/data", "/models"]
ENTRYPOINT ["python", "manage.py"]
CMD ["runall"]

# With the libraries that CTranslate2 looks for on an NVIDIA card.
FROM parley AS gpu
USER root
COPY docs/deploy/cuda.txt ./
RUN pip install --no-cache-dir --target /opt/cuda \
    --no-deps --only-binary :all: --require-hashes -r cuda.txt
ENV LD_LIBRARY_PATH=/opt/cuda/nvidia/cublas/lib:/opt/cuda/nvidia/cudnn/lib
USER parley
