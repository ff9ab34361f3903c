/*
 * Settings from the configuration and from the broker. Called by main.c and, through
 * the link, by the broker.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/log.h"
#include "httpd/limits.h"
#include "httpd/listener.h"
#include "httpd/settings.h"

static char *
join(const struct config_list *list)
{
	struct buf words = BUF_EMPTY;
	char *text;
	size_t i;

	for (i = 0; i < list->count; i++)
		buf_printf(&words, "%s ", list->items[i]);
	text = xstrndup((char *)buf_bytes(&words), buf_length(&words));
	buf_clear(&words);
	return text;
}

void
settings_init(struct httpd *httpd)
{
	const struct config *config = &httpd->config;
	struct httpd_settings *settings = &httpd->settings;

	if (httpd->role == HTTPD_API) {
		settings->rate_limit = config->server.rate_limit_per_s;
		settings->connections_max = config->server.max_connections;
		settings->body_max = API_BODY_MAX;
	} else {
		settings->rate_limit = config->webhooks.rate_limit_per_s;
		settings->connections_max = config->webhooks.max_connections;
		settings->body_max = config->webhooks.max_body_bytes;
	}
	settings->allowed_hosts = join(&config->server.allowed_hosts);
	settings->allowed_origins = join(&config->server.allowed_origins);
}

static void
set_log_level(const char *word)
{
	static const char *const words[] = { "error", "warn", "info", "debug" };
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i]) == 0)
			log_set_level((enum log_level)i);
}

static void
set_log_format(const char *word)
{
	log_set_format(strcmp(word, "json") == 0 ? LOG_FORMAT_json : LOG_FORMAT_text);
}

/* The body limit of deliveries also sized the link, so it only changes with a restart.
 */
void
settings_on_message(void *arg, const struct proto_settings *from)
{
	struct httpd *httpd = arg;
	struct httpd_settings *settings = &httpd->settings;

	settings->rate_limit = from->rate_limit;
	settings->connections_max = from->connections_max;
	free(settings->allowed_hosts);
	settings->allowed_hosts = xstrdup(from->allowed_hosts);
	free(settings->allowed_origins);
	settings->allowed_origins = xstrdup(from->allowed_origins);
	httpd->config.server.shutdown_timeout_ms = from->shutdown_timeout_ms;
	set_log_level(from->log_level);
	set_log_format(from->log_format);
	listeners_wake(httpd->listeners);
	log_debug("settings", "the broker sent settings");
}

void
settings_clear(struct httpd *httpd)
{
	free(httpd->settings.allowed_hosts);
	free(httpd->settings.allowed_origins);
	httpd->settings = (struct httpd_settings){ 0 };
}
