/*
 * streamhold-broker: the process that owns secrets, database and outbound calls.
 *
 * It is asked by the two fronts over their link sockets and by the `streamhold`
 * command over broker.sock. It never reads HTTP requests. No message that it sends to a
 * front holds a token, a verifier or a key. Over broker.sock it hands out access tokens
 * where that was allowed (oauth/handout.c), and a new signing secret of a consumer once
 * (consumers/consumer_secret.c); what is kept in the keyring goes to streamhold-vault.
 */
#include <stdlib.h>

#include "broker/check.h"
#include "broker/memory.h"
#include "broker/sandbox.h"
#include "broker/start.h"
#include "common/log.h"
#include "common/process.h"
#include "common/sock.h"

static int
check_and_leave(struct broker *broker, const struct options *options)
{
	int status = check_database(broker, options->json);

	config_clear(&broker->config);
	paths_clear(&broker->paths);
	free(broker->config_path);
	return status;
}

int
main(int argc, char **argv)
{
	struct broker broker = { .base = NULL };
	struct options options;

	log_open("broker");
	memory_start();
	options_read(argc, argv, &options);
	process_harden(sock_passed_init());
	process_notify_open();
	start_config(&broker, &options);
	if (options.check_database)
		return check_and_leave(&broker, &options);
	start_loop(&broker);
	start_folder(&broker);
	broker_sandbox_enter(&broker);
	start_storage(&broker);
	start_services(&broker);
	start_peers(&broker, &options);
	return run(&broker);
}
