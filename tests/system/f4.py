"""Which test proves which scenario of facts/twitch-google-standards.md F.4, for each platform that it
concerns. test_f4.py sees that every test named here is there and collected.

A test is "file::function" with the platform as a parameter where there is one ("{platform}"), or
"program:function" for a function of a C test.
"""
ALL = ("twitch", "kick", "youtube")
HTTP = ("",)        # our own API: no platform
TOGETHER = ("",)    # one test for all platforms that it concerns, side by side

CONTRACT = "tests/system/test_oauth_contract.py"
SCENARIOS = "tests/system/test_scenarios.py"
REFRESH = "tests/system/test_refresh.py"
API = "tests/system/test_http_api.py"
SUBSCRIPTIONS = "tests/system/test_subscriptions.py"
STREAM = "tests/system/test_stream.py"
PUSH_SECRET = "tests/system/test_push_secret.py"
DOUBT = "tests/system/test_refresh_doubt.py"

# number: (what, platforms, tests)
F4 = {
    1: ("happy path", ALL, [f"{CONTRACT}::test_login_stores_a_token[{{platform}}]",
                            "tests/browser/test_login.py::test_login_lands_on_the_ok_page"
                            "[{platform}"]),
    2: ("user denies", ALL, [f"{CONTRACT}::test_provider_error_is_shown_escaped_and_consumes"
                             "[{platform}]",
                             "tests/browser/test_login.py::test_denied_login_says_so[{platform}"]),
    3: ("state unknown, expired, reused, of another platform", ALL, [
        f"{CONTRACT}::test_absent_or_unknown_state[{{platform}}-?state=nonsense&code=c]",
        f"{CONTRACT}::test_state_is_single_use[{{platform}}]",
        f"{CONTRACT}::test_state_of_another_platform_is_not_consumed[{{platform}}]",
        f"{SCENARIOS}::test_an_expired_state_is_refused",
        "test_login:test_an_expired_state_is_refused"]),
    4: ("state in path and query", ALL, [f"{CONTRACT}::test_both_callback_forms[{{platform}}]",
                                         f"{API}::test_states_that_are_refused["]),
    5: ("HEAD and prefetch do not consume", ALL, [
        f"{CONTRACT}::test_head_and_prefetch_do_not_consume[{{platform}}]"]),
    6: ("duplicate code", ALL, [
        f"{SCENARIOS}::test_a_second_code_is_refused_and_consumes_nothing[{{platform}}]"]),
    7: ("iss right, wrong, absent", ALL, [
        f"{SCENARIOS}::test_the_issuer[{{platform}}-{issuer}]"
        for issuer in ("right", "wrong", "absent", "prefix")]),
    8: ("redirect_mismatch with a foreign state", ALL, [
        f"{SCENARIOS}::test_a_redirect_mismatch_with_a_foreign_state[{{platform}}]"]),
    9: ("code exchange 5xx, then success", ALL, [
        f"{SCENARIOS}::test_an_exchange_that_fails_and_then_succeeds[{{platform}}]"]),
    10: ("many 401s, one refresh", ALL, [
        f"{SCENARIOS}::test_many_refused_tokens_cause_one_refresh[{{platform}}]",
        "tests/system/test_refresh_kept.py::test_fifty_callers_cause_one_request_each_round"
        "[{platform}]",
        "test_token_use:test_fifty_callers_at_each_of_a_hundred_expiries_share_one_request",
        "test_token_use:test_never_twice_for_the_same_token"]),
    11: ("two processes, one refresh", TOGETHER, [
        "tests/system/test_refresh_kept.py::"
        "test_a_second_broker_on_the_same_database_never_refreshes"]),
    12: ("crash between rotation and store", ALL, [
        "tests/crash/test_kill_refresh.py::test_kill_at_random_instants[",
        "tests/crash/test_refresh_calls.py::test_kill_at_each_system_call[{platform}-",
        f"{DOUBT}::test_a_crash_while_a_platform_hangs[1]"]),
    13: ("lost reply with a token of single use", TOGETHER, [
        f"{REFRESH}::test_lost_reply_after_rotation[drop_after_commit-strict]",
        f"{REFRESH}::test_lost_reply_after_rotation[drop_after_commit-family]",
        f"{DOUBT}::test_one_retry_and_then_the_login_is_lost_but_kept"]),
    14: ("a reply without refresh_token keeps the old one", ALL, [
        f"{REFRESH}::test_absent_refresh_token_keeps_the_old_one[{{platform}}-{form}]"
        for form in ("missing", "null", "empty")]),
    15: ("each form of expires_in and scope", ALL, [
        *[f"{REFRESH}::test_every_form_of_expires_in[{{platform}}-{form}" for form in
          ("int", "string", "float", "missing", "null", "zero", "negative", "huge", "junk")],
        *[f"{REFRESH}::test_every_form_of_scope[{{platform}}-{form}]"
          for form in ("array", "string", "missing", "null")]]),
    16: ("invalid_client keeps the token", ALL, [
        f"{REFRESH}::test_wrong_configuration_pauses_the_platform[{{platform}}-",
        "tests/system/test_error_catalogue.py::test_what_is_wrong_with_the_client[{platform}]"]),
    17: ("invalid_grant ends a login once", ALL, [
        f"{REFRESH}::test_terminal_refusal_ends_the_login[{{platform}}]",
        "tests/system/test_error_catalogue.py::test_what_ends_a_login[{platform}]"]),
    18: ("429 honours Retry-After", ALL, [
        f"{REFRESH}::test_retry_after_is_honoured[{{platform}}]"]),
    19: ("clock jumps", TOGETHER, [
        *[f"tests/system/test_refresh_clock.py::test_clock_is_set[{jump}]" for jump in
          ("hour", "hour_back", "two_hours", "two_hours_back", "day", "day_back", "2038")],
        "tests/system/test_refresh_clock.py::test_clock_stands_still"]),
    20: ("hourly validation, and 401 acted on", ("twitch",), [
        f"{SCENARIOS}::test_a_token_that_died_while_nothing_ran_is_refreshed",
        "test_check:test_at_start_each_token_is_checked_once_one_at_a_time",
        "test_check:test_a_refused_token_is_refreshed_once"]),
    26: ("reconcile removes what is ours only", ("kick",), [
        f"{SUBSCRIPTIONS}::test_what_a_stranger_made_serves_and_is_never_touched",
        f"{SUBSCRIPTIONS}::test_a_double_of_ours_is_removed_and_the_oldest_stays",
        f"{SUBSCRIPTIONS}::test_clear_on_shutdown_removes_ours_only_and_the_next_start_"
        "subscribes_again"]),
    27: ("Host header attacks", HTTP, [f"{API}::test_hosts_that_are_not_ours[",
                                       f"{API}::test_hosts_that_are_ours",
                                       "tests/browser/test_login.py::"
                                       "test_a_rebound_name_is_misdirected"]),
    28: ("Origin null, foreign, allowed", HTTP, [
        f"{API}::test_foreign_pages_are_refused[",
        f"{API}::test_own_and_allowed_origins_are_served"]),
    29: ("Sec-Fetch-Site", HTTP, [f"{API}::test_callback_takes_navigations_only",
                                  f"{API}::test_foreign_pages_are_refused["]),
    30: ("a stream goes on from Last-Event-ID; a slow reader", HTTP, [
        f"{STREAM}::test_it_begins_where_it_is_told[",
        f"{STREAM}::test_many_stored_events_come_in_order_and_then_the_new_ones",
        f"{STREAM}::test_a_reader_that_does_not_read_is_cut_off_and_may_resume",
        "tests/system/test_stream_clients.py::test_eventsource_of_npm_gets_each_event_once",
        "tests/crash/test_kill_reader.py::test_a_killed_reader_gets_each_event_once",
        "tests/system/test_stream_crowd.py::"
        "test_good_readers_and_ingest_do_not_feel_the_bad_ones"]),
    31: ("forwarding signature with rotated secrets", HTTP, [
        f"{PUSH_SECRET}::test_both_secrets_sign_for_a_while_the_new_one_first",
        f"{PUSH_SECRET}::test_the_old_secret_ends_durably",
        f"{PUSH_SECRET}::test_an_old_secret_whose_time_passed_while_nothing_ran_signs_nothing",
        f"{PUSH_SECRET}::"
        "test_standardwebhooks_of_npm_takes_either_secret_and_then_the_new_one"]),
    32: ("a consumer's 410 switches it off", HTTP, [
        "tests/system/test_push.py::test_gone_switches_off_until_it_is_enabled"]),
    33: ("a search of the log finds no secret", HTTP, [
        f"{REFRESH}::test_no_token_is_logged",
        "tests/system/test_canaries.py::test_no_secret_is_where_it_must_not_be"]),
}


def named():
    """Every test that the table names, for each platform of its row."""
    return sorted({test.format(platform=platform)
                   for _, platforms, tests in F4.values()
                   for platform in platforms for test in tests})


def proves(nodeid):
    """Whether a test is named. A name that ends within its brackets, or has none, stands for all
    that begin so."""
    return any(nodeid == test or nodeid.startswith(test if "[" in test else test + "[")
               for test in named() if "::" in test and not test.endswith("]")) or nodeid in named()
