"""What Prometheus may know: counts and times, never who talks to whom."""

from prometheus_client import Counter, Gauge, Histogram

SOCKETS = Gauge("sotto_sockets", "Open authenticated sockets of this process.")
MESSAGES = Counter("sotto_messages_committed_total", "Messages committed and acknowledged.")
REFUSALS = Counter("sotto_refusals_total", "Requests and events refused, by code.", ["code"])
COMMIT_SECONDS = Histogram("sotto_commit_seconds", "Time of one group commit, in seconds.")
COMMIT_BATCH = Histogram("sotto_commit_batch", "Messages in one group commit.", buckets=(1, 2, 5, 10, 20, 50, 100, 200))
COMMIT_WAITING = Gauge("sotto_commit_waiting", "Messages that wait to be committed.")
