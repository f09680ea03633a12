# Kafka as in the official image apache/kafka, for places where that one cannot be pulled: the same KAFKA_* environment,
# the same folders, the same user. The context holds java/ (a runtime made by jlink), libs/ (Kafka's jars) and kafka/.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ENV PATH=/opt/java/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY java /opt/java
COPY libs /opt/kafka/libs
COPY kafka /etc/kafka/docker
RUN useradd --uid 1000 --gid root --no-create-home appuser \
    && mkdir -p /opt/kafka/config /opt/kafka/logs /etc/kafka/secrets /var/lib/kafka/data /mnt/shared/config \
    && chmod 755 /etc/kafka/docker/run \
    && chown -R appuser:root /opt/kafka/config /opt/kafka/logs /etc/kafka/secrets /var/lib/kafka /mnt/shared/config
USER appuser
VOLUME ["/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"]
EXPOSE 9092
CMD ["/etc/kafka/docker/run"]
