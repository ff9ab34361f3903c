/*
 * Outbound calls against servers that behave badly (reliability.md 5.5 and E7).
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/outbound/fetch.h"
#include "common/time.h"
#include "tests/unit/stub_server.h"

struct fixture {
	struct event_base *base;
	struct fetcher *fetcher;
	struct stub stub;
	struct stub target; /* where redirects point to */
	char url[128];
	bool done;
	bool returned; /* fetch_start has */
	struct fetch_reply reply;
};

static void
on_done(void *arg, struct fetch_reply *reply)
{
	struct fixture *f = arg;

	assert_true(f->returned);
	assert_false(f->done);
	f->done = true;
	f->reply = *reply;
	reply->body = SECRET_NONE;
	event_base_loopbreak(f->base);
}

static void
answer_target(struct stub *stub, const char *request, struct bufferevent *to)
{
	(void)stub;
	(void)request;
	stub_reply(to, "200 OK", "", "target");
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	signal(SIGPIPE, SIG_IGN);
	f->base = event_base_new();
	f->fetcher = fetcher_new(f->base);
	assert_non_null(f->fetcher);
	stub_open(&f->target, f->base, answer_target, NULL);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	secret_clear(&f->reply.body);
	fetcher_free(f->fetcher);
	if (f->stub.listener)
		stub_shut(&f->stub);
	stub_shut(&f->target);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void
serve(struct fixture *f, stub_answer_fn *answer)
{
	stub_open(&f->stub, f->base, answer, f);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/path?a=b", f->stub.port);
}

static struct fetch *
start(struct fixture *f, struct fetch_request *request)
{
	struct fetch *fetch = fetch_start(f->fetcher, request, on_done, f);

	assert_false(f->done);
	f->returned = true;
	return fetch;
}

static void
run(struct fixture *f, struct fetch_request *request)
{
	start(f, request);
	event_base_dispatch(f->base);
	assert_true(f->done);
	assert_int_equal(fetcher_count(f->fetcher), 0);
}

static void
post(struct fixture *f, unsigned timeout_ms)
{
	struct fetch_request request = {
		.method = "POST", .url = f->url, .timeout_ms = timeout_ms
	};

	request.body = secret_copy("refresh_token=TOP", 17);
	run(f, &request);
	assert_int_equal(request.body.length, 0);
}

static void
answer_plain(struct stub *stub, const char *request, struct bufferevent *to)
{
	(void)stub;
	(void)request;
	stub_reply(to, "418 Tea",
	    "content-TYPE: Application/JSON; charset=UTF-8\r\nRetry-After: 120\r\n"
	    "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
	    "{\"a\":1}");
}

static void
test_an_answer_is_told_with_its_particulars(void **state)
{
	struct fixture *f = *state;
	const struct secret token = { .bytes = (unsigned char[]){ "TOP" },
		.length = 3 };
	struct fetch_request request = { .method = "GET", .url = f->url };
	int64_t before = time_now_ms();

	serve(f, answer_plain);
	fetch_request_header(&request, "Authorization", "Bearer", &token);
	run(f, &request);
	assert_int_equal(f->reply.result, FETCH_answered);
	assert_int_equal(f->reply.status, 418);
	assert_string_equal(secret_text(&f->reply.body), "{\"a\":1}");
	assert_string_equal(f->reply.content_type, "application/json");
	assert_int_equal(f->reply.retry_after_s, 120);
	assert_true(f->reply.sent);
	assert_true(f->reply.has_date);
	assert_true(f->reply.skew_ms > 1000000);
	assert_true(f->reply.started_at >= before);
	assert_non_null(
	    strstr(f->stub.requests[0], "\r\nAuthorization: Bearer TOP\r\n"));
	assert_non_null(strstr(f->stub.requests[0], "GET /path?a=b HTTP/1.1\r\n"));
	assert_null(strstr(f->stub.requests[0], "Accept-Encoding"));
}

static void
test_a_post_sends_its_form_at_once(void **state)
{
	struct fixture *f = *state;

	serve(f, answer_plain);
	post(f, 0);
	assert_non_null(strstr(f->stub.requests[0],
	    "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
	assert_non_null(strstr(f->stub.requests[0], "\r\n\r\nrefresh_token=TOP"));
	assert_null(strstr(f->stub.requests[0], "Expect"));
}

static const char *redirect_status;
static const char *redirect_to; /* a form with the target's port */

static void
answer_redirect(struct stub *stub, const char *request, struct bufferevent *to)
{
	const struct fixture *f = stub->arg;
	char headers[128];
	char scheme[64];

	(void)request;
	snprintf(scheme, sizeof(scheme), "%s", redirect_to);
	if (strstr(scheme, "PORT"))
		snprintf(strstr(scheme, "PORT"), 12, "%u/x", f->target.port);
	snprintf(headers, sizeof(headers), "Location: %s\r\n", scheme);
	stub_reply(to, redirect_status, headers, "");
}

static void
test_a_redirect_is_not_followed(void **state)
{
	static const char *const statuses[] = { "301 Moved", "302 Found",
		"303 See Other", "307 Temporary Redirect", "308 Permanent Redirect" };
	static const char *const places[] = { "http://127.0.0.1:PORT",
		"https://127.0.0.1:PORT", "http://localhost:PORT", "//127.0.0.1:PORT",
		"file:///etc/passwd", "/path", "" };
	struct fixture *f = *state;
	size_t i, j;

	serve(f, answer_redirect);
	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		for (j = 0; j < sizeof(places) / sizeof(places[0]); j++) {
			size_t before = f->stub.connections;

			f->done = false;
			secret_clear(&f->reply.body);
			redirect_status = statuses[i];
			redirect_to = places[j];
			post(f, 0);
			assert_int_equal(f->reply.result, FETCH_answered);
			assert_int_equal(f->reply.status, atoi(statuses[i]));
			assert_int_equal(f->reply.body.length, 0);
			assert_int_equal(f->stub.connections, before + 1);
		}
	assert_int_equal(f->target.connections, 0);
}

static void
answer_huge(struct stub *stub, const char *request, struct bufferevent *to)
{
	char *block = malloc(1024 * 1024);
	int i;

	(void)stub;
	(void)request;
	memset(block, 'x', 1024 * 1024);
	evbuffer_add_printf(
	    bufferevent_get_output(to), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	for (i = 0; i < 50; i++)
		bufferevent_write(to, block, 1024 * 1024);
	free(block);
}

static void
test_fifty_megabytes_are_cut_off_at_the_cap(void **state)
{
	struct fixture *f = *state;

	serve(f, answer_huge);
	post(f, 0);
	assert_int_equal(f->reply.result, FETCH_too_large);
	assert_int_equal(f->reply.body.length, 0);
	assert_true(f->reply.sent);
}

static void
answer_exact(struct stub *stub, const char *request, struct bufferevent *to)
{
	char *body = calloc(1, FETCH_BODY_MAX + 2);

	(void)stub;
	memset(body, 'x', FETCH_BODY_MAX + (strstr(request, "more") ? 1 : 0));
	stub_reply(to, "200 OK", "", body);
	free(body);
}

static void
test_a_body_of_the_cap_passes_and_one_byte_more_does_not(void **state)
{
	struct fixture *f = *state;
	struct fetch_request request = { .method = "GET", .url = f->url };

	serve(f, answer_exact);
	run(f, &request);
	assert_int_equal(f->reply.result, FETCH_answered);
	assert_int_equal(f->reply.body.length, FETCH_BODY_MAX);
	secret_clear(&f->reply.body);
	f->done = false;
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/more", f->stub.port);
	run(f, &request);
	assert_int_equal(f->reply.result, FETCH_too_large);
}

static void
answer_many_headers(struct stub *stub, const char *request, struct bufferevent *to)
{
	int i;

	(void)stub;
	(void)request;
	evbuffer_add_printf(bufferevent_get_output(to), "HTTP/1.1 200 OK\r\n");
	for (i = 0; i < 40000; i++)
		evbuffer_add_printf(bufferevent_get_output(to), "X-%d: y\r\n", i);
	evbuffer_add_printf(bufferevent_get_output(to), "\r\n");
}

static void
test_forty_thousand_header_lines_are_cut_off(void **state)
{
	struct fixture *f = *state;

	serve(f, answer_many_headers);
	post(f, 0);
	assert_int_equal(f->reply.result, FETCH_too_large);
}

static void
answer_gzip(struct stub *stub, const char *request, struct bufferevent *to)
{
	/* "hello", compressed */
	static const unsigned char body[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xcb,
		0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0 };

	(void)stub;
	(void)request;
	evbuffer_add_printf(bufferevent_get_output(to),
	    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
	    "%zu\r\n\r\n",
	    sizeof(body));
	bufferevent_write(to, body, sizeof(body));
}

static void
test_nothing_is_expanded(void **state)
{
	struct fixture *f = *state;

	serve(f, answer_gzip);
	post(f, 0);
	assert_int_equal(f->reply.result, FETCH_answered);
	assert_int_equal(f->reply.body.length, 25);
	assert_int_equal(f->reply.body.bytes[0], 0x1f);
}

static void
on_drip(evutil_socket_t fd, short what, void *arg)
{
	struct stub_connection *connection = arg;

	(void)fd;
	(void)what;
	bufferevent_write(connection->buffers, "x", 1);
}

static void
answer_drip(struct stub *stub, const char *request, struct bufferevent *to)
{
	const struct timeval often = { .tv_usec = 50000 };
	struct stub_connection *connection;

	(void)stub;
	(void)request;
	bufferevent_getcb(to, NULL, NULL, NULL, (void **)&connection);
	evbuffer_add_printf(bufferevent_get_output(to),
	    "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
	connection->timer =
	    event_new(bufferevent_get_base(to), -1, EV_PERSIST, on_drip, connection);
	event_add(connection->timer, &often);
}

static void
test_a_drip_ends_at_the_deadline(void **state)
{
	struct fixture *f = *state;
	int64_t start_ms = time_boot_ms();

	serve(f, answer_drip);
	post(f, 700);
	assert_int_equal(f->reply.result, FETCH_timed_out);
	assert_in_range(time_boot_ms() - start_ms, 600, 2500);
	assert_true(f->reply.sent);
}

static void
answer_nothing(struct stub *stub, const char *request, struct bufferevent *to)
{
	(void)stub;
	(void)request;
	shutdown(bufferevent_getfd(to), SHUT_RDWR);
}

static void
test_an_early_end_is_told_and_nothing_is_sent_again(void **state)
{
	struct fixture *f = *state;

	serve(f, answer_nothing);
	post(f, 0);
	assert_int_equal(f->reply.result, FETCH_broken);
	assert_true(f->reply.sent);
	assert_int_equal(f->stub.connections, 1);
	/* Also not after a good call, when others would keep the connection. */
	f->done = false;
	f->stub.answer = answer_plain;
	post(f, 0);
	secret_clear(&f->reply.body);
	f->done = false;
	f->stub.answer = answer_nothing;
	post(f, 0);
	assert_int_equal(f->reply.result, FETCH_broken);
	assert_int_equal(f->stub.connections, 3);
	assert_int_equal(f->stub.request_count, 3);
}

static void
answer_junk(struct stub *stub, const char *request, struct bufferevent *to)
{
	(void)stub;
	(void)request;
	evbuffer_add_printf(bufferevent_get_output(to), "SSH-2.0-x\r\n");
}

static void
answer_cut(struct stub *stub, const char *request, struct bufferevent *to)
{
	(void)stub;
	(void)request;
	evbuffer_add_printf(bufferevent_get_output(to),
	    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access");
}

static void
test_what_is_no_whole_answer_is_broken(void **state)
{
	struct fixture *f = *state;

	serve(f, answer_junk);
	post(f, 0);
	assert_int_equal(f->reply.result, FETCH_broken);
	f->done = false;
	f->stub.answer = answer_cut;
	post(f, 0);
	assert_int_equal(f->reply.result, FETCH_broken);
	assert_int_equal(f->reply.body.length, 0);
}

static void
test_a_refused_connection_has_sent_nothing(void **state)
{
	struct fixture *f = *state;

	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:1/");
	post(f, 0);
	assert_int_equal(f->reply.result, FETCH_unreachable);
	assert_false(f->reply.sent);
}

static void
test_other_protocols_are_refused(void **state)
{
	static const char *const urls[] = { "file:///etc/passwd", "ftp://127.0.0.1/x",
		"gopher://127.0.0.1/", "127.0.0.1:1", "", "http://" };
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		f->done = false;
		snprintf(f->url, sizeof(f->url), "%s", urls[i]);
		post(f, 0);
		assert_int_equal(f->reply.result, FETCH_unreachable);
		assert_false(f->reply.sent);
	}
}

static void
test_the_environment_s_proxy_is_ignored(void **state)
{
	struct fixture *f = *state;
	char proxy[64];

	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", f->target.port);
	setenv("http_proxy", proxy, 1);
	setenv("ALL_PROXY", proxy, 1);
	serve(f, answer_plain);
	post(f, 0);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_int_equal(f->reply.status, 418);
	assert_int_equal(f->target.connections, 0);
}

static const char *retry_after;

static void
answer_retry_after(struct stub *stub, const char *request, struct bufferevent *to)
{
	char headers[128];

	(void)stub;
	(void)request;
	snprintf(headers, sizeof(headers), "Retry-After: %s\r\n", retry_after);
	stub_reply(to, "429 Slow", headers, "");
}

static void
test_retry_after_is_read_or_ignored(void **state)
{
	static const struct {
		const char *value;
		uint32_t seconds;
	} cases[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "3600", 3600 },
		{ "3601", 3600 },
		{ "99999999999999999999", 0 },
		{ "-5", 0 },
		{ "1.5", 0 },
		{ "soon", 0 },
		{ "", 0 },
		{ "Fri, 01 Jan 2100 00:00:00 GMT", 3600 },
		{ "Fri, 01 Jan 1999 00:00:00 GMT", 0 },
	};
	struct fixture *f = *state;
	size_t i;

	serve(f, answer_retry_after);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->done = false;
		retry_after = cases[i].value;
		post(f, 0);
		assert_int_equal(f->reply.retry_after_s, cases[i].seconds);
		secret_clear(&f->reply.body);
	}
}

static void
on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static void
test_a_cancelled_call_is_silent(void **state)
{
	const struct timeval pause = { .tv_usec = 200000 };
	struct fixture *f = *state;
	struct fetch_request request = { .method = "GET", .url = f->url };
	struct fetch_request again = { .method = "GET", .url = f->url };

	serve(f, answer_plain);
	fetch_cancel(start(f, &request));
	assert_int_equal(fetcher_count(f->fetcher), 0);
	start(f, &again); /* freed with the fetcher, in the midst of it */
	event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	fetcher_free(f->fetcher);
	f->fetcher = NULL;
	event_base_once(f->base, -1, EV_TIMEOUT, on_stop, f->base, &pause);
	event_base_dispatch(f->base);
	assert_false(f->done);
}

/* ---- TLS, against openssl(1) ---- */

static pid_t
tls_server(const char *folder, unsigned port)
{
	char command[1024];
	char accept[16];
	pid_t pid;

	snprintf(command, sizeof(command),
	    "cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out "
	    "cert.pem -days 2 -subj /CN=localhost -addext "
	    "subjectAltName=DNS:localhost >openssl.log 2>&1",
	    folder);
	if (system(command) != 0)
		return -1;
	snprintf(accept, sizeof(accept), "%u", port);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (chdir(folder) == 0)
			execlp("openssl", "openssl", "s_server", "-accept", accept,
			    "-cert", "cert.pem", "-key", "key.pem", "-www",
			    (char *)NULL);
		_exit(127);
	}
	return pid;
}

static enum fetch_result
tls_get(struct fixture *f, const char *host, unsigned port, const char *ca_file)
{
	struct fetch_request request = {
		.method = "GET", .url = f->url, .ca_file = ca_file
	};

	f->done = false;
	snprintf(f->url, sizeof(f->url), "https://%s:%u/", host, port);
	run(f, &request);
	secret_clear(&f->reply.body);
	return f->reply.result;
}

static void
test_certificates_must_be_trusted_and_of_the_host(void **state)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	struct fixture *f = *state;
	char folder[] = "/tmp/streamhold-fetch-XXXXXX";
	unsigned port = f->target.port;
	char ca_file[128];
	char command[256];
	int tries = 100;
	pid_t pid;

	stub_shut(&f->target); /* its port is free from here on */
	assert_non_null(mkdtemp(folder));
	snprintf(ca_file, sizeof(ca_file), "%s/cert.pem", folder);
	pid = tls_server(folder, port);
	if (pid > 0) {
		while (tries-- > 0 &&
		    tls_get(f, "localhost", port, ca_file) == FETCH_unreachable)
			nanosleep(&pause, NULL);
		assert_int_equal(
		    tls_get(f, "localhost", port, ca_file), FETCH_answered);
		assert_int_equal(tls_get(f, "localhost", port, NULL), FETCH_untrusted);
		assert_false(f->reply.sent);
		assert_int_equal(
		    tls_get(f, "127.0.0.1", port, ca_file), FETCH_untrusted);
		assert_int_equal(
		    tls_get(f, "localhost", port, "/does/not/exist"), FETCH_untrusted);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
	stub_open(&f->target, f->base, answer_target, NULL);
	if (pid <= 0)
		skip();
}

/* What a name leads to counts, and not how it is written. */
static void
test_reach_is_judged_when_connecting(void **state)
{
	static const struct {
		const char *host;
		enum fetch_reach reach;
		enum fetch_result result;
	} rows[] = {
		{ "127.0.0.1", FETCH_REACH_configured, FETCH_answered },
		{ "127.0.0.1", FETCH_REACH_private_too, FETCH_answered },
		{ "localhost", FETCH_REACH_private_too, FETCH_answered },
		{ "127.0.0.1", FETCH_REACH_public, FETCH_forbidden },
		{ "localhost", FETCH_REACH_public, FETCH_forbidden },
		{ "2130706433", FETCH_REACH_public, FETCH_forbidden },
		{ "0x7f.1", FETCH_REACH_public, FETCH_forbidden },
		{ "[::ffff:127.0.0.1]", FETCH_REACH_public, FETCH_forbidden },
		{ "[::1]", FETCH_REACH_public, FETCH_forbidden },
		{ "0.0.0.0", FETCH_REACH_public, FETCH_forbidden },
		{ "0.0.0.0", FETCH_REACH_private_too, FETCH_forbidden },
		{ "169.254.169.254", FETCH_REACH_private_too, FETCH_forbidden },
		/* Unencrypted events never leave private networks. */
		{ "8.8.8.8", FETCH_REACH_private_too, FETCH_forbidden },
	};
	struct fixture *f = *state;
	size_t connections;
	size_t i;

	serve(f, answer_plain);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char url[128];
		struct fetch_request request = {
			.method = "GET", .url = url, .reach = rows[i].reach
		};

		connections = f->stub.connections;
		snprintf(url, sizeof(url), "http://%s:%u/", rows[i].host, f->stub.port);
		f->done = f->returned = false;
		secret_clear(&f->reply.body);
		run(f, &request);
		if (f->reply.result != rows[i].result)
			fail_msg("%s with reach %d: %d (%s)", rows[i].host,
			    (int)rows[i].reach, (int)f->reply.result, f->reply.problem);
		assert_int_equal(f->stub.connections - connections,
		    rows[i].result == FETCH_answered ? 1 : 0);
	}
}

int
main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_an_answer_is_told_with_its_particulars),
		WITH_FIXTURE(test_a_post_sends_its_form_at_once),
		WITH_FIXTURE(test_a_redirect_is_not_followed),
		WITH_FIXTURE(test_fifty_megabytes_are_cut_off_at_the_cap),
		WITH_FIXTURE(test_a_body_of_the_cap_passes_and_one_byte_more_does_not),
		WITH_FIXTURE(test_forty_thousand_header_lines_are_cut_off),
		WITH_FIXTURE(test_nothing_is_expanded),
		WITH_FIXTURE(test_a_drip_ends_at_the_deadline),
		WITH_FIXTURE(test_an_early_end_is_told_and_nothing_is_sent_again),
		WITH_FIXTURE(test_what_is_no_whole_answer_is_broken),
		WITH_FIXTURE(test_a_refused_connection_has_sent_nothing),
		WITH_FIXTURE(test_other_protocols_are_refused),
		WITH_FIXTURE(test_the_environment_s_proxy_is_ignored),
		WITH_FIXTURE(test_retry_after_is_read_or_ignored),
		WITH_FIXTURE(test_a_cancelled_call_is_silent),
		WITH_FIXTURE(test_reach_is_judged_when_connecting),
		WITH_FIXTURE(test_certificates_must_be_trusted_and_of_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
