/*
 * Key files of the file keystore. Called by vault_file.c at start; owns the locked
 * memory that the key lives in.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/vault/vault_key.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/locked_memory.h"

struct vault_key {
	uint8_t bytes[VAULT_KEY_FILE_SIZE];
};

static struct vault_key *key_new(void);
static int check_file(int fd, bool lax);
static int read_all(int fd, uint8_t *bytes, size_t size);
static int write_file(const char *path, const uint8_t *bytes, size_t size);
static int sync_folder_of(const char *path);

int
vault_key_read(const char *path, bool lax, struct vault_key **ret_key)
{
	struct vault_key *key;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int result;

	if (fd < 0)
		return -errno;
	result = check_file(fd, lax);
	if (result < 0) {
		close(fd);
		return result;
	}
	key = key_new();
	result = read_all(fd, key->bytes, VAULT_KEY_FILE_SIZE);
	close(fd);
	if (result < 0) {
		vault_key_free(key);
		return result;
	}
	*ret_key = key;
	return 0;
}

/* The key is written under another name and then linked, so that a crash leaves either
 * no key file or a whole one. link(2) fails when the name is taken, as O_EXCL does. */
int
vault_key_create(const char *path, struct vault_key **ret_key)
{
	struct vault_key *key = vault_key_random();
	char *fresh = xasprintf("%s.new", path);
	int result = write_file(fresh, key->bytes, VAULT_KEY_FILE_SIZE);

	if (result == 0 && link(fresh, path) < 0)
		result = -errno;
	if (unlink(fresh) < 0 && result == 0)
		result = -errno;
	if (result == 0)
		result = sync_folder_of(path);
	free(fresh);
	if (result < 0) {
		vault_key_free(key);
		return result;
	}
	*ret_key = key;
	return 0;
}

int
vault_key_rename(const char *from, const char *to)
{
	return rename(from, to) < 0 ? -errno : sync_folder_of(to);
}

struct vault_key *
vault_key_random(void)
{
	struct vault_key *key = key_new();

	crypto_random(key->bytes, CRYPTO_KEY_SIZE);
	return key;
}

void
vault_key_free(struct vault_key *key)
{
	locked_free(key);
}

const uint8_t *
vault_key_bytes(const struct vault_key *key)
{
	return key->bytes;
}

static struct vault_key *
key_new(void)
{
	struct vault_key *key = locked_new(sizeof(*key));

	memset(key, 0, sizeof(*key));
	return key;
}

static int
check_file(int fd, bool lax)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size != VAULT_KEY_FILE_SIZE)
		return -EBADMSG;
	if (lax)
		return 0;
	if (status.st_mode & (S_IRWXG | S_IRWXO))
		return -EPERM;
	if (status.st_uid != geteuid() && status.st_uid != 0)
		return -EPERM;
	return 0;
}

static int
read_all(int fd, uint8_t *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = read(fd, bytes + done, size - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EBADMSG;
		done += (size_t)got;
	}
	return 0;
}

static int
write_all(int fd, const uint8_t *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t put = write(fd, bytes + done, size - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		done += (size_t)put;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int
write_file(const char *path, const uint8_t *bytes, size_t size)
{
	int fd;
	int result;

	/* What a crash left behind holds a key that nothing was sealed with. */
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	result = write_all(fd, bytes, size);
	if (close(fd) < 0 && result == 0)
		result = -errno;
	return result;
}

static int
sync_folder_of(const char *path)
{
	char *folder = xstrdup(path);
	char *slash = strrchr(folder, '/');
	int result = 0;
	int fd;

	if (slash == folder)
		slash[1] = '\0';
	else if (slash)
		*slash = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		result = -errno;
	if (fd >= 0)
		close(fd);
	free(folder);
	return result;
}
