"""A library for LD_PRELOAD that looks into every piece of memory before it is given back to
malloc(3), by whomever, and tells of those that hold a secret."""
import pathlib
import subprocess

MARK = "CANARY-"
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void __libc_free(void *);
extern void *__libc_malloc(size_t);

static void
look(void *piece, void *caller)
{
	static const char mark[] = "@MARK@";
	size_t size = malloc_usable_size(piece);
	Dl_info info = { 0 };
	char line[512];
	int length;

	if (!memmem(piece, size, mark, sizeof(mark) - 1))
		return;
	dladdr(caller, &info);
	length = snprintf(line, sizeof(line), "FREED %zu bytes with a secret by %s+%zx\n", size,
	    info.dli_fname ? info.dli_fname : "?",
	    (size_t)caller - (size_t)info.dli_fbase);
	if (write(2, line, (size_t)length) < 0)
		abort();
}

void
free(void *piece)
{
	if (piece)
		look(piece, __builtin_return_address(0));
	__libc_free(piece);
}

void *
realloc(void *piece, size_t size)
{
	size_t old = piece ? malloc_usable_size(piece) : 0;
	void *fresh;

	if (piece && size == 0) {
		look(piece, __builtin_return_address(0));
		__libc_free(piece);
		return NULL;
	}
	fresh = __libc_malloc(size);
	if (!fresh)
		return NULL;
	if (piece) {
		memcpy(fresh, piece, old < size ? old : size);
		look(piece, __builtin_return_address(0));
		__libc_free(piece);
	}
	return fresh;
}
"""


def library(folder):
    """Builds it; gives its file."""
    source, made = pathlib.Path(folder) / "freed.c", pathlib.Path(folder) / "freed.so"
    source.write_text(SOURCE.replace("@MARK@", MARK))
    subprocess.run(["cc", "-O2", "-w", "-shared", "-fPIC", "-fno-builtin", "-o", str(made),
                    str(source), "-ldl"], check=True)
    return made
