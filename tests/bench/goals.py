"""What each figure has to reach, per mode, and what the old server reached."""

from dataclasses import dataclass

MODES = ("embedded", "scale_out")


@dataclass(frozen=True)
class Goal:
    """One row of the page: a figure, its limits and the better direction."""

    label: str
    scenario: str
    figure: str
    unit: str = "ms"
    old: str = "-"
    embedded: float | None = None
    scale_out: float | None = None
    more_is_better: bool = False

    def limit(self, mode: str) -> float | None:
        return self.embedded if mode == "embedded" else self.scale_out

    def is_met(self, mode: str, value: float) -> bool | None:
        """Whether ``value`` reaches the goal; None where there is none."""
        limit = self.limit(mode)
        if limit is None:
            return None
        return value >= limit if self.more_is_better else value <= limit


def both(
    label: str, scenario: str, figure: str, limit: float, **fields: str | bool
) -> Goal:
    """A goal with one limit for both modes."""
    unit = str(fields.get("unit", "ms"))
    return Goal(
        label,
        scenario,
        figure,
        unit,
        old=str(fields.get("old", "-")),
        embedded=limit,
        scale_out=limit,
        more_is_better=bool(fields.get("more_is_better", False)),
    )


GOALS = (
    Goal("S0 a request that touches nothing, p50", "S0", "health_p50_ms"),
    Goal("S1 tiny blocking run, p50", "S1", "run_p50_ms", "ms", "163", 4, 12),
    Goal("S1c8 right answers", "S1c8", "ok_rps", "/s", "2.2", 400, 120, True),
    both("S1c8 errors", "S1c8", "errors", 0, unit="", old="97 %"),
    Goal("S1c32 right answers", "S1c32", "ok_rps", "/s", "2.1", 400, 120, True),
    both("S1c32 errors", "S1c32", "errors", 0, unit="", old="97 %"),
    Goal("S1sse one run streamed, p50", "S1sse", "c1_total_p50_ms", "ms", "-", 4, 14),
    Goal("S2 chain of 10", "S2", "chain10_total_ms", "ms", "185"),
    Goal("S2 chain of 100", "S2", "chain100_total_ms", "ms", "572"),
    Goal("S2 chain of 1,000", "S2", "chain1000_total_ms", "ms", "23,000", 120, 180),
    Goal("S2 per node, 10 to 100", "S2", "marginal_10_to_100_ms_per_node"),
    Goal("S2 per node, 100 to 1,000", "S2", "marginal_100_to_1000_ms_per_node"),
    Goal("S2 fan-out of 200", "S2", "fan200_total_ms", "ms", "2,600", 45, 65),
    Goal("S3 10,000 streamed items", "S3", "total_ms", "ms", "5,200", 300, 450),
    both(
        "S3 streams with items lost or reordered", "S3", "lost_or_reordered", 0, unit=""
    ),
    *(
        goal
        for name in ("inline", "saved", "msgpack")
        for goal in (
            Goal(
                f"S4 {name}: run_job to first job_update, p50",
                "S4",
                f"{name}_first_job_update_p50_ms",
                "ms",
                "9.6",
                1.5,
                8,
            ),
            Goal(
                f"S4 {name}: run_job to completed, p50",
                "S4",
                f"{name}_completed_p50_ms",
                "ms",
                "160",
                2.5,
                12,
            ),
        )
    ),
    Goal(
        "S4c8 jobs over 8 sockets", "S4c8", "ok_jobs_per_s", "/s", "5", 600, 150, True
    ),
    both("S4c8 errors", "S4c8", "errors", 0, unit=""),
    both(
        "S5 whole answer of 20 chunks: added, p50",
        "S5",
        "nonstream_n20_c1_added_total_p50_ms",
        3,
    ),
    both(
        "S5 stream of 20 chunks: added to its first text, p50",
        "S5",
        "stream_n20_c1_added_first_token_p50_ms",
        2,
    ),
    *(
        both(
            f"S5 streams of 2,000 chunks, {count}: speed of direct",
            "S5",
            f"stream_n2000_c{count}_of_direct",
            0.5,
            unit="x",
            more_is_better=True,
        )
        for count in (1, 32)
    ),
    both("S5c200 a chunk's delay, p50", "S5c200", "via_delay_p50_ms", 10),
    both("S5c200 a chunk's delay, p99", "S5c200", "via_delay_p99_ms", 200),
    both(
        "S5c200 memory added by a stream",
        "S5c200",
        "added_memory_per_stream_mb",
        1,
        unit="MiB",
    ),
    both("S5c200 errors", "S5c200", "via_errors", 0, unit=""),
    Goal("S6 first run to /health", "S6", "first_run_to_health_s", "s", "2.7", 2, 2),
    Goal(
        "S6 start to /health, data there", "S6", "start_to_health_s", "s", "-", 1.2, 1.2
    ),
    Goal("S6 memory at rest, web process", "S6", "rss_idle_mb", "MiB", "155", 100, 110),
    Goal("S6 memory of a worker", "S6", "worker_rss_mb", "MiB", "-", None, 105),
    both("S6 500 idle sockets, processor", "S6", "idle_ws_cpu_percent", 1, unit="%"),
    both(
        "S6 500 idle sockets, added memory",
        "S6",
        "rss_growth_idle_ws_mb",
        25,
        unit="MiB",
        old="+40",
    ),
    both(
        "S7 list 100 of 1,000 workflows, p50", "S7", "limit100_list_p50_ms", 5, old="33"
    ),
    both("S7 get one workflow, p50", "S7", "get_p50_ms", 2.2, old="2.4"),
    both(
        "S8 /health during a stream of 100,000 items, max",
        "S8",
        "health_during_stream_max_ms",
        30,
        old="630 (10,000 items)",
    ),
    both(
        "S9 clients that close after completed: fine",
        "S9",
        "close_after_completed_ok_of_20",
        20,
        unit="of 20",
        old="0 of 3",
        more_is_better=True,
    ),
    both(
        "S9 clients that close in mid-job: fine",
        "S9",
        "close_mid_job_ok_of_20",
        20,
        unit="of 20",
        old="0 of 3",
        more_is_better=True,
    ),
    both("S9 the next job afterwards", "S9", "job_afterwards_ms", 50),
)
