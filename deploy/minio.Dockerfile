# MinIO server from source at a pinned version: no image of it is published any more.
# Official bases: docker build -f minio.Dockerfile . (the server is compiled in the first stage).
# Elsewhere: put a static binary named `minio` beside this file, and give GO_BASE and BASE any image that has sh and cp.
ARG GO_BASE=golang:1.26-bookworm
ARG BASE=busybox:1.36

FROM ${GO_BASE} AS build
LABEL gaia.stage=build
ARG MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
# The pattern also matches this file, so it never is empty when no binary was put here.
COPY minio* /prebuilt/
RUN mkdir -p /out && if [ -f /prebuilt/minio ]; then cp /prebuilt/minio /out/; \
    else CGO_ENABLED=0 GOBIN=/out go install -ldflags="-s -w" "github.com/minio/minio@${MINIO_VERSION}"; fi

FROM ${BASE}
COPY --from=build /out/minio /usr/local/bin/minio
VOLUME /data
EXPOSE 9000
ENTRYPOINT ["minio"]
CMD ["server", "/data", "--address", ":9000"]
