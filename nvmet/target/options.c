/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - the command line, and the same from a file
 *
 * Owns: defaults, limits, and the help text. Never: acts on an option.
 *
 * Numbers are one table: a name, a place, a range and a sentence. What the help
 * says of a default is read from the same place as the default.
 */
#include "options.h"
#include "subsystem.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct number {
	const char *name;
	size_t place;
	uint32_t least, most, multiple, normal;
	const char *help;
} numbers[] = {
#define PLACE(field) offsetof(struct options, field)
	{ "threshold", PLACE(threshold_bytes), 1, 1u << 30, 1, 16384,
	  "bytes from which a batch is sent without copying, in mode auto" },
	{ "stall-ms", PLACE(stall_ms), 0, 3600000, 1, 2000,
	  "abort a host that has vanished, after this long without progress; 0 never" },
	{ "not-reading-ms", PLACE(not_reading_ms), 0, 3600000, 1, 0,
	  "abort a host that answers but does not read for this long; 0 never" },
	{ "linger-ms", PLACE(linger_ms), 1, 3600000, 1, 5000,
	  "after an abort, how long to wait for the kernel to let go" },
	{ "detach-ms", PLACE(detach_ms), 0, 3600000, 1, 0,
	  "after an abort, when to leave what the kernel has not let go of to it and put other\n"
	  "                           pages there; 0 never. Less than --linger-ms" },
	{ "drain-ms", PLACE(drain_ms), 1, 3600000, 1, 2000,
	  "at a signal, how long to wait for answers to be taken" },
	{ "quiesce-ms", PLACE(quiesce_ms), 1, 65535, 1, 100,
	  "what hosts are told (CQT) of how long after a loss one of their commands may act;\n"
	  "                           more for a disk that may keep a write for longer" },
	{ "queue-size", PLACE(queue_size), 32, QUEUE_SIZE_MAX, 1, 256,
	  "entries in a queue, at most" },
	{ "io-queues", PLACE(io_queues), 1, IO_QUEUES_MAX, 1, 16,
	  "I/O queues of a controller, at most" },
	{ "threads", PLACE(threads), 1, THREADS_MAX, 1, 1,
	  "each with a loop of its own; connections go to them in turn" },
	{ "max-connections", PLACE(connections_max), 1, 60000, 1, 1024,
	  "connections of all hosts; a further one takes the place of one that has not\n"
	  "                           connected a queue, or is closed" },
	{ "host-controllers", PLACE(host_ctrls_max), 1, 60000, 1, 32,
	  "controllers of one host, by its NQN; further ones are refused" },
	{ "handshake-ms", PLACE(handshake_ms), 1, 3600000, 1, 10000,
	  "a connection is closed that has not connected a queue by then" },
	{ "cap", PLACE(cap_bytes), BLOCK_BYTES, 1u << 30, 1, 8u << 20,
	  "bytes that one connection may have queued and in flight before its commands\n"
	  "                           are left unread; and of writes that it was asked for" },
	{ "send-buffer", PLACE(send_buffer), 0, 1u << 30, 1, 0,
	  "bytes of each socket's send buffer; 0 leaves it to the kernel" },
	{ "c2h-data-max", PLACE(c2h_data_max), BLOCK_BYTES, TRANSFER_MAX, BLOCK_BYTES, 256u << 10,
	  "bytes of data in one C2HData PDU" },
	{ "h2c-data-max", PLACE(h2c_data_max), BLOCK_BYTES, TRANSFER_MAX, BLOCK_BYTES, 128u << 10,
	  "bytes of data in one H2CData PDU (MAXH2CDATA)" },
};

#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static uint32_t *place_of(struct options *options, const struct number *number)
{
	return (uint32_t *)(void *)((char *)options + number->place);
}

static void help(void)
{
	size_t i;

	printf("Usage: zcreq-nvmet [OPTION]...\n"
	       "An NVMe/TCP target whose reads leave without being copied.\n\n"
	       "  --config FILE            options from a file, one in a line: NAME = VALUE, or NAME\n"
	       "                           where there is no value; # begins a comment\n"
	       "  --listen ADDR:PORT       where hosts connect; may be repeated; [ADDR]:PORT for\n"
	       "                           IPv6 (127.0.0.1:4420)\n"
	       "  --namespace mem:SIZE     a namespace in memory, or in a file; may be repeated,\n"
	       "              file:PATH    file:PATH:SIZE makes the file (mem:1G); memory is in huge\n"
	       "                           pages where the system has them for who asks, see\n"
	       "                           /sys/kernel/mm/transparent_hugepage/enabled\n"
	       "  --namespaces FILE        the same from a file, one in a line; before a namespace may\n"
	       "                           stand uuid=UUID and nguid=NGUID, and lines that begin\n"
	       "                           with # are comments\n"
	       "  --block BYTES            512 or 4096: the logical block of every namespace (4096);\n"
	       "                           Writes of less than 4096 bytes cost a copy of the rest\n"
	       "  --nqn NQN                the subsystem's name\n"
	       "                           (nqn.2025-01.org.zcreq:nvmet)\n"
	       "  --allow-host NQN         a host that may connect, and is told of the subsystem in\n"
	       "                           discovery; may be repeated (all hosts)\n"
	       "  --ana STATE              tell hosts of this way to the namespaces that it is\n"
	       "                           optimized, non-optimized or inaccessible (tell nothing)\n"
	       "  --sender SENDER          socket, uring, or auto: a ring if there is one (socket)\n"
	       "  --mode MODE              auto, always or never without copying (auto)\n"
	       "  --no-digests             refuse header and data digests\n"
	       "  --congestion NAME        TCP's congestion control, of this end (the system's)\n"
	       "  --stats-page FILE        keep statistics in it, a page for each thread: see zcreq-top(1);\n"
	       "                           it is replaced at the start, and stays at the end (none)\n"
	       "  --poll                   never sleep: each thread takes a core of its own\n");
	for (i = 0; i < NUMBERS; i++)
		printf("  --%-22s %s (%" PRIu32 ")\n", numbers[i].name, numbers[i].help,
		       numbers[i].normal);
	printf("  --help, --version\n");
}

static int bad(const char *what, const char *value, const char *why)
{
	fprintf(stderr, "zcreq-nvmet: --%s %s: %s\n", what, value, why);
	return -EINVAL;
}

static int set_number(struct options *options, const struct number *number, const char *value)
{
	uint64_t parsed;
	char why[96];

	if (store_parse_size(value, &parsed) == 0 && parsed >= number->least &&
	    parsed <= number->most && parsed % number->multiple == 0) {
		*place_of(options, number) = (uint32_t)parsed;
		return 0;
	}
	snprintf(why, sizeof(why), "not a number from %" PRIu32 " to %" PRIu32 "%s", number->least,
		 number->most, number->multiple > 1 ? ", in steps of 4096" : "");
	return bad(number->name, value, why);
}

/* Its place among @words, or -EINVAL after saying that it has none. */
static int choose(const char *what, const char *value, const char *const *words, int count,
		  const char *why)
{
	int i;

	for (i = 0; i < count; i++)
		if (words[i] && !strcmp(value, words[i]))
			return i;
	return bad(what, value, why);
}

#define CHOOSE(what, value, words, why) \
	choose(what, value, words, sizeof(words) / sizeof((words)[0]), why)

static int set_sender(struct options *options, const char *value)
{
	static const char *const senders[] = {
		[SENDER_SOCKET] = "socket",
		[SENDER_URING] = "uring",
		[SENDER_AUTO] = "auto",
	};
	int sender = CHOOSE("sender", value, senders, "not socket, uring or auto");

	if (sender >= 0)
		options->sender = (enum sender_kind)sender;
	return sender < 0 ? sender : 0;
}

static int set_mode(struct options *options, const char *value)
{
	static const char *const modes[] = {
		[ZCREQ_MODE_AUTO] = "auto",
		[ZCREQ_MODE_ALWAYS] = "always",
		[ZCREQ_MODE_NEVER] = "never",
	};
	int mode = CHOOSE("mode", value, modes, "not auto, always or never");

	if (mode >= 0)
		options->mode = (enum zcreq_mode)mode;
	return mode < 0 ? mode : 0;
}

static int set_access(struct options *options, const char *value)
{
	static const char *const states[] = {
		[ACCESS_OPTIMIZED] = "optimized",
		[ACCESS_NON_OPTIMIZED] = "non-optimized",
		[ACCESS_INACCESSIBLE] = "inaccessible",
	};
	int state = CHOOSE("ana", value, states, "not optimized, non-optimized or inaccessible");

	if (state >= 0)
		options->access = (enum access)state;
	return state < 0 ? state : 0;
}

static int set_block(struct options *options, const char *value)
{
	static const char *const sizes[] = { [LBA_SHIFT_SMALL] = "512", [BLOCK_SHIFT] = "4096" };
	int shift = CHOOSE("block", value, sizes, "not 512 or 4096");

	if (shift >= 0)
		options->lba_shift = (uint8_t)shift;
	return shift < 0 ? shift : 0;
}

/* A name is printed and compared as it is: no blanks, nothing invisible. */
static int check_nqn(const char *what, const char *value)
{
	if (strncmp(value, "nqn.", 4) || strlen(value) > NQN_MAX || strpbrk(value, " \t\n"))
		return bad(what, value, "a name starts with nqn., has at most 223 bytes, no blanks");
	return 0;
}

static int set_nqn(struct options *options, const char *value)
{
	options->nqn = value;
	return check_nqn("nqn", value);
}

static int add(const char **list, unsigned *count, unsigned most, const char *what,
	       const char *value)
{
	if (*count == most)
		return bad(what, value, "too many of them");
	list[(*count)++] = value;
	return 0;
}

static int add_namespace(struct options *options, const char *value)
{
	if (options->namespace_count == NAMESPACES_MAX)
		return bad("namespace", value, "too many of them");
	options->namespaces[options->namespace_count++] = (struct namespace_option){ .spec = value };
	return 0;
}

static int allow_host(struct options *options, const char *value)
{
	int err = check_nqn("allow-host", value);

	return err ? err : add(options->allowed, &options->allowed_count, ALLOWED_MAX, "allow-host",
			       value);
}

enum word {
	WORD_LISTEN = 1000, WORD_NAMESPACE, WORD_NAMESPACES, WORD_BLOCK, WORD_NQN, WORD_ALLOW_HOST,
	WORD_ANA, WORD_SENDER, WORD_MODE, WORD_NO_DIGESTS, WORD_CONGESTION, WORD_STATS_PAGE, WORD_POLL,
	WORD_CONFIG, WORD_HELP, WORD_VERSION,
};

/* 1 if the program has said what it was asked to and may end. */
static int set(struct options *options, int word, const char *value)
{
	switch (word) {
	case WORD_LISTEN:
		return add(options->listen, &options->listens, LISTENERS_MAX, "listen", value);
	case WORD_NAMESPACE:
		return add_namespace(options, value);
	case WORD_NAMESPACES:
		return namespaces_read(options, value);
	case WORD_BLOCK:
		return set_block(options, value);
	case WORD_NQN:
		return set_nqn(options, value);
	case WORD_ALLOW_HOST:
		return allow_host(options, value);
	case WORD_ANA:
		return set_access(options, value);
	case WORD_SENDER:
		return set_sender(options, value);
	case WORD_MODE:
		return set_mode(options, value);
	case WORD_NO_DIGESTS:
		options->digests_refused = true;
		return 0;
	case WORD_CONGESTION:
		options->congestion = value;
		return 0;
	case WORD_STATS_PAGE:
		options->stats_page = value;
		return 0;
	case WORD_POLL:
		options->poll = true;
		return 0;
	case WORD_CONFIG:
		return config_read(options, value);
	case WORD_HELP:
		help();
		return 1;
	case WORD_VERSION:
		printf("zcreq-nvmet %s (library %s)\n", ZCREQ_VERSION, zcreq_version());
		return 1;
	default:
		if (word < 0 || (size_t)word >= NUMBERS)
			return -EINVAL; /* getopt_long() has said why */
		return set_number(options, &numbers[word], value);
	}
}

static const struct option words[] = {
	{ "listen", required_argument, NULL, WORD_LISTEN },
	{ "namespace", required_argument, NULL, WORD_NAMESPACE },
	{ "namespaces", required_argument, NULL, WORD_NAMESPACES },
	{ "block", required_argument, NULL, WORD_BLOCK },
	{ "nqn", required_argument, NULL, WORD_NQN },
	{ "allow-host", required_argument, NULL, WORD_ALLOW_HOST },
	{ "ana", required_argument, NULL, WORD_ANA },
	{ "sender", required_argument, NULL, WORD_SENDER },
	{ "mode", required_argument, NULL, WORD_MODE },
	{ "no-digests", no_argument, NULL, WORD_NO_DIGESTS },
	{ "congestion", required_argument, NULL, WORD_CONGESTION },
	{ "stats-page", required_argument, NULL, WORD_STATS_PAGE },
	{ "poll", no_argument, NULL, WORD_POLL },
	{ "config", required_argument, NULL, WORD_CONFIG },
	{ "help", no_argument, NULL, WORD_HELP },
	{ "version", no_argument, NULL, WORD_VERSION },
};

#define WORDS (sizeof(words) / sizeof(words[0]))

/* What only a command line can say is no option of a file. */
static const struct option *find_word(const char *name)
{
	size_t i;

	for (i = 0; i < WORDS; i++)
		if (!strcmp(name, words[i].name) && words[i].val < WORD_CONFIG)
			return &words[i];
	return NULL;
}

static int find_number(const char *name)
{
	size_t i;

	for (i = 0; i < NUMBERS; i++)
		if (!strcmp(name, numbers[i].name))
			return (int)i;
	return -EINVAL;
}

int options_set(struct options *options, const char *name, const char *value)
{
	const struct option *word = find_word(name);
	bool valued = !word || word->has_arg == required_argument;
	int which = word ? word->val : find_number(name);

	if (which < 0)
		return bad(name, value ? value : "", "no option of a file: --help lists them");
	if (valued && (!value || !*value))
		return bad(name, "", "has no value");
	if (!valued && value)
		return bad(name, value, "takes no value");
	return set(options, which, value);
}

static int check(const struct options *options)
{
	if (options->detach_ms >= options->linger_ms) {
		fprintf(stderr, "zcreq-nvmet: --detach-ms has to be less than --linger-ms\n");
		return -EINVAL;
	}
	if (options->detach_ms && options->threads > 1 &&
	    (size_t)sysconf(_SC_PAGESIZE) > BLOCK_BYTES) {
		fprintf(stderr, "zcreq-nvmet: --detach-ms needs pages of %u bytes with --threads: "
			"blocks of two threads share one here\n", BLOCK_BYTES);
		return -EINVAL;
	}
	if (options->not_reading_ms && !options->stall_ms) {
		fprintf(stderr, "zcreq-nvmet: --not-reading-ms needs --stall-ms\n");
		return -EINVAL;
	}
	return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
	struct option all[WORDS + NUMBERS + 1];
	int word, ret = 0;
	size_t i;

	memset(options, 0, sizeof(*options));
	memset(all, 0, sizeof(all));
	memcpy(all, words, sizeof(words));
	for (i = 0; i < NUMBERS; i++) {
		all[WORDS + i] = (struct option){ numbers[i].name, required_argument, NULL, (int)i };
		*place_of(options, &numbers[i]) = numbers[i].normal;
	}
	options->nqn = "nqn.2025-01.org.zcreq:nvmet";
	options->lba_shift = BLOCK_SHIFT;
	while (ret == 0 && (word = getopt_long(argc, argv, "", all, NULL)) != -1)
		ret = set(options, word, optarg);
	if (ret)
		return ret;
	if (optind < argc) {
		fprintf(stderr, "zcreq-nvmet: %s: options only\n", argv[optind]);
		return -EINVAL;
	}
	if (!options->listens)
		options->listen[options->listens++] = "127.0.0.1:4420";
	if (!options->namespace_count)
		add_namespace(options, "mem:1G");
	return check(options);
}

void options_free(struct options *options)
{
	free(options->namespaces_text);
	free(options->config_text);
}
