/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of a line this much is read: what stands behind is the name of a file. */
#define LINE_BYTES 160

/* What a mapping's flags say. PRIVATE is what can be exchanged: permissions, how it is accounted
 * for, and advice, of which some is given again. A flag that is not here is special. */
static const struct {
	char name[3];
	enum zcreq_memory kind;
	unsigned advice; /* enum zcreq_advice */
} flags_known[] = {
	{"rd", ZCREQ_MEMORY_PRIVATE, 0}, {"wr", ZCREQ_MEMORY_PRIVATE, 0},
	{"ex", ZCREQ_MEMORY_PRIVATE, 0}, {"mr", ZCREQ_MEMORY_PRIVATE, 0},
	{"mw", ZCREQ_MEMORY_PRIVATE, 0}, {"me", ZCREQ_MEMORY_PRIVATE, 0},
	{"sr", ZCREQ_MEMORY_PRIVATE, 0}, {"rr", ZCREQ_MEMORY_PRIVATE, 0},
	{"ac", ZCREQ_MEMORY_PRIVATE, 0}, {"nr", ZCREQ_MEMORY_PRIVATE, 0},
	{"sd", ZCREQ_MEMORY_PRIVATE, 0},
	{"hg", ZCREQ_MEMORY_PRIVATE, ZCREQ_ADVICE_HUGE},
	{"nh", ZCREQ_MEMORY_PRIVATE, ZCREQ_ADVICE_NOT_HUGE},
	{"dd", ZCREQ_MEMORY_PRIVATE, ZCREQ_ADVICE_NO_DUMP},
	{"sh", ZCREQ_MEMORY_SHARED, 0},
	{"ht", ZCREQ_MEMORY_HUGE, 0},
	{"lo", ZCREQ_MEMORY_LOCKED, 0},
};

/* Unless something else is the matter with it. */
static void worse(struct zcreq_mapping *mapping, enum zcreq_memory kind)
{
	if (mapping->kind == ZCREQ_MEMORY_PRIVATE)
		mapping->kind = kind;
}

/* "start-end perms offset device inode name": a new mapping begins. */
static int parse_head(const char *line, struct zcreq_mapping *mapping)
{
	unsigned long start, end, inode;
	char rights[5];

	/* uncovered: no kernel writes anything else */
	if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %lu", &start, &end, rights, &inode) != 4)
		return -EPROTO; /* uncovered: the same */
	*mapping = (struct zcreq_mapping){
		.start = start,
		.end = end,
		.access = (rights[0] == 'r' ? PROT_READ : 0) | (rights[1] == 'w' ? PROT_WRITE : 0) |
			  (rights[2] == 'x' ? PROT_EXEC : 0),
		.kind = rights[3] == 'p' ? ZCREQ_MEMORY_PRIVATE : ZCREQ_MEMORY_SHARED,
	};
	if (inode)
		worse(mapping, ZCREQ_MEMORY_FILE);
	return 0;
}

static void parse_flag(const char *flag, struct zcreq_mapping *mapping)
{
	for (size_t i = 0; i < sizeof(flags_known) / sizeof(*flags_known); i++) {
		if (memcmp(flag, flags_known[i].name, 2))
			continue;
		mapping->advice |= flags_known[i].advice;
		/* it says more than the line before: memory of hugetlbfs is a file's too */
		if (flags_known[i].kind != ZCREQ_MEMORY_PRIVATE)
			mapping->kind = flags_known[i].kind;
		return;
	}
	worse(mapping, ZCREQ_MEMORY_SPECIAL);
}

static void parse_flags(const char *flags, struct zcreq_mapping *mapping)
{
	/* " rd wr mr ": two letters each */
	for (; strnlen(flags, 3) == 3; flags += 3)
		parse_flag(flags + 1, mapping);
	/* nothing can be copied from it */
	if (!(mapping->access & PROT_READ))
		worse(mapping, ZCREQ_MEMORY_SPECIAL);
}

struct walk {
	int (*each)(const struct zcreq_mapping *mapping, void *arg);
	void *arg;
	struct zcreq_mapping mapping; /* that is being read */
	size_t len;                   /* of the line so far, the rest of it included */
	char line[LINE_BYTES];
};

/* A whole line was read; the flags are the last one of a mapping. */
static int line_ends(struct walk *walk)
{
	const char *line = walk->line;

	walk->line[walk->len < LINE_BYTES ? walk->len : LINE_BYTES - 1] = '\0';
	walk->len = 0;
	if (*line < 'A' || *line > 'Z')
		return parse_head(line, &walk->mapping);
	/* uncovered: a processor with protection keys, and a program that uses them */
	if (!strncmp(line, "ProtectionKey:", 14) && strtoul(line + 14, NULL, 10))
		worse(&walk->mapping, ZCREQ_MEMORY_SPECIAL); /* uncovered: the same */
	if (strncmp(line, "VmFlags:", 8))
		return 0;
	parse_flags(line + 8, &walk->mapping);
	return walk->each(&walk->mapping, walk->arg);
}

static int take(struct walk *walk, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n') {
			int ret = line_ends(walk);

			if (ret)
				return ret;
			continue;
		}
		if (walk->len < LINE_BYTES - 1)
			walk->line[walk->len] = bytes[i];
		walk->len++;
	}
	return 0;
}

static int walk_file(int fd, struct walk *walk)
{
	char bytes[4096];

	for (;;) {
		ssize_t got = read(fd, bytes, sizeof(bytes));
		int ret;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : 0;
		ret = take(walk, bytes, (size_t)got);
		if (ret)
			return ret;
	}
}

int zcreq_maps_walk(int (*each)(const struct zcreq_mapping *mapping, void *arg), void *arg)
{
	struct walk walk = {.each = each, .arg = arg};
	int saved = errno, fd, ret;

	fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
	} else {
		ret = walk_file(fd, &walk);
		close(fd);
	}
	errno = saved;
	return ret;
}
