# syntax=docker/dockerfile:1
# One image for every process of Parley; compose.yaml says what each of them runs.

FROM node:24.11.1-bookworm-slim AS front
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM python:3.12.12-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PATH=/opt/parley/bin:$PATH
WORKDIR /app

FROM base AS packages
RUN pip install --no-cache-dir uv==0.13.8
ENV UV_PROJECT_ENVIRONMENT=/opt/parley UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev

FROM base AS parley
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
RUN pip install --no-cache-dir --target /opt/cuda \
    nvidia-cublas-cu12==12.9.1.4 nvidia-cudnn-cu12==9.10.2.21
ENV LD_LIBRARY_PATH=/opt/cuda/nvidia/cublas/lib:/opt/cuda/nvidia/cudnn/lib
USER parley
