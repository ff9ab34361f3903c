/*
 * Every limit of the HTTP fronts, in one place. Those of the request reader itself are
 * in http_parse.h, those of the channel to the broker in proto/chan.h.
 */
#ifndef HTTPD_LIMITS_H
#define HTTPD_LIMITS_H

/* Longest request body on the API, bytes. That of deliveries is configured. */
#define API_BODY_MAX 65536

/* Absolute deadlines of a connection, milliseconds: all header lines from the first
 * byte of a request, the body from the end of the headers, nothing at all between
 * requests, and how long a refused client may go on sending before the close. */
#define HEADER_MS 5000
#define BODY_MS 15000
#define IDLE_MS 15000
#define LINGER_MS 1000

/* When a front stops, a connection without a request is kept until nothing has come for
 * this long: whoever is sending one after the other has its next request answered, and
 * learns from that answer that the connection ends. */
#define DRAIN_IDLE_MS 1000

/* Then a request must be there in full within this time, counted from the beginning of
 * the stop or, when it came later, from its own; and an answer be taken within the
 * same: nobody may hold up a restart, during which new connections wait. Requests that
 * wait for the broker have the time they always have. */
#define DRAIN_REQUEST_MS 1000

/* A peer that does not read is cut when it takes longer than this for WRITE_STEP bytes
 * of answer. */
#define WRITE_MS 15000
#define WRITE_STEP 65536

/* No further pipelined request is looked at while so many bytes of answers wait. */
#define OUTPUT_HIGH 65536

/* How often deadlines are looked at, and after which time without a request the buffers
 * of a connection are given back. */
#define SWEEP_MS 250
#define SHRINK_MS 1000

/* First read of a connection and largest single read, bytes. */
#define READ_SMALL 4096
#define READ_LARGE 65536

/* Input that is thrown away after a refusal before the connection is cut. */
#define LINGER_BYTES_MAX (1024 * 1024)

/* A buffer that is kept between two requests, bytes. */
#define BUFFER_KEEP 8192

/* Buffers of all connections together, bytes. Beyond it whatever needs more than
 * BUFFER_KEEP is answered 503. */
#define MEMORY_MAX (64 * 1024 * 1024)

/* Descriptors that connections leave for everything else: listeners, link, loop. */
#define DESCRIPTOR_RESERVE 24

/* Accepts in one turn of the loop, and the pause when descriptors run out. */
#define ACCEPT_BATCH 64
#define ACCEPT_PAUSE_MS 100

/* Peer addresses whose request rate is remembered. */
#define RATE_SETS 512
#define RATE_WAYS 4

/* How long a request waits for an absent broker, milliseconds since it arrived. */
#define HOLD_MS 2500
/* How often the waiting ones are looked at. */
#define HOLD_SWEEP_MS 50
/* Requests waiting for the broker, sent or held. */
#define LINK_REQUESTS_MAX 8192
/* Counters are reported to the broker this often at most. */
#define COUNT_MS 1000

/* Answers of the broker, milliseconds. */
#define DELIVERY_MS 2500
#define LOGIN_FINISH_MS 20000
#define ACCOUNT_DELETE_MS 10000
#define TOKEN_REFRESH_MS 20000
#define SUBSCRIPTIONS_SYNC_MS 20000
#define HEALTH_MS 1000
#define ANSWER_MS 5000

/* Bytes of the figures for Prometheus. */
#define METRICS_BYTES_MAX (1024 * 1024)

/* Streams of events that are open at one time; the next is answered 503. */
#define STREAM_READERS_MAX 256
/* A reader gets more while fewer bytes than this wait in its output. With one page, or
 * one event, on top that is all that a slow reader takes. */
#define STREAM_OUTPUT_HIGH 65536
/* The kernel's buffer of a stream, bytes. */
#define STREAM_SOCKET_BYTES (128 * 1024)
/* Silence after which a comment is sent, and how often that is looked at. */
#define STREAM_BEAT_MS 15000
#define STREAM_TICK_MS 1000
/* When clients are told to come back after a break, milliseconds. */
#define STREAM_RETRY_MS 1000
/* Pages for readers that are behind the feed: events and about so many bytes each, and
 * how many are asked for at one time. */
#define STREAM_PAGE_EVENTS 100
#define STREAM_PAGE_BYTES (128 * 1024)
#define STREAM_PAGES_MAX 2

/* The feed keeps so many of the newest events, of so many bytes together, for readers
 * that are almost there. */
#define FEED_EVENTS_MAX 4096
#define FEED_BYTES_MAX (4 * 1024 * 1024)
/* One answer of the broker to the feed. */
#define FEED_PAGE_EVENTS 100
#define FEED_PAGE_BYTES (256 * 1024)
/* How long the broker waits for an event, what is waited between two answers, and after
 * one that failed. */
#define FEED_WAIT_MS 10000
#define FEED_PAUSE_MS 5
#define FEED_RETRY_MS 200

/* Bytes of an event page's answer while it is put together. */
#define PAGE_BYTES_MAX (16 * 1024 * 1024)

#endif
