"""The rows of docs/faults.md, section 1, up to 45 and 56, each with the tests that are it.

Tests are named as pytest names them, below tests/e2e.  A star: in `make chaos`, too.
"""

from dataclasses import dataclass


@dataclass
class Row:
    number: int
    starred: bool
    fault: str
    tests: tuple


def row(number, fault, *tests, star=False):
    return Row(number, star, fault, tests)


def star(number, fault, *tests):
    return Row(number, True, fault, tests)


ROWS = [
    star(1, "a worker of three killed", "chaos_workers.py::test_kills_of_one_of_three"),
    star(2, "a worker killed after each step, A1 to B5", "chaos_workers.py::test_kills_at_each_step"),
    star(3, "all workers killed at once", "chaos_workers.py::test_kill_of_all"),
    star(4, "zombies: stopped beyond the session", "chaos_workers.py::test_zombies"),
    star(5, "SIGTERM under load, in mid-commit", "chaos_workers.py::test_terms_under_load",
         "test_start.py::test_a_stop_while_the_broker_hangs"),
    star(6, "a second SIGTERM", "test_start.py::test_a_second_signal_ends_at_once"),
    star(7, "20 joins and leaves in a minute", "chaos_workers.py::test_joins_and_leaves"),
    star(8, "two workers with one id", "chaos_workers.py::test_twins"),
    star(9, "the broker killed, started again", "chaos_broker.py::test_kills_of_the_broker"),
    star(10, "the broker stopped for 5 s and 25 s", "chaos_broker.py::test_stops_of_the_broker[5]",
         "chaos_broker.py::test_stops_of_the_broker[25]"),
    star(11, "EndTxn held into the next transaction", "test_torn.py::test_stays_invisible[slow]",
         "test_torn.py::test_stays_invisible[cut]", "test_torn.py::test_is_seen_without_the_rebuild_rule[slow]"),
    row(12, "AddPartitionsToTxn, TxnOffsetCommit, Produce, InitProducerId held",
        *(f"chaos_broker.py::test_requests_that_come_late[{key}]" for key in (24, 28, 0, 22, 26))),
    row(13, "an answer to Produce lost", "chaos_broker.py::test_answers_that_are_lost[0]"),
    star(14, "no byte to the broker for 30 s", "chaos_broker.py::test_silence"),
    row(15, "to the broker RST, 200 ms each way, 64 KiB/s", "chaos_broker.py::test_resets_and_delay"),
    row(16, "requests pass, answers don't", "chaos_broker.py::test_answers_that_are_lost[26]",
        "chaos_broker.py::test_requests_pass_and_answers_do_not"),
    row(17, "transaction.timeout.ms exceeded between B2 and B4",
        "chaos_broker.py::test_a_transaction_that_takes_too_long"),
    row(18, "max.poll.interval.ms exceeded",
        "test_membership.py::test_a_batch_that_is_cut_after_the_membership_was_lost"),
    star(19, "topics missing at start; results deleted under load", "test_topics.py::test_a_worker_before_init",
         "test_topics.py::test_results_deleted_under_load"),
    row(20, "the broker's disk full", "chaos_host.py::test_the_brokers_disk_is_full"),
    row(21, "max.message.bytes lowered", "test_topics.py::test_a_limit_that_is_lowered",
        "test_topics.py::test_builds_that_fit_no_more", "test_topics.py::test_limits_that_do_until_they_are_mended"),
    row(22, "partitions added", "test_topics.py::test_partitions_that_are_added"),
    row(23, "of three brokers a coordinator or leader killed, one cut off",
        *(f"chaos_replicas.py::test_a_leader_that_goes[{topic}]" for topic in (
            "__transaction_state", "__consumer_offsets", "schedule-run-results")),
        "chaos_replicas.py::test_a_broker_apart"),
    row(24, "the requests' topic made anew", "test_topics.py::test_requests_made_anew_under_a_worker",
        "test_topics.py::test_requests_that_are_away_for_long"),
    row(25, "retention removes what was not read", "test_topics.py::test_requests_that_retention_has_removed"),
    star(26, "Redis killed, started again, with its AOF", "chaos_store.py::test_kills_of_redis"),
    star(27, "Redis comes back empty", "chaos_store.py::test_a_redis_without_persistence"),
    star(28, "FLUSHALL in full load", "chaos_store.py::test_flushes_in_full_load",
         "test_delivery.py::test_flushall_while_a_batch_is_planned"),
    star(29, "a stale replica promoted", "chaos_store.py::test_a_stale_replica_is_promoted"),
    star(30, "Redis stopped for 10 s", "chaos_store.py::test_a_redis_that_hangs"),
    row(31, "to Redis silence, RST, 5 ms, 200 ms, 1 s each way", "chaos_store.py::test_a_redis_far_away"),
    star(32, "Redis full", "chaos_store.py::test_a_full_redis"),
    row(33, "Redis evicts by policy", "test_redis_faults.py::test_refusals_under_load",
        "test_redis_faults.py::test_evicted_claims_are_taken_again"),
    row(34, "Redis a replica, loading, without password or right, of a cluster",
        "test_redis_faults.py::test_refusals_under_load", "test_killers.py::test_a_redis_that_fails_is_no_crash",
        "test_users.py::test_a_user_that_may_not_is_said_to_be_one",
        "test_redis_address.py::test_a_node_of_a_cluster_is_refused_in_one_sentence"),
    row(35, "connections to Redis die without FIN",
        "chaos_store.py::test_a_redis_whose_connections_die_silently"),
    star(36, "each kind of bad record", "test_bad_records.py::test_every_kind_of_bad_record"),
    row(37, "the schema registry away, slow, wrong, without the id",
        "test_registry.py::test_an_outage_holds_only_what_needs_it",
        "test_registry.py::test_what_waits_survives_a_rebalance_and_a_crash"),
    star(38, "a record that kills its worker", "test_killers.py::test_records_that_end_their_worker"),
    row(39, "workers' clocks a day ahead, a day back", "chaos_host.py::test_a_clock_that_jumps"),
    row(40, "128 MiB of memory; malloc, threads refused", "chaos_host.py::test_memory_that_is_refused",
        "chaos_host.py::test_threads_that_are_refused",
        "chaos_host.py::test_a_backlog_in_128_mib"),
    row(41, "16 files; the disk of the logs full; output closed", "chaos_host.py::test_few_files_and_no_output",
        "chaos_host.py::test_the_disk_of_the_logs_is_full"),
    row(42, "TLS: another authority, expired, replaced; wrong password",
        "chaos_tls.py::test_what_is_wrong_is_named", "chaos_tls.py::test_a_certificate_that_is_replaced_under_load",
        "test_cli.py::test_wrong_credentials_are_exit_7"),
    star(43, "all of 1, 4, 9, 26, 30 in one run", "chaos_workers.py::test_everything_in_one_run"),
    row(44, "the adapter killed between produce and answer", "chaos_http.py::test_kills_of_the_adapter",
        "test_http_idempotency.py::test_killed_between_produce_and_answer[delivered]",
        "test_http_idempotency.py::test_killed_between_produce_and_answer[not delivered]"),
    row(45, "the run view flushed", "chaos_http.py::test_a_view_that_is_flushed"),
    row(56, "Sentinel fails over, with AOF and without; the old master comes back",
        "chaos_store.py::test_a_failover_by_sentinel[yes]", "chaos_store.py::test_a_failover_by_sentinel[no]"),
]
