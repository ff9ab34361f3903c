/*
 * bench_calib: how fast this machine is at the moment, in about half a second. R1 is
 * the rate at which one core verifies Kick-like signatures (RSA-2048, PKCS#1 v1.5,
 * SHA-256 over 1.1 KB included, base64 not) with OpenSSL used at its best: one fetched
 * digest and one EVP_PKEY_CTX for all calls. Also how long fdatasync takes after
 * 16 KB were overwritten in a given folder. Prints one line of JSON.
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
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define KEY_BITS 2048
#define SIGNATURE_SIZE (KEY_BITS / 8)
#define DIGEST_SIZE 32
/* Id, time, two dots and a body of bench_sign. */
#define MESSAGE_SIZE 1148
#define MESSAGES 16
#define SYNC_SIZE 16384
#define SYNC_MIN 20
#define SYNC_MAX 5000
#define TMPFS 0x01021994L
#define RAMFS 0x858458f6L

struct verifier {
	EVP_MD *digest;
	EVP_MD_CTX *hash;
	EVP_PKEY_CTX *context;
};

struct message {
	unsigned char bytes[MESSAGE_SIZE];
	unsigned char signature[SIGNATURE_SIZE];
};

static const char usage[] =
    "usage: bench_calib [-t MILLISECONDS] [-k KEYDIR] FOLDER\n"
    "  -t N   time for each of the two measurements (200)\n"
    "  -k D   the key that bench_sign made, instead of a fresh one\n"
    "FOLDER is where fdatasync is measured.\n";

static EVP_PKEY *
key_get(const char *folder)
{
	char path[4096];
	EVP_PKEY *key;
	FILE *file;

	if (!folder) {
		key = EVP_RSA_gen(KEY_BITS);
	} else {
		if (snprintf(path, sizeof(path), "%s/kick_private.pem", folder) >=
		    (int)sizeof(path))
			bench_die("%s: the name is too long", folder);
		file = fopen(path, "re");
		if (!file)
			bench_die("%s: %s", path, strerror(errno));
		key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
		(void)fclose(file);
	}
	if (!key || EVP_PKEY_get_bits(key) != KEY_BITS)
		bench_die("no RSA key of %d bits", KEY_BITS);
	return key;
}

static void
sign_messages(EVP_PKEY *key, struct message *messages)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int i;

	for (i = 0; i < MESSAGES; i++) {
		size_t size = SIGNATURE_SIZE;

		if (RAND_bytes(messages[i].bytes, MESSAGE_SIZE) != 1 ||
		    !EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) ||
		    !EVP_DigestSign(context, messages[i].signature, &size,
			messages[i].bytes, MESSAGE_SIZE))
			bench_die("cannot sign");
		(void)EVP_MD_CTX_reset(context);
	}
	EVP_MD_CTX_free(context);
}

static void
verifier_init(struct verifier *verifier, EVP_PKEY *key)
{
	verifier->digest = EVP_MD_fetch(NULL, "SHA256", NULL);
	verifier->hash = EVP_MD_CTX_new();
	verifier->context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (!verifier->digest || !verifier->hash || !verifier->context ||
	    EVP_PKEY_verify_init(verifier->context) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(verifier->context, RSA_PKCS1_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(verifier->context, verifier->digest) != 1)
		bench_die("cannot set up verification");
}

static void
verifier_clear(struct verifier *verifier)
{
	EVP_PKEY_CTX_free(verifier->context);
	EVP_MD_CTX_free(verifier->hash);
	EVP_MD_free(verifier->digest);
}

static bool
verify(struct verifier *verifier, const struct message *message)
{
	unsigned char digest[DIGEST_SIZE];

	return EVP_DigestInit_ex2(verifier->hash, verifier->digest, NULL) &&
	    EVP_DigestUpdate(verifier->hash, message->bytes, MESSAGE_SIZE) &&
	    EVP_DigestFinal_ex(verifier->hash, digest, NULL) &&
	    EVP_PKEY_verify(verifier->context, message->signature, SIGNATURE_SIZE,
		digest, sizeof(digest)) == 1;
}

static void
measure_verify(const char *key_folder, uint64_t time)
{
	static struct message messages[MESSAGES];
	EVP_PKEY *key = key_get(key_folder);
	struct verifier verifier;
	uint64_t count = 0;
	uint64_t start;
	uint64_t cpu;
	uint64_t now;

	sign_messages(key, messages);
	verifier_init(&verifier, key);
	/* The rate means nothing unless a changed message is refused. */
	messages[0].bytes[0] ^= 1;
	if (verify(&verifier, &messages[0]))
		bench_die("a changed message was accepted");
	messages[0].bytes[0] ^= 1;
	cpu = bench_cpu();
	start = bench_now();
	do {
		int i;

		for (i = 0; i < MESSAGES; i++) {
			if (!verify(&verifier, &messages[i]))
				bench_die("a good message was refused");
		}
		count += MESSAGES;
		now = bench_now();
	} while (now - start < time);
	cpu = bench_cpu() - cpu;
	printf("\"verify_per_s\":%.1f,\"verify_cpu_us\":%.3f",
	    (double)count * (double)BENCH_NS_PER_S / (double)(now - start),
	    (double)cpu / 1000 / (double)count);
	verifier_clear(&verifier);
	EVP_PKEY_free(key);
}

static int
open_scratch(const char *folder)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/bench_calib.XXXXXX", folder) >=
	    (int)sizeof(path))
		bench_die("%s: the name is too long", folder);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		bench_die("%s: %s", folder, strerror(errno));
	(void)unlink(path);
	return fd;
}

static void
overwrite(int fd, unsigned char fill)
{
	static unsigned char block[SYNC_SIZE];

	memset(block, fill, sizeof(block));
	if (pwrite(fd, block, sizeof(block), 0) != (ssize_t)sizeof(block) ||
	    fdatasync(fd) < 0)
		bench_die("cannot write: %s", strerror(errno));
}

static void
measure_sync(const char *folder, uint64_t time)
{
	struct bench_histogram *times = bench_histogram_new();
	int fd = open_scratch(folder);
	uint64_t start;
	uint64_t count;
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		bench_die("%s: %s", folder, strerror(errno));
	overwrite(fd, 0);
	start = bench_now();
	for (count = 0;
	     count < SYNC_MAX && (count < SYNC_MIN || bench_now() - start < time);
	     count++) {
		uint64_t before = bench_now();

		overwrite(fd, (unsigned char)(count + 1));
		bench_histogram_add(times, bench_now() - before);
	}
	printf("\"sync_p50_us\":%.1f,\"sync_p99_us\":%.1f,\"memory_fs\":%s",
	    (double)bench_histogram_at(times, 0.5) / 1000,
	    (double)bench_histogram_at(times, 0.99) / 1000,
	    fs.f_type == TMPFS || fs.f_type == RAMFS ? "true" : "false");
	(void)close(fd);
	bench_histogram_free(times);
}

int
main(int argc, char **argv)
{
	const char *key_folder = NULL;
	uint64_t time = 200;
	int option;

	while ((option = getopt(argc, argv, "t:k:h")) != -1) {
		if (option == 't') {
			time = bench_number("-t", optarg, 10, 10000);
		} else if (option == 'k') {
			key_folder = optarg;
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (optind != argc - 1) {
		fputs(usage, stderr);
		return 2;
	}
	(void)alarm(120);
	time = time * BENCH_NS_PER_S / 1000;
	printf("{");
	measure_verify(key_folder, time);
	printf(",");
	measure_sync(argv[optind], time);
	printf("}\n");
	return 0;
}
