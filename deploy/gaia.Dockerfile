# The image of server and worker. The context holds dist/ with exactly one wheel of Gaia and, where the build has no
# network, dist/wheelhouse/ with the wheels of all that it needs, for the Python of BASE; without it pip asks the package
# index. Any BASE with python3 and its venv module will do.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
LABEL gaia.stage=build
COPY dist /dist
RUN set -e; set -- /dist/gaia_workflows-*.whl; \
    if [ $# != 1 ] || [ ! -f "$1" ]; then echo "dist/ must hold exactly one wheel of Gaia" >&2; exit 1; fi; \
    python3 -m venv /opt/gaia; \
    if [ -d /dist/wheelhouse ]; then \
        /opt/gaia/bin/pip install --no-cache-dir --no-index --find-links /dist/wheelhouse "$1[all]"; \
    else \
        /opt/gaia/bin/pip install --no-cache-dir "$1[all]"; \
    fi

FROM ${BASE}
COPY --from=build /opt/gaia /opt/gaia
ENV PATH=/opt/gaia/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1
EXPOSE 24442 24480
ENTRYPOINT ["gaia"]
CMD ["server"]
