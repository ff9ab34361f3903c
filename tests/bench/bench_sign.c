/*
 * bench_sign: makes an RSA-2048 key and a file of unique, correctly signed Kick
 * deliveries for bench_load. Message ids are ULIDs that grow with time, as Kick's do
 * (random ids would cost the database twice as much); every body has its own ids and
 * text, so that a check by content sees no repeats either.
 *
 * All records have the same size. Signing is the slow part (about a millisecond each),
 * so several processes share it, each writing its own stretch of the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define KEY_BITS 2048
#define SIGNATURE_SIZE (KEY_BITS / 8)
#define BASE64_SIZE ((SIGNATURE_SIZE + 2) / 3 * 4)
#define BODY_SIZE 1100
#define RECORD_MAX 4096
#define ULID_SIZE 26
#define TIME_SIZE 20
#define JOBS_MAX 64

/* All user ids have nine digits, with BENCH_REQUESTS_MAX records too. */
#define FIRST_USER 200000000

/* Ids are dated back as if this many events had come in each millisecond. */
#define IDS_PER_MS 40

struct signer {
	EVP_MD_CTX *keyed; /* template, copied for each signature */
	EVP_MD_CTX *work;
	const char *host;
	uint64_t count;
	uint64_t now_ms;
	char subscription[ULID_SIZE + 1];
};

static const char usage[] =
    "usage: bench_sign [--host HOST:PORT] [-j JOBS] N FILE KEYDIR\n"
    "Writes N signed deliveries to FILE. The key is KEYDIR/kick_private.pem and\n"
    "KEYDIR/kick_public.pem; it is made when it is not there.\n";

/* ------------------------------------------------------------------ key ------------
 */

static FILE *
create_private(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (!file)
		bench_die("%s: %s", path, strerror(errno));
	return file;
}

static EVP_PKEY *
key_make(const char *private_path, const char *public_path)
{
	EVP_PKEY *key = EVP_RSA_gen(KEY_BITS);
	FILE *file;

	if (!key)
		bench_die("cannot make a key");
	(void)unlink(public_path);
	file = create_private(public_path);
	if (!PEM_write_PUBKEY(file, key) || fclose(file) != 0)
		bench_die("%s: cannot write", public_path);
	file = create_private(private_path);
	if (!PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) ||
	    fclose(file) != 0)
		bench_die("%s: cannot write", private_path);
	return key;
}

static EVP_PKEY *
key_get(const char *folder)
{
	char private_path[4096];
	char public_path[4096];
	EVP_PKEY *key;
	FILE *file;

	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		bench_die("%s: %s", folder, strerror(errno));
	if (snprintf(private_path, sizeof(private_path), "%s/kick_private.pem",
		folder) >= (int)sizeof(private_path) ||
	    snprintf(public_path, sizeof(public_path), "%s/kick_public.pem", folder) >=
		(int)sizeof(public_path))
		bench_die("%s: the name is too long", folder);
	file = fopen(private_path, "re");
	if (!file)
		return key_make(private_path, public_path);
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	(void)fclose(file);
	if (!key || access(public_path, R_OK) < 0)
		bench_die("%s: no usable key pair", folder);
	return key;
}

/* --------------------------------------------------------------- records -----------
 */

static void
random_bytes(unsigned char *bytes, int size)
{
	if (RAND_bytes(bytes, size) != 1)
		bench_die("no random bytes");
}

/* 48 bits of milliseconds, 16 of sequence so that ids of one millisecond grow too, 64
 * random ones; 26 characters of Crockford's base32. */
static void
ulid(uint64_t ms, unsigned sequence, char out[ULID_SIZE + 1])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	unsigned char bytes[16];
	unsigned __int128 value = 0;
	int i;

	for (i = 0; i < 6; i++)
		bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
	bytes[6] = (unsigned char)(sequence >> 8);
	bytes[7] = (unsigned char)sequence;
	random_bytes(bytes + 8, 8);
	for (i = 0; i < 16; i++)
		value = value << 8 | bytes[i];
	for (i = ULID_SIZE - 1; i >= 0; i--, value >>= 5)
		out[i] = digits[value & 31];
	out[ULID_SIZE] = '\0';
}

static void
uuid(char out[37])
{
	unsigned char b[16];

	random_bytes(b, sizeof(b));
	(void)snprintf(out, 37,
	    "%02x%02x%02x%02x-%02x%02x-4%x%02x-a%x%02x-%02x%02x%02x%02x%02x%02x", b[0],
	    b[1], b[2], b[3], b[4], b[5], b[6] & 15, b[7], b[8] & 15, b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
}

static void
time_text(uint64_t ms, char out[TIME_SIZE + 1])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) ||
	    strftime(out, TIME_SIZE + 1, "%Y-%m-%dT%H:%M:%SZ", &tm) != TIME_SIZE)
		bench_die("no time");
}

/* A chat message whose text is filled up so that every body has BODY_SIZE bytes. */
static void
make_body(uint64_t number, const char *time, char out[BODY_SIZE + 1])
{
	char message_id[37];
	char filler[BODY_SIZE];
	int size;
	int pass;

	uuid(message_id);
	number += FIRST_USER;
	memset(filler, 'a', sizeof(filler));
	for (size = 7; size < BODY_SIZE; size += 8)
		filler[size] = ' ';
	for (pass = 0, size = BODY_SIZE; pass < 2; pass++) {
		int used = pass ? BODY_SIZE - size : 0;

		size = snprintf(out, BODY_SIZE + 1,
		    "{\"message_id\":\"%s\",\"replies_to\":null,"
		    "\"broadcaster\":{\"is_anonymous\":false,\"user_id\":123456789,"
		    "\"username\":\"Streamer123\",\"is_verified\":true,"
		    "\"profile_picture\":\"https://files.example/images/user/123456789/"
		    "profile_image/conversion/fullsize.webp\","
		    "\"channel_slug\":\"streamer123\",\"identity\":null},"
		    "\"sender\":{\"is_anonymous\":false,\"user_id\":%llu,"
		    "\"username\":\"Viewer_%llu\",\"is_verified\":false,"
		    "\"profile_picture\":\"https://files.example/images/user/%llu/"
		    "profile_image/conversion/fullsize.webp\","
		    "\"channel_slug\":\"viewer-%llu\","
		    "\"identity\":{\"username_color\":\"#FF5733\",\"badges\":["
		    "{\"text\":\"Moderator\",\"type\":\"moderator\"},"
		    "{\"text\":\"Subscriber\",\"type\":\"subscriber\",\"count\":3}]}},"
		    "\"content\":\"Hello %llu [emote:4148074:HYPERCLAP] %.*s\","
		    "\"emotes\":[{\"emote_id\":\"4148074\",\"positions\":"
		    "[{\"s\":16,\"e\":40}]}],\"created_at\":\"%s\"}",
		    message_id, (unsigned long long)number, (unsigned long long)number,
		    (unsigned long long)number, (unsigned long long)number,
		    (unsigned long long)number, used, filler, time);
		if (size < 0 || size > BODY_SIZE)
			bench_die("the body is too long");
	}
	if (size != BODY_SIZE)
		bench_die("the body has %d bytes", size);
}

static void
sign(struct signer *signer, const char *id, const char *time, const char *body,
    char out[BASE64_SIZE + 1])
{
	unsigned char signature[SIGNATURE_SIZE];
	size_t size = sizeof(signature);

	if (!EVP_MD_CTX_copy_ex(signer->work, signer->keyed) ||
	    !EVP_DigestSignUpdate(signer->work, id, ULID_SIZE) ||
	    !EVP_DigestSignUpdate(signer->work, ".", 1) ||
	    !EVP_DigestSignUpdate(signer->work, time, TIME_SIZE) ||
	    !EVP_DigestSignUpdate(signer->work, ".", 1) ||
	    !EVP_DigestSignUpdate(signer->work, body, BODY_SIZE) ||
	    !EVP_DigestSignFinal(signer->work, signature, &size) ||
	    size != SIGNATURE_SIZE ||
	    EVP_EncodeBlock((unsigned char *)out, signature, SIGNATURE_SIZE) !=
		BASE64_SIZE)
		bench_die("cannot sign");
}

/* Writes record number `number`; returns its size, the length digits included. */
static size_t
make_record(struct signer *signer, uint64_t number, char out[RECORD_MAX])
{
	uint64_t ms = signer->now_ms - (signer->count - number) / IDS_PER_MS;
	char id[ULID_SIZE + 1];
	char time[TIME_SIZE + 1];
	char body[BODY_SIZE + 1];
	char signature[BASE64_SIZE + 1];
	char digits[BENCH_LENGTH_DIGITS + 1];
	int size;

	ulid(
	    ms, IDS_PER_MS - 1 - (unsigned)((signer->count - number) % IDS_PER_MS), id);
	time_text(ms, time);
	make_body(number, time, body);
	sign(signer, id, time, body, signature);
	size = snprintf(out + BENCH_LENGTH_DIGITS, RECORD_MAX - BENCH_LENGTH_DIGITS,
	    "POST /webhooks/kick HTTP/1.1\r\n"
	    "Host: %s\r\n"
	    "User-Agent: Go-http-client/1.1\r\n"
	    "Content-Length: %d\r\n"
	    "Accept: application/json\r\n"
	    "Content-Type: application/json\r\n"
	    "Kick-Event-Message-Id: %s\r\n"
	    "Kick-Event-Message-Timestamp: %s\r\n"
	    "Kick-Event-Signature: %s\r\n"
	    "Kick-Event-Subscription-Id: %s\r\n"
	    "Kick-Event-Type: chat.message.sent\r\n"
	    "Kick-Event-Version: 1\r\n"
	    "Accept-Encoding: gzip\r\n"
	    "\r\n"
	    "%s",
	    signer->host, BODY_SIZE, id, time, signature, signer->subscription, body);
	if (size < 0 || size >= RECORD_MAX - BENCH_LENGTH_DIGITS)
		bench_die("the record is too long");
	(void)snprintf(digits, sizeof(digits), "%08d", size);
	memcpy(out, digits, BENCH_LENGTH_DIGITS);
	return BENCH_LENGTH_DIGITS + (size_t)size;
}

/* ---------------------------------------------------------------- sharing ----------
 */

static void
write_stretch(struct signer *signer, int fd, uint64_t first, uint64_t end)
{
	char record[RECORD_MAX];
	size_t record_size = 0;
	uint64_t i;

	for (i = first; i < end; i++) {
		size_t size = make_record(signer, i, record);

		if (record_size && size != record_size)
			bench_die("records differ in size");
		record_size = size;
		if (pwrite(fd, record, size, (off_t)(i * size)) != (ssize_t)size)
			bench_die("cannot write: %s", strerror(errno));
	}
}

/* Each child writes its stretch and ends; a failed one fails the whole. */
static bool
write_all(struct signer *signer, int fd, unsigned jobs)
{
	bool good = true;
	unsigned started = 0;
	unsigned i;

	for (i = 0; i < jobs && good; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			write_stretch(signer, fd, signer->count * i / jobs,
			    signer->count * (i + 1) / jobs);
			_exit(0);
		}
		if (pid < 0)
			good = false;
		else
			started++;
	}
	for (; started > 0; started--) {
		int status = 1;

		if (wait(&status) < 0 || status != 0)
			good = false;
	}
	return good;
}

static void
signer_init(struct signer *signer, EVP_PKEY *key)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	signer->now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	ulid(signer->now_ms, 0, signer->subscription);
	signer->keyed = EVP_MD_CTX_new();
	signer->work = EVP_MD_CTX_new();
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
	    EVP_PKEY_get_bits(key) != KEY_BITS || !signer->keyed || !signer->work ||
	    !EVP_DigestSignInit(signer->keyed, NULL, EVP_sha256(), NULL, key))
		bench_die("no usable RSA key of %d bits", KEY_BITS);
}

/* The file appears under its name only when it is whole. */
static void
write_file(struct signer *signer, const char *path, unsigned jobs)
{
	char part[4096];
	int fd;

	if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
		bench_die("%s: the name is too long", path);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		bench_die("%s: %s", part, strerror(errno));
	if (!write_all(signer, fd, jobs) || close(fd) < 0 || rename(part, path) < 0) {
		(void)unlink(part);
		bench_die("%s: could not be written", path);
	}
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "host", required_argument, NULL, 'H' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct signer signer = { .host = "127.0.0.1:3001" };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned jobs = cpus < 1 ? 1 : cpus > JOBS_MAX ? JOBS_MAX : (unsigned)cpus;
	EVP_PKEY *key;
	int option;

	while ((option = getopt_long(argc, argv, "j:h", options, NULL)) != -1) {
		if (option == 'H') {
			signer.host = optarg;
		} else if (option == 'j') {
			jobs = (unsigned)bench_number("-j", optarg, 1, JOBS_MAX);
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (optind != argc - 3) {
		fputs(usage, stderr);
		return 2;
	}
	if (!signer.host[0] || strlen(signer.host) > 255 ||
	    strpbrk(signer.host, " \r\n"))
		bench_die("--host: no host");
	signer.count = bench_number("N", argv[optind], 1, BENCH_REQUESTS_MAX);
	key = key_get(argv[optind + 2]);
	signer_init(&signer, key);
	write_file(&signer, argv[optind + 1], jobs);
	EVP_MD_CTX_free(signer.work);
	EVP_MD_CTX_free(signer.keyed);
	EVP_PKEY_free(key);
	return 0;
}
