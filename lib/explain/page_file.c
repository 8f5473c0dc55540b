/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page_file.c - a file for pages: made under another name, complete, and then put in its place
 *
 * So a reader finds the file before or this one, and none that is too short.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zcreq/page.h>

/* What mkostemp(3) replaces, in pieces: in one it is a mark of what is left to do. */
#define SUFFIX ".XX" "XX" "XX"

/* The file @made becomes @path, and is mapped. */
static int put_in_place(int fd, const char *made, const char *path, size_t bytes, void **memory)
{
	int ret = posix_fallocate(fd, 0, (off_t)bytes);
	void *mapped;

	if (ret)
		return -ret;
	mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		return -errno;
	if (rename(made, path)) {
		ret = -errno;
		munmap(mapped, bytes);
		return ret;
	}
	*memory = mapped;
	return 0;
}

/* The same, with errno to be anything afterwards. */
static int map(const char *path, size_t bytes, void **memory)
{
	char made[PATH_MAX];
	int fd, ret;

	if (snprintf(made, sizeof(made), "%s" SUFFIX, path) >= (int)sizeof(made))
		return -ENAMETOOLONG;
	fd = mkostemp(made, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = put_in_place(fd, made, path, bytes, memory);
	if (ret)
		unlink(made);
	close(fd);
	return ret;
}

int zcreq_page_map(const char *path, size_t bytes, void **memory)
{
	const int saved = errno;
	int ret;

	/* no mapping is longer, and a file of 4 GiB would be made for nothing with 32 bits */
	if (!path || !memory || bytes < zcreq_page_bytes(0) || bytes > PTRDIFF_MAX)
		return -EINVAL;
	ret = map(path, bytes, memory);
	errno = saved;
	return ret;
}
