/*
 * Starting, running and stopping the broker. The one place that knows every part.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/admin.h"
#include "broker/backfill.h"
#include "broker/consumers/consumers.h"
#include "broker/events/hub.h"
#include "broker/events/ingest.h"
#include "broker/events/kick_upkeep.h"
#include "broker/events/latency.h"
#include "broker/events/replay.h"
#include "broker/events/retention.h"
#include "broker/events/ours.h"
#include "broker/events/silence.h"
#include "broker/events/trigger_key.h"
#include "broker/figures.h"
#include "broker/flow.h"
#include "broker/fronts.h"
#include "broker/memory.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/refresh.h"
#include "broker/outbound/fetch.h"
#include "broker/report.h"
#include "broker/start.h"
#include "broker/store/store.h"
#include "broker/subscriptions/subs.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/process.h"
#include "common/registers.h"
#include "common/sock.h"
#include "common/time.h"
#include "common/version.h"
#include "proto/watchdog.h"

/* Whose members may use the command in system mode. */
#define ADMIN_GROUP "streamhold"
/* How many changed options a reload names. */
#define CHANGES_MAX 100
/* After a broken database answers still get so much time to leave. */
#define BROKEN_GRACE_MS 100

static struct {
	struct broker *broker;
	struct admin *admin;
	struct fronts *fronts;
	struct event *signals[5];
	struct event *watchdog; /* NULL: nobody waits for it */
	int exit_status;
} running;

/* Configuration. */

static void
load(const char *path, bool must_exist, struct config *ret_config)
{
	struct config_error *error = xcalloc(1, sizeof(*error));
	int result = config_load(path, must_exist, ret_config, error);

	config_error_print(error, stderr);
	free(error);
	if (result < 0)
		exit(EXIT_CONFIG);
}

void
start_config(struct broker *broker, const struct options *options)
{
	char error[PATHS_ERROR_SIZE];
	char trouble[MEMORY_TROUBLE_SIZE];
	struct paths_env env;
	bool must_exist;
	char *path;

	broker->started_at = time_now_ms();
	LIST_INIT(&broker->counters);
	paths_env_read(&env);
	broker->system_mode = paths_is_system(options->system, &env);
	config_find_path(
	    options->config, broker->system_mode, &env, &path, &must_exist);
	load(path, must_exist, &broker->config);
	broker->config_path = path;
	broker->config_is_there = access(path, F_OK) == 0;
	log_set_level((enum log_level)broker->config.logging.level);
	log_set_format((enum log_format)broker->config.logging.format);
	if (paths_resolve(
		&broker->config, options->system, &env, &broker->paths, error) < 0)
		fatal(EXIT_INIT, "start", "%s", error);
	if (!options->check) {
		if (memory_trouble(trouble))
			log_warning("memory", "%s; continuing", trouble);
		return;
	}
	printf("%s: good\n", path);
	exit(EXIT_STOPPED);
}

/* Signals. */

/* What needs a restart stays as it was, so that the parts go on agreeing about it. */
static void
take_over(struct config *old, struct config *fresh, const struct config_option *option)
{
	bool now = option->when == CONFIG_WHEN_RELOAD;

	log_info("config", "'%s' changed, %s", option->key,
	    now ? "in force now" : "needs a restart");
	if (!now)
		config_swap(old, fresh, option);
}

/* An older name of an event, say: taken, and to be mended. */
static void
tell_warnings(const struct config_error *error)
{
	size_t i;

	for (i = 0; i < error->warnings && i < CONFIG_PROBLEMS_MAX; i++)
		log_warning("config", "%s", log_quote(error->warning[i].sentence));
}

static void
reload(struct broker *broker)
{
	const struct config_option *changed[CHANGES_MAX];
	struct config_error *error = xcalloc(1, sizeof(*error));
	struct config fresh;
	struct config old;
	size_t count;
	size_t i;

	/* A file that is gone for a moment does not mean the defaults. */
	if (config_load(broker->config_path, broker->config_is_there, &fresh, error) <
	    0) {
		log_error(
		    "config", "not reloaded: %s", log_quote(error->error[0].sentence));
		free(error);
		return;
	}
	tell_warnings(error);
	free(error);
	broker->config_is_there = access(broker->config_path, F_OK) == 0;
	count = config_diff(&broker->config, &fresh, changed, CHANGES_MAX);
	for (i = 0; i < count && i < CHANGES_MAX; i++)
		take_over(&broker->config, &fresh, changed[i]);
	old = broker->config;
	broker->config = fresh;
	config_clear(&old);
	log_set_level((enum log_level)broker->config.logging.level);
	log_set_format((enum log_format)broker->config.logging.format);
	fronts_push_settings(running.fronts);
	subscriptions_reload(broker);
	log_info("config", "reloaded, %zu options changed", count);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct broker *broker = arg;

	(void)what;
	switch (number) {
	case SIGHUP:
		reload(broker);
		break;
	case SIGUSR1:
		report_log(broker);
		break;
	case SIGUSR2:
		log_toggle_debug();
		break;
	default:
		log_info("start", "stopping");
		(void)event_base_loopexit(broker->base, NULL);
		break;
	}
}

void
start_loop(struct broker *broker)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	size_t i;

	running.broker = broker;
	broker->base = event_base_new();
	if (!broker->base)
		fatal(EXIT_INIT, "start", "the event loop cannot be made");
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		running.signals[i] =
		    evsignal_new(broker->base, numbers[i], on_signal, broker);
		if (!running.signals[i] || event_add(running.signals[i], NULL) < 0)
			fatal(EXIT_INIT, "start", "signals cannot be caught");
	}
}

/* Storage. */

static void
on_broken(void *arg, int result)
{
	struct broker *broker = arg;
	const struct timeval grace = { .tv_usec = BROKEN_GRACE_MS * 1000 };

	if (running.exit_status)
		return;
	(void)event_base_loopexit(broker->base, &grace);
	if (result == -EBADMSG) {
		running.exit_status = EXIT_DAMAGED;
		log_error("store",
		    "the database '%s' is damaged: nothing more is stored, and the "
		    "broker is not started again by itself; " STORE_DAMAGED_NEXT,
		    log_quote(broker->paths.database));
		return;
	}
	log_error("store",
	    "the database failed (%s): nothing more is stored until a "
	    "restart; leaving",
	    strerror(-result));
	running.exit_status = EXIT_STORAGE;
}

/* Why a start that could not read the database ends: on_broken may know better. */
static int
init_status(void)
{
	return running.exit_status ? running.exit_status : EXIT_INIT;
}

void
start_folder(struct broker *broker)
{
	char path_error[PATHS_ERROR_SIZE];

	if (paths_make(&broker->paths, PATHS_STATE, (uid_t)-1, (gid_t)-1, path_error) <
	    0)
		fatal(EXIT_INIT, "start", "%s", path_error);
}

void
start_storage(struct broker *broker)
{
	char store_error[STORE_ERROR_SIZE];
	char vault_error[VAULT_ERROR_SIZE];

	int result = store_open(
	    broker->base, broker->paths.database, &broker->store, store_error);

	if (result < 0)
		fatal(result == -EBADMSG ? EXIT_DAMAGED : EXIT_INIT, "store", "%s",
		    store_error);
	store_on_broken(broker->store, on_broken, broker);
	if (vault_open(broker->base, broker->store, &broker->config, &broker->paths,
		&broker->vault, vault_error) < 0)
		fatal(init_status(), "vault", "%s", vault_error);
}

/* libcurl opens them anew for every call; a mistake is better told at the start. */
static void
check_certificates(const struct config *config)
{
	enum config_platform_index i;
	const char *path;
	FILE *file;

	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		path = config->platform[i].ca_file;
		file = path ? fopen(path, "re") : NULL;
		if (path && !file)
			fatal(EXIT_CONFIG, "start",
			    "platforms.%s.ca_file '%s' cannot be read: %s; put the "
			    "certificates there, or leave the option out for those of "
			    "the system",
			    config_platform_name(i), log_quote(path), strerror(errno));
		if (file)
			(void)fclose(file);
	}
}

void
start_services(struct broker *broker)
{
	char error[INGEST_ERROR_SIZE];

	check_certificates(&broker->config);
	broker->fetcher = fetcher_new(broker->base);
	if (!broker->fetcher)
		fatal(EXIT_INIT, "fetch", "outbound calls cannot be set up");
	hub_start(broker);
	if (ingest_new(broker, &broker->ingest, error) < 0)
		fatal(EXIT_CONFIG, "ingest", "%s", error);
	if (kick_upkeep_start(broker) < 0)
		fatal(init_status(), "key",
		    "the public keys cannot be read from the database");
	if (oauth_start(broker) < 0)
		fatal(init_status(), "oauth",
		    "the accounts cannot be read from the database");
	if (consumers_start(broker) < 0)
		fatal(init_status(), "consumers",
		    "the consumers cannot be read from the database");
	retention_start(broker, consumers_needed_from);
	latency_start(broker);
	silence_start(broker);
	figures_start(broker);
	if (subscriptions_start(broker) < 0)
		fatal(init_status(), "subs",
		    "the subscriptions cannot be read from the database");
	if (ours_start(broker) < 0)
		fatal(init_status(), "subs",
		    "whose events are wanted cannot be read from the database");
}

/* In system mode the group of the machine's service, where there is one. */
static const char *
choose_admin_group(const struct broker *broker, const struct options *options)
{
	if (options->admin_group || !broker->system_mode || !getgrnam(ADMIN_GROUP))
		return options->admin_group;
	return ADMIN_GROUP;
}

void
start_peers(struct broker *broker, const struct options *options)
{
	int listener = sock_passed("admin", 0);

	if (listener < 0)
		fatal(EXIT_START, "start",
		    "no socket named 'admin' was passed; start the broker with "
		    "`streamhold "
		    "up` or its systemd unit");
	running.admin =
	    admin_new(broker, listener, choose_admin_group(broker, options));
	running.fronts = fronts_new(broker, options->api_uid, options->webhook_uid);
	log_info("start", "streamhold-broker %s is ready, database '%s', keystore '%s'",
	    version_text(), log_quote(broker->paths.database),
	    vault_backend(broker->vault));
	running.watchdog = watchdog_new(broker->base);
	process_notify("READY=1");
	backfill_start(broker);
}

/* Stopping: no new work, answers for what is in progress, everything stored, closed. */
static void
stop(struct broker *broker)
{
	unsigned limit_ms = broker->config.server.shutdown_timeout_ms;
	int64_t end = time_boot_ms() + limit_ms;
	size_t i;

	process_block_signals();
	process_notify("STOPPING=1");
	/* It may need tokens that are refreshed. */
	subscriptions_leave(broker, limit_ms / 2);
	refresh_finish(broker, end - time_boot_ms());
	flows_end(broker);
	(void)event_base_loop(broker->base, EVLOOP_NONBLOCK);
	fronts_free(running.fronts);
	admin_free(running.admin);
	ingest_stop(broker->ingest);
	consumers_stop(broker);
	store_close(broker->store);
	fetcher_free(broker->fetcher);
	retention_stop(broker);
	backfill_stop(broker);
	latency_stop(broker);
	silence_stop(broker);
	trigger_key_stop(broker);
	replays_free(broker->replays);
	kick_upkeep_stop(broker);
	ingest_free(broker->ingest);
	subscriptions_stop(broker);
	oauth_stop(broker);
	vault_close(broker->vault);
	for (i = 0; i < sizeof(running.signals) / sizeof(running.signals[0]); i++)
		event_free(running.signals[i]);
	if (running.watchdog)
		event_free(running.watchdog);
	event_base_free(broker->base);
}

static void
free_state(struct broker *broker)
{
	struct counter *counter;

	while ((counter = LIST_FIRST(&broker->counters))) {
		LIST_REMOVE(counter, entry);
		free(counter);
	}
	config_clear(&broker->config);
	paths_clear(&broker->paths);
	free(broker->config_path);
}

int
run(struct broker *broker)
{
	/* As event_base_dispatch, but no secret stays in a register meanwhile. */
	do
		wipe_registers();
	while (event_base_loop(broker->base, EVLOOP_ONCE) == 0 &&
	    !event_base_got_exit(broker->base) && !event_base_got_break(broker->base));
	stop(broker);
	log_info("start", "stopped");
	free_state(broker);
	return running.exit_status;
}
