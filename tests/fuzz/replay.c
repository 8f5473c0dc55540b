/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.c - a fuzz target's corpus, run by make check without a fuzzer
 *
 * Each input as it is; then with each of its first bytes changed, and cut before
 * it. The corpus is the folder REPLAY_CORPUS of the source tree, or the
 * files that are named: to repeat what scripts/fuzz has found.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "fuzz/fuzz.h"

static uint8_t bytes[1 << 17];

static void replay(const char *name)
{
	FILE *file = fopen(name, "rb");
	size_t i, len;

	if (!file) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		exit(1);
	}
	len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, len);
	for (i = 0; i < len && i < REPLAY_CHANGES; i++) {
		bytes[i] ^= 0x5a;
		LLVMFuzzerTestOneInput(bytes, len);
		bytes[i] ^= 0x5a;
		LLVMFuzzerTestOneInput(bytes, i);
	}
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int replay_corpus(void)
{
	const char *srcdir = getenv("srcdir");
	struct dirent **entries;
	char dir[4096], name[sizeof(dir) + 256];
	int i, count;

	snprintf(dir, sizeof(dir), "%s/" REPLAY_CORPUS, srcdir ? srcdir : ".");
	count = scandir(dir, &entries, is_input, alphasort);
	if (count <= 0) {
		fprintf(stderr, "%s: no corpus\n", dir);
		exit(1);
	}
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/%s", dir, entries[i]->d_name);
		replay(name);
		free(entries[i]);
	}
	free(entries);
	return count;
}

int main(int argc, char **argv)
{
	int i, count = argc - 1;

	for (i = 1; i < argc; i++)
		replay(argv[i]);
	if (!count)
		count = replay_corpus();
	printf("replayed %d inputs\n", count);
	return 0;
}
