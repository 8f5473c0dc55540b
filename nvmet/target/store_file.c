/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_file.c - a namespace that lives in a file or on a block device
 *
 * Owns: one descriptor. A read copies from the file into fresh blocks, a write
 * goes out before it is reported, a flush is fdatasync(2), and one that failed is the last
 * that was tried.
 *
 * Never: maps the file: a mapping turns a full disk, a bad sector or a truncated
 * file into SIGBUS, and hands the kernel pages that the next write changes.
 * Never keeps a copy of its own, so there is nothing to lose at a crash beyond
 * what the host did not flush.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store.h"

#define VEC_MAX 256
#define ZERO_CHUNK_BLOCKS 64

struct file {
	struct store store;
	int fd;
	pthread_mutex_t flushing;
	int lost; /* -errno of the flush that failed */
};

typedef ssize_t (*vector_call)(int fd, const struct iovec *iov, int count, off_t offset);

static struct file *file_of(struct store *store)
{
	return (struct file *)store;
}

static off_t byte_offset(uint64_t block)
{
	return (off_t)(block << BLOCK_SHIFT);
}

/* Moves up to VEC_MAX blocks, all of them or an error; short transfers go on. */
static int move_some(struct file *file, vector_call call, uint64_t first, unsigned count,
		     struct block **blocks)
{
	struct iovec iov[VEC_MAX], *at = iov;
	off_t offset = byte_offset(first);
	ssize_t moved;
	unsigned i;

	for (i = 0; i < count; i++)
		iov[i] = (struct iovec){ block_data(blocks[i]), BLOCK_BYTES };
	while (count) {
		moved = call(file->fd, at, (int)count, offset);
		if (moved < 0 && errno == EINTR)
			continue;
		if (moved < 0)
			return -errno;
		if (moved == 0)
			return -EIO; /* somebody made the file shorter */
		offset += moved;
		while (count && (size_t)moved >= at->iov_len) {
			moved -= (ssize_t)at->iov_len;
			at++;
			count--;
		}
		if (moved) {
			at->iov_base = (uint8_t *)at->iov_base + moved;
			at->iov_len -= (size_t)moved;
		}
	}
	return 0;
}

static int move(struct file *file, vector_call call, uint64_t first, uint32_t count,
		struct block **blocks)
{
	unsigned some;
	int err = 0;

	for (; count && !err; count -= some, first += some, blocks += some) {
		some = count < VEC_MAX ? count : VEC_MAX;
		err = move_some(file, call, first, some, blocks);
	}
	return err;
}

static int file_read(struct store *store, struct pool *pool, uint64_t first, uint32_t count,
		     struct block **blocks)
{
	int err = pool_take(pool, blocks, count);

	if (err < 0)
		return err;
	err = move(file_of(store), preadv, first, count, blocks);
	if (err < 0)
		blocks_unref(pool, blocks, count);
	return err;
}

static int file_write(struct store *store, struct pool *pool, uint64_t first, uint32_t count,
		      struct block **blocks)
{
	int err = move(file_of(store), pwritev, first, count, blocks);

	if (err == 0)
		blocks_unref(pool, blocks, count);
	return err;
}

static int file_fallocate(struct file *file, int mode, uint64_t first, uint64_t count)
{
	int err;

	do {
		err = fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, byte_offset(first),
				byte_offset(count)) < 0 ? -errno : 0;
	} while (err == -EINTR);
	return err;
}

static bool not_supported(int err)
{
	return err == -EOPNOTSUPP || err == -ENOSYS || err == -EINVAL || err == -ENODEV;
}

static int write_zeroes(struct file *file, const struct pool *pool, uint64_t first,
			uint64_t count)
{
	struct block *blocks[ZERO_CHUNK_BLOCKS];
	unsigned i, some;
	int err = 0;

	for (i = 0; i < ZERO_CHUNK_BLOCKS; i++)
		blocks[i] = pool->zero;
	for (; count && !err; count -= some, first += some) {
		some = count < ZERO_CHUNK_BLOCKS ? (unsigned)count : ZERO_CHUNK_BLOCKS;
		err = move_some(file, pwritev, first, some, blocks);
	}
	return err;
}

static int file_zero(struct store *store, struct pool *pool, uint64_t first, uint64_t count,
		     bool deallocate)
{
	struct file *file = file_of(store);
	int err = -EOPNOTSUPP;

	if (deallocate)
		err = file_fallocate(file, FALLOC_FL_PUNCH_HOLE, first, count);
	if (not_supported(err))
		err = file_fallocate(file, FALLOC_FL_ZERO_RANGE, first, count);
	if (not_supported(err))
		err = write_zeroes(file, pool, first, count);
	return err;
}

/* Advice: where the file system cannot, the blocks keep what they have, unless hosts were
 * told that they read as zeroes. */
static int file_deallocate(struct store *store, struct pool *pool, uint64_t first,
			   uint64_t count)
{
	int err = file_fallocate(file_of(store), FALLOC_FL_PUNCH_HOLE, first, count);

	if (!not_supported(err))
		return err;
	return store->deallocated_is_zero ? file_zero(store, pool, first, count, false) : 0;
}

/*
 * What could not be written back is told once for a descriptor, and all hosts share this one:
 * whoever hears of it first may not be whose data it was. So no flush succeeds after one that
 * failed, nor beside it.
 */
static int file_flush(struct store *store)
{
	struct file *file = file_of(store);
	int err;

	pthread_mutex_lock(&file->flushing);
	if (!file->lost && fdatasync(file->fd) < 0)
		file->lost = -errno;
	err = file->lost;
	pthread_mutex_unlock(&file->flushing);
	return err;
}

static void file_free(struct store *store, struct pool *pool)
{
	struct file *file = file_of(store);

	(void)pool;
	pthread_mutex_destroy(&file->flushing);
	close(file->fd);
	free(file);
}

static const struct store_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.zero = file_zero,
	.deallocate = file_deallocate,
	.flush = file_flush,
	.free = file_free,
};

/* How long it is, after making it as long as was asked. */
static int measure(int fd, uint64_t wanted, uint64_t *bytes)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (S_ISBLK(status.st_mode))
		return ioctl(fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0;
	if (!S_ISREG(status.st_mode))
		return -ENODEV;
	*bytes = (uint64_t)status.st_size;
	if (wanted <= *bytes)
		return 0;
	*bytes = wanted;
	return ftruncate(fd, (off_t)wanted) < 0 ? -errno : 0;
}

/* A hole beyond the end changes nothing, and a file system that makes none refuses it
 * (ramfs). A device is not asked, as there is no such place on it. */
static bool makes_holes(struct file *file)
{
	struct stat status;

	return fstat(file->fd, &status) == 0 && S_ISREG(status.st_mode) &&
	       file_fallocate(file, FALLOC_FL_PUNCH_HOLE, file->store.blocks + 1, 1) == 0;
}

int store_file_new(const char *path, uint64_t size, struct store **store)
{
	struct file *file;
	uint64_t bytes;
	int fd, err;

	fd = open(path, O_RDWR | O_CLOEXEC | (size ? O_CREAT : 0), 0600);
	if (fd < 0)
		return -errno;
	err = measure(fd, size, &bytes);
	if (err == 0 && bytes < BLOCK_BYTES)
		err = -ENOSPC;
	file = err == 0 ? calloc(1, sizeof(*file)) : NULL;
	if (!file) {
		close(fd);
		return err ? err : -ENOMEM;
	}
	file->store.ops = &file_ops;
	file->store.blocks = bytes >> BLOCK_SHIFT;
	file->store.has_write_cache = true;
	file->fd = fd;
	pthread_mutex_init(&file->flushing, NULL);
	file->store.deallocated_is_zero = makes_holes(file);
	*store = &file->store;
	return 0;
}
