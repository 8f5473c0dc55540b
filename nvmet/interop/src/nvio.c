/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * nvio.c - writes, reads and verifies a pattern on a block device, in the guest
 *
 *   nvio DEVICE write|verify|read|mixed [bs=4k] [size=64M] [off=0] [thr=4]
 *        [seed=1] [rand=0] [secs=0]
 *
 * write fills [off, off + size) with a pattern of the seed and the absolute
 * offset; verify reads and compares; read only reads; mixed rewrites every second
 * block and compares all. With secs it goes round until the time is over.
 *
 * Threads with O_DIRECT rather than asynchronous I/O: it is static, has no
 * dependency, and a thread that waits for ever is easy to see in the guest.
 *
 * Exit status: 0 clean, 1 usage, 2 an I/O error, 3 data that differs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 256
#define MAX_ERRORS 16
#define GOLDEN 0x9e3779b97f4a7c15ULL

static struct {
	const char *name;
	uint64_t value;
} options[] = {
	{ "bs", 4096 }, { "size", 64 << 20 }, { "off", 0 },  { "thr", 4 },
	{ "seed", 1 },	{ "rand", 0 },	      { "secs", 0 },
};

enum { BS, SIZE, OFF, THR, SEED, RAND, SECS, OPTIONS };

static int fd;
static bool writes, compares, writes_half;
static uint64_t bs, blocks, stride = 1;
static double end_time;
static atomic_ullong next_block, done, mismatches, errors, slowest_us;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* The pattern: a new random start every 512 bytes, cheap steps in between. */
static void fill(uint64_t *block, uint64_t offset)
{
	uint64_t start = 0, i;

	for (i = 0; i < bs / 8; i++) {
		if (i % 64 == 0)
			start = mix(options[SEED].value * GOLDEN + offset + i * 8);
		block[i] = start + i % 64 * GOLDEN;
	}
}

static bool transfer(bool is_write, void *buffer, uint64_t offset)
{
	double begin = now();
	ssize_t n = is_write ? pwrite(fd, buffer, bs, (off_t)offset) :
			       pread(fd, buffer, bs, (off_t)offset);
	unsigned long long us = (unsigned long long)((now() - begin) * 1e6);
	unsigned long long most = slowest_us;

	while (us > most && !atomic_compare_exchange_weak(&slowest_us, &most, us))
		;
	if (n == (ssize_t)bs)
		return true;
	if (errors++ < 4)
		fprintf(stderr, "nvio: %s at %llu: %s\n", is_write ? "write" : "read",
			(unsigned long long)offset, n < 0 ? strerror(errno) : "short");
	return false;
}

static void compare(const uint64_t *want, const uint64_t *got, uint64_t offset)
{
	uint64_t i = 0;

	if (memcmp(want, got, bs) == 0 || mismatches++ >= 4)
		return;
	while (want[i] == got[i])
		i++;
	fprintf(stderr, "nvio: mismatch at %llu: want %016llx, got %016llx\n",
		(unsigned long long)(offset + i * 8), (unsigned long long)want[i],
		(unsigned long long)got[i]);
}

static void *work(void *unused)
{
	uint64_t *want, *got;

	(void)unused;
	if (posix_memalign((void **)&want, 4096, bs) || posix_memalign((void **)&got, 4096, bs))
		abort();
	while (errors < MAX_ERRORS) {
		uint64_t n = next_block++, block = n % blocks, offset;

		if (options[SECS].value ? now() > end_time : n >= blocks)
			break;
		block = block * stride % blocks;
		offset = options[OFF].value + block * bs;
		if (writes || compares)
			fill(want, offset);
		if (writes && (!writes_half || block % 2) && !transfer(true, want, offset))
			continue;
		if (!writes || compares) {
			if (!transfer(false, got, offset))
				continue;
			if (compares)
				compare(want, got, offset);
		}
		done++;
	}
	free(want);
	free(got);
	return NULL;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	switch (*end) {
	case 'k':
		return value << 10;
	case 'M':
		return value << 20;
	case 'G':
		return value << 30;
	}
	return value;
}

static bool parse(int argc, char **argv)
{
	for (int i = 3; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		int k = 0;

		if (!value)
			return false;
		*value++ = '\0';
		while (k < OPTIONS && strcmp(options[k].name, argv[i]))
			k++;
		if (k == OPTIONS)
			return false;
		options[k].value = number(value);
	}
	bs = options[BS].value;
	blocks = bs ? options[SIZE].value / bs : 0;
	if (options[THR].value > MAX_THREADS)
		options[THR].value = MAX_THREADS;
	return bs % 512 == 0 && blocks > 0;
}

static bool set_mode(const char *mode)
{
	writes = !strcmp(mode, "write") || !strcmp(mode, "mixed");
	writes_half = !strcmp(mode, "mixed");
	compares = !strcmp(mode, "verify") || !strcmp(mode, "mixed");
	return writes || compares || !strcmp(mode, "read");
}

/* A stride without a common divisor visits every block once, in no order. */
static void choose_stride(void)
{
	uint64_t a, b, t;

	for (stride = 0x9e3779b1 % blocks | 1;; stride += 2) {
		for (a = stride, b = blocks; b; a = t) {
			t = b;
			b = a % b;
		}
		if (a == 1)
			return;
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	double begin;
	uint64_t i;

	if (argc < 3 || !set_mode(argv[2]) || !parse(argc, argv)) {
		fprintf(stderr, "usage: nvio DEVICE write|verify|read|mixed "
				"[bs= size= off= thr= seed= rand= secs=]\n");
		return 1;
	}
	fd = open(argv[1], (writes ? O_RDWR : O_RDONLY) | O_DIRECT);
	if (fd < 0) {
		perror(argv[1]);
		return 2;
	}
	if (options[RAND].value)
		choose_stride();
	begin = now();
	end_time = begin + (double)options[SECS].value;
	for (i = 0; i < options[THR].value; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (i = 0; i < options[THR].value; i++)
		pthread_join(threads[i], NULL);
	if (writes && fsync(fd)) {
		perror("fsync");
		errors++;
	}
	begin = now() - begin;
	printf("nvio %s bs=%llu thr=%llu: %llu blocks, %.1f MiB/s, %.0f IOPS, slowest %.1f ms, "
	       "errors=%llu mismatches=%llu\n",
	       argv[2], (unsigned long long)bs, (unsigned long long)options[THR].value,
	       (unsigned long long)done, (double)done * (double)bs / 1048576 / begin,
	       (double)done / begin, (double)slowest_us / 1e3, (unsigned long long)errors,
	       (unsigned long long)mismatches);
	return errors ? 2 : mismatches ? 3 : 0;
}
