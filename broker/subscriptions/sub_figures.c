/*
 * Figures of subscriptions for Prometheus. Registered by subs.c at start.
 */
#include "broker/metrics.h"
#include "broker/subscriptions/subs_inner.h"

void
sub_figures_write(struct metrics *metrics, void *arg)
{
	struct subscriptions_stats stats;
	int state;

	subscriptions_stats(arg, &stats);
	metric_one(metrics, "streamhold_subscription_channels", METRIC_GAUGE,
	    "Channels with wanted events.", stats.channels);
	metric_one(metrics, "streamhold_subscriptions_wanted", METRIC_GAUGE,
	    "Events that are wanted, of all channels.", stats.wanted);
	metric_one(metrics, "streamhold_subscriptions_active", METRIC_GAUGE,
	    "Wanted events that a subscription serves.", stats.active);
	metric_one(metrics, "streamhold_subscriptions_strangers", METRIC_GAUGE,
	    "Subscriptions of our channels that Streamhold did not make.",
	    stats.strangers);
	metric_family(metrics, "streamhold_subscription_channel_states", METRIC_GAUGE,
	    "Channels by the state of their subscriptions.");
	for (state = SUB_none; state < SUB_STATE_MAX; state++)
		metric_put(metrics, stats.states[state], "state",
		    sub_state_name((enum sub_state)state), NULL);
	metric_one(metrics, "streamhold_subscription_passes_total", METRIC_COUNTER,
	    "Comparisons of a channel with the platform.", stats.passes);
	metric_one(metrics, "streamhold_subscription_pass_failures_total",
	    METRIC_COUNTER, "Comparisons without a usable answer.", stats.failures);
	metric_family(metrics, "streamhold_subscription_changes_total", METRIC_COUNTER,
	    "What was done about subscriptions, by kind.");
	metric_put(metrics, stats.created, "what", "created", NULL);
	metric_put(metrics, stats.removed, "what", "removed", NULL);
	metric_put(metrics, stats.refused, "what", "refused", NULL);
	metric_put(metrics, stats.lost, "what", "lost", NULL);
}
