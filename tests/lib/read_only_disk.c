/*
 * Makes a disk read-only under a running daemon, as the kernel does with ext4 after an
 * error, and writable again, which the kernel does not without a new mount: loaded with
 * LD_PRELOAD, it refuses SQLite's writes with EROFS while the first byte of the file
 * READ_ONLY_SWITCH is '1'. That file is mapped before the daemon locks itself in.
 * Used by tests/system/test_refresh_kept.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const volatile char *read_only;

__attribute__((constructor)) static void
map_switch(void)
{
	const char *path = getenv("READ_ONLY_SWITCH");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		read_only = at;
	(void)close(fd);
}

static int
is_refused(void)
{
	if (!read_only || *read_only != '1')
		return 0;
	errno = EROFS;
	return 1;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset);
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset);
int ftruncate(int fd, off_t size);
int ftruncate64(int fd, off64_t size);

ssize_t
pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
	return is_refused() ? -1 : syscall(SYS_pwrite64, fd, bytes, count, offset);
}

ssize_t
pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
	return pwrite64(fd, bytes, count, offset);
}

int
ftruncate64(int fd, off64_t size)
{
	return is_refused() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int
ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}
