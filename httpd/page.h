/*
 * The page functions that route.c's table names, by family. Each answers its request or
 * asks the broker and answers later; what they answer is in docs/openapi.yaml.
 */
#ifndef HTTPD_PAGE_H
#define HTTPD_PAGE_H

#include "httpd/request.h"

/* page_oauth.c: logins and accounts. */
void page_login_start(struct request *request);
void page_account_status(struct request *request);
void page_account_delete(struct request *request);
void page_token_refresh(struct request *request);
void page_accounts(struct request *request);

/* page_callback.c: what the browser brings back. */
void page_callback(struct request *request);

/* page_credentials.c */
void page_credentials_put(struct request *request);
void page_credentials_get(struct request *request);
void page_credentials_list(struct request *request);
void page_credentials_delete(struct request *request);

/* page_events.c */
void page_events(struct request *request);
void page_event(struct request *request);

/* page_stream.c: events as they come. */
void page_stream(struct request *request);
/* page_subscriptions.c */
void page_subscriptions_list(struct request *request);
void page_subscriptions_get(struct request *request);
void page_subscriptions_put(struct request *request);
void page_subscriptions_delete(struct request *request);
void page_subscriptions_sync(struct request *request);

/* page_events.c: the page of a named consumer. */
void page_consumer_events(struct request *request);

/* page_consumers.c */
void page_consumers(struct request *request);
void page_consumer(struct request *request);
void page_consumer_put(struct request *request);
void page_consumer_ack(struct request *request);
void page_consumer_delete(struct request *request);
void page_consumer_secret(struct request *request);

/* Whether the name in the path can be one; if not the request was answered. */
bool page_consumer_name(struct request *request);

/* page_health.c */
void page_healthz(struct request *request);
void page_readyz(struct request *request);
void page_status(struct request *request);

/* page_metrics.c: figures for Prometheus. */
void page_metrics(struct request *request);

/* page_home.c: the status page and the description of the API. */
void page_home(struct request *request);
void page_openapi(struct request *request);
void page_event_schema(struct request *request);

/* page_webhook.c: deliveries. */
void page_delivery(struct request *request);

#endif
