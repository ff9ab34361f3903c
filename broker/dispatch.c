/*
 * The table of contents of the broker: message, who may send it, function.
 */
#include <errno.h>

#include "broker/consumers/consumers.h"
#include "broker/dispatch.h"
#include "broker/events/events.h"
#include "broker/events/ingest.h"
#include "broker/events/replay.h"
#include "broker/events/trigger.h"
#include "broker/front_messages.h"
#include "broker/health.h"
#include "broker/keystore.h"
#include "broker/metrics.h"
#include "broker/oauth/oauth.h"
#include "broker/report.h"
#include "broker/subscriptions/subs.h"
#include "common/log.h"

#define BOTH_ENDS (CLIENT_api | CLIENT_admin)
#define FRONTS (CLIENT_api | CLIENT_webhook)

static const struct {
	enum proto_type type;
	unsigned roles;
	dispatch_fn *handle;
} rows[] = {
	{ MSG_listening, FRONTS, on_listening },
	{ MSG_count, FRONTS, on_count },
	{ MSG_leaving, FRONTS, on_leaving },
	{ MSG_load, FRONTS, on_load },

	{ MSG_credentials_put, BOTH_ENDS, on_credentials_put },
	{ MSG_credentials_list, BOTH_ENDS, on_credentials_list },
	{ MSG_credentials_delete, BOTH_ENDS, on_credentials_delete },
	{ MSG_account_get, BOTH_ENDS, on_account_get },
	{ MSG_accounts_list, BOTH_ENDS, on_accounts_list },
	{ MSG_account_check, CLIENT_admin, on_account_check },
	{ MSG_account_delete, BOTH_ENDS, on_account_delete },
	{ MSG_token_refresh, BOTH_ENDS, on_token_refresh },

	{ MSG_login_start, BOTH_ENDS, on_login_start },
	{ MSG_login_finish, BOTH_ENDS, on_login_finish },
	{ MSG_login_wait, CLIENT_admin, on_login_wait },
	{ MSG_device_login, CLIENT_admin, on_device_login },

	{ MSG_token_get, CLIENT_admin, on_token_get },
	{ MSG_token_allow, CLIENT_admin, on_token_allow },
	{ MSG_audit_list, CLIENT_admin, on_audit_list },

	{ MSG_delivery, CLIENT_webhook, on_delivery },
	{ MSG_events_list, BOTH_ENDS, on_events_list },
	{ MSG_event_get, BOTH_ENDS, on_event_get },
	{ MSG_events_handed, CLIENT_api, on_events_handed },

	{ MSG_trigger, CLIENT_admin, on_trigger },
	{ MSG_consumer_put, BOTH_ENDS, on_consumer_put },
	{ MSG_consumer_forward, CLIENT_admin, on_consumer_forward },
	{ MSG_consumer_rotate, BOTH_ENDS, on_consumer_rotate },
	{ MSG_consumers_list, BOTH_ENDS, on_consumers_list },
	{ MSG_consumer_delete, BOTH_ENDS, on_consumer_delete },
	{ MSG_consumer_events, BOTH_ENDS, on_consumer_events },
	{ MSG_consumer_ack, BOTH_ENDS, on_consumer_ack },
	{ MSG_consumer_enable, CLIENT_admin, on_consumer_enable },
	{ MSG_consumer_test, CLIENT_admin, on_consumer_test },
	{ MSG_dead_list, CLIENT_admin, on_dead_list },
	{ MSG_dead_retry, CLIENT_admin, on_dead_retry },
	{ MSG_event_replay, CLIENT_admin, on_event_replay },

	{ MSG_subscriptions_list, BOTH_ENDS, on_subscriptions_list },
	{ MSG_subscription_put, BOTH_ENDS, on_subscription_put },
	{ MSG_subscriptions_sync, BOTH_ENDS, on_subscriptions_sync },

	{ MSG_keystore_get, CLIENT_admin, on_keystore_get },
	{ MSG_keystore_move, CLIENT_admin, on_keystore_move },

	{ MSG_health_get, BOTH_ENDS, on_health_get },
	{ MSG_report_get, CLIENT_admin, on_report_get },
	{ MSG_metrics_get, BOTH_ENDS, on_metrics_get },
};

bool
dispatch(struct client *client, struct proto_msg *msg)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].type != msg->type)
			continue;
		if (!(rows[i].roles & client->role))
			return false;
		rows[i].handle(client, msg);
		return true;
	}
	return false;
}

bool
dispatch_knows(enum proto_type type)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == type)
			return true;
	return false;
}

void
client_answer(struct client *client, uint32_t rid, const struct proto_msg *answer)
{
	struct proto_msg failed;
	int result = chan_send(client->chan, rid, answer);

	if (result == 0 || result == -ENOTCONN)
		return;
	log_error("dispatch", "an answer of type '%s' does not fit its own table",
	    proto_schema((unsigned)answer->type)->name);
	failed = proto_failed(ERR_internal, proto_error_info(ERR_internal)->doc);
	(void)chan_send(client->chan, rid, &failed);
}

void
client_fail(
    struct client *client, uint32_t rid, enum proto_error error, const char *sentence)
{
	struct proto_msg failed =
	    proto_failed(error, sentence ? sentence : proto_error_info(error)->doc);

	if (proto_error_info(error)->http_status == 503)
		failed.failed.retry_after = 1;
	(void)chan_send(client->chan, rid, &failed);
}
