"""What the caches of inputs of one process show to Prometheus; part of `gaia_worker.metrics`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gaia_core.machine.reports import CacheFigures

Look = Callable[[], CacheFigures]


class CacheMeter(Collector):
    """Reads the figures of caches when it is asked for them; what a worker had counted when it ended stays counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks: list[Look] = []
        self._hits = self._misses = self._hit_bytes = 0

    @contextmanager
    def showing(self, look: Look) -> Iterator[None]:
        """Show a worker's cache as long as the context lasts."""
        with self._lock:
            self._looks.append(look)
        try:
            yield
        finally:
            with self._lock:
                self._looks.remove(look)
                last = look()
                self._hits += last.hits
                self._misses += last.misses
                self._hit_bytes += last.hit_bytes

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        with self._lock:
            now = [look() for look in self._looks]
            hits = self._hits + sum(one.hits for one in now)
            misses = self._misses + sum(one.misses for one in now)
            hit_bytes = self._hit_bytes + sum(one.hit_bytes for one in now)
        # Workers of one process share a folder, and each knows of all that is in it.
        files = max((one.files for one in now), default=0)
        size_bytes = max((one.size_bytes for one in now), default=0)
        most = max((one.size_bytes_max for one in now), default=0)
        yield GaugeMetricFamily("gaia_worker_cache_files", "Inputs in the cache.", files)
        yield GaugeMetricFamily("gaia_worker_cache_bytes", "Bytes of these.", size_bytes)
        yield GaugeMetricFamily("gaia_worker_cache_limit_bytes", "Bytes that the cache may have.", most)
        yield CounterMetricFamily("gaia_worker_cache_hits", "Inputs that came from the cache.", hits)
        yield CounterMetricFamily("gaia_worker_cache_hit_bytes", "Bytes of these.", hit_bytes)
        yield CounterMetricFamily("gaia_worker_cache_misses", "Inputs that were not in it.", misses)
