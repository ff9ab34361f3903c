/*
 * Figures of the keystore.
 */
#include "broker/figures.h"
#include "broker/vault/vault.h"

void
figures_keystore(struct metrics *metrics, void *arg)
{
	static const struct {
		enum vault_condition condition;
		const char *name;
	} states[] = { { VAULT_ready, "healthy" }, { VAULT_locked, "keystore_locked" },
		{ VAULT_unavailable, "keystore_unavailable" } };
	const struct broker *broker = arg;
	enum vault_condition condition = vault_condition(broker->vault);
	size_t i;

	metric_family(metrics, "streamhold_keystore_state", METRIC_GAUGE,
	    "1 for the state in which the keystore is.");
	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		metric_put(metrics, condition == states[i].condition, "backend",
		    vault_backend(broker->vault), "state", states[i].name, NULL);
}
