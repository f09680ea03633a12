"""The task, for celery's workers and for the program that sends it."""

from celery import Celery
from harness import MODE, SERVER

app = Celery("peer", broker=SERVER, backend=SERVER)
app.conf.update(
    # A result that nobody asks for is not stored; the end of a chain is.
    task_ignore_result=True,
    # Celery's guide: a large number for many short tasks.
    worker_prefetch_multiplier=128,
    worker_send_task_events=False,
    # By default a task is lost with the worker that took it.
    task_acks_late=MODE == "durable",
)


@app.task
def noop() -> None:
    """Do nothing."""
