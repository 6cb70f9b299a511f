# syntax=docker/dockerfile:1
# One small image for every role: `up`, `capture`, `feature`, `serve`. Built in a first stage, run by
# nobody in particular in a second. `--target crawler` is the same with a Chromium, for whoever crawls pages that are
# built by scripts. docs/deployment.md says what was tried of it.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The model changes seldom, and comes first so that an edit of the code does not fetch it again.
COPY scripts/fetch-model scripts/fetch-model
RUN scripts/fetch-model /model
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release && cp target/release/lockstep /lockstep

FROM debian:bookworm-slim AS lockstep
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home lockstep \
    && install -d -o lockstep -g lockstep -m 0700 /data
COPY --from=build /lockstep /usr/local/bin/lockstep
COPY --from=build /model /usr/share/lockstep/model
ENV LOCKSTEP_DATA=/data \
    LOCKSTEP_MODEL_FOLDER=/usr/share/lockstep/model \
    LOCKSTEP_LOG_FORMAT=json \
    LOCKSTEP_METRICS_LISTEN=0.0.0.0:9464
USER 10001
VOLUME /data
EXPOSE 7411 9464
# /readyz by bash alone: the image has no other client.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9464 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lockstep"]
CMD ["up"]

FROM lockstep AS crawler
USER 0
# One font is enough: letters are read, not seen. Without chromium-sandbox: its helper is of use to nobody who may
# gain no privileges, and the sandbox is one of user namespaces.
RUN apt-get update \
    && apt-get install -y --no-install-recommends chromium fonts-liberation \
    && rm -rf /var/lib/apt/lists/*
# The user has no home; the browser puts caches there.
ENV HOME=/tmp
USER 10001

# What is built where no target is named: the small one.
FROM lockstep
