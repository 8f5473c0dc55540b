/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_identify.c - each byte of what the target says of itself, in its place
 *
 * Properties and Identify data are read as raw bytes and judged by tables of offset, width
 * and name, written from the NVM Express Base Specification (1.4, with the names of what later
 * revisions put into bytes that were reserved) and the NVM Command Set Specification. Nothing
 * of libnvme is used here, whose macros and structures the target is built with: what is wrong
 * there is wrong in the target only. A table leaves no byte out.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "identify_tables.h"

#define PAGE 4096u
#define DISCOVERY "nqn.2014-08.org.nvmexpress.discovery"
#define NAMESPACES 2u

/* Targets that are started: nothing said, and as much said as there is to say. */
static const struct variant {
	const char *arguments[24];
	bool file; /* the first namespace is one */
	uint64_t bytes[NAMESPACES];
	struct claims claims;
} variants[] = {
	{ { "--listen", "127.0.0.1:0", "--namespace", "mem:64M", "--namespace", "mem:16M" }, false,
	  { 64u << 20, 16u << 20 },
	  { .queue_size = 256, .vwc = 6, .cmic = 2, .dlfeat = 9, .quiesce_ms = 100 } },
	{ { "--listen", "127.0.0.1:0", "--queue-size", "64", "--io-queues", "3", "--quiesce-ms", "250",
	    "--ana", "non-optimized", "--block", "512", "--namespace", "FILE", "--namespace", "mem:16M" }, true,
	  { 8u << 20, 16u << 20 },
	  { .queue_size = 64, .vwc = 7, .cmic = 0xa, .dlfeat = 9, .quiesce_ms = 250,
	    .oaes = 0x800, .anacap = 0x42, .ana_groups = 1, .lba_shift = 9, .nsfeat = 0x10,
	    .granularity = 7 } },
};

#define VARIANTS ((int)(sizeof(variants) / sizeof(variants[0])))

static const struct variant *variant;
static char path[32];

/* --- reading ------------------------------------------------------------------ */

static int fabrics_get(struct ini_queue *admin, uint32_t offset, uint32_t attributes, uint64_t *value)
{
	struct wire_sqe sqe = { .opcode = 0x7f, .nsid = 0x04, .cdw10 = attributes, .cdw11 = offset };
	struct wire_cqe cqe = { 0 };
	int status = ini_wait(admin, &sqe, NULL, 0, false, 0, &cqe, INI_WAIT_MS);

	*value = cqe.result;
	return status;
}

static int identify(struct ini_controller *controller, uint32_t cns, uint32_t nsid, uint8_t *page)
{
	struct wire_sqe sqe = { .opcode = 0x06, .nsid = nsid, .cdw10 = cns };

	memset(page, 0xa5, PAGE);
	return ini_wait(controller->queues[0], &sqe, page, PAGE, false, 0, NULL, INI_WAIT_MS);
}

static struct ini_controller *connect_to(const char *nqn)
{
	struct ini_host host = target_host(&fixture_target, 1, 0, 32);

	host.nqn = nqn;
	return fixture_connect_host(&host);
}

static void start(int which)
{
	const char *arguments[24];
	char spec[64];

	variant = &variants[which];
	memcpy(arguments, variant->arguments, sizeof(arguments));
	if (variant->file) {
		strcpy(path, "check_identify.XXXXXX");
		close(mkstemp(path));
		snprintf(spec, sizeof(spec), "file:%s:%" PRIu64, path, variant->bytes[0]);
		for (int i = 0; i < 24 && arguments[i]; i++)
			if (!strcmp(arguments[i], "FILE"))
				arguments[i] = spec;
	}
	ck_assert(target_start(&fixture_target, -1, arguments));
}

static void stop(void)
{
	if (variant->file)
		unlink(path);
	fixture_stop();
}

/* --- judging ------------------------------------------------------------------ */

static uint64_t number_at(const uint8_t *bytes, size_t len)
{
	uint64_t value = 0;

	while (len--)
		value = value << 8 | bytes[len];
	return value;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	while (len--)
		if (*bytes++)
			return false;
	return true;
}

/* The text, then nothing but @filler. */
static bool is_text(const uint8_t *bytes, size_t len, const char *text, uint8_t filler)
{
	size_t text_len = strlen(text);

	if (text_len > len || memcmp(bytes, text, text_len))
		return false;
	for (size_t i = text_len; i < len; i++)
		if (bytes[i] != filler)
			return false;
	return true;
}

/* Something that can be printed, and blanks behind it. */
static bool is_some_text(const uint8_t *bytes, size_t len)
{
	size_t i = 0;

	while (i < len && bytes[i] > ' ' && bytes[i] < 0x7f)
		i++;
	return i && is_text(bytes + i, len - i, "", ' ');
}

static bool holds(const struct field *field, const uint8_t *bytes, const struct claims *claims)
{
	switch (field->kind) {
	case ZERO:
		return all_zero(bytes, field->bytes);
	case NUMBER:
		return number_at(bytes, field->bytes) == field->value;
	case CLAIM:
		return number_at(bytes, field->bytes) ==
		       *(const uint64_t *)((const char *)claims + field->value);
	case PADDED:
		return is_text(bytes, field->bytes, field->text, ' ');
	case SOME_TEXT:
		return is_some_text(bytes, field->bytes);
	case ENDED:
		return is_text(bytes, field->bytes, field->text ? field->text : TARGET_NQN, 0);
	}
	return false;
}

static void print_wrong(const char *what, const struct field *field, const uint8_t *bytes)
{
	printf("%s: bytes %u to %u, %s:", what, field->offset, field->offset + field->bytes - 1u,
	       field->name);
	for (unsigned i = 0; i < field->bytes && i < 32; i++)
		printf(" %02x", bytes[i]);
	printf("\n");
}

static void judge(const char *what, const struct table *table, const uint8_t *page,
		  const struct claims *claims)
{
	unsigned next = 0, wrong = 0;

	for (size_t i = 0; i < table->count; i++) {
		const struct field *field = &table->fields[i];

		ck_assert_msg(field->offset == next, "%s: the table has %s at %u, and %u is next", what,
			      field->name, field->offset, next);
		next += field->bytes;
		if (!holds(field, page + field->offset, claims)) {
			print_wrong(what, field, page + field->offset);
			wrong++;
		}
	}
	ck_assert_uint_eq(next, PAGE);
	ck_assert_msg(!wrong, "%s: %u fields are wrong", what, wrong);
}

/* --- properties ---------------------------------------------------------------- */

struct bits {
	const char *name;
	unsigned first, count;
	uint64_t io, discovery;
};

/* The bits from @from on are all of them. */
static void judge_bits(const char *what, const struct bits *bits, size_t count, unsigned width,
		       uint64_t value, bool discovery)
{
	unsigned next = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t is = value >> bits[i].first & ((UINT64_C(1) << bits[i].count) - 1);
		uint64_t has_to = discovery ? bits[i].discovery : bits[i].io;

		ck_assert_uint_eq(bits[i].first, next);
		next += bits[i].count;
		ck_assert_msg(is == has_to, "%s.%s is 0x%" PRIx64 " instead of 0x%" PRIx64, what,
			      bits[i].name, is, has_to);
	}
	ck_assert_uint_eq(next, width);
}

#define JUDGE_BITS(what, bits, width, value, discovery) \
	judge_bits(what, bits, sizeof(bits) / sizeof((bits)[0]), width, value, discovery)

static void capabilities(struct ini_queue *admin, bool discovery)
{
	const struct bits bits[] = {
		{ "MQES", 0, 16, variant->claims.queue_size - 1, variant->claims.queue_size - 1 },
		{ "CQR", 16, 1, 1, 1 },
		{ "AMS", 17, 2, 0, 0 },
		{ "reserved", 19, 5, 0, 0 },
		{ "TO", 24, 8, 10, 10 },
		{ "DSTRD", 32, 4, 0, 0 },
		{ "NSSRS", 36, 1, 0, 0 },
		{ "CSS", 37, 8, 0x41, 0x01 },
		{ "BPS", 45, 1, 0, 0 },
		{ "CPS", 46, 2, 0, 0 },
		{ "MPSMIN", 48, 4, 0, 0 },
		{ "MPSMAX", 52, 4, 0, 0 },
		{ "PMRS", 56, 1, 0, 0 },
		{ "CMBS", 57, 1, 0, 0 },
		{ "NSSS", 58, 1, 0, 0 },
		{ "CRMS", 59, 2, 0, 0 },
		{ "NSSES", 61, 1, 0, 0 },
		{ "reserved", 62, 2, 0, 0 },
	};
	uint64_t value;

	ck_assert_int_eq(fabrics_get(admin, 0x00, 1, &value), 0);
	JUDGE_BITS("CAP", bits, 64, value, discovery);
}

static void version(struct ini_queue *admin)
{
	static const struct bits bits[] = {
		{ "TER", 0, 8, 0, 0 }, { "MNR", 8, 8, 4, 4 }, { "MJR", 16, 16, 1, 1 },
	};
	uint64_t value;

	ck_assert_int_eq(fabrics_get(admin, 0x08, 0, &value), 0);
	JUDGE_BITS("VS", bits, 32, value, false);
	ck_assert_uint_eq(value >> 32, 0);
}

static void configuration(struct ini_queue *admin, unsigned enabled, unsigned shutdown)
{
	const struct bits bits[] = {
		{ "EN", 0, 1, enabled, 0 },     { "reserved", 1, 3, 0, 0 }, { "CSS", 4, 3, 0, 0 },
		{ "MPS", 7, 4, 0, 0 },          { "AMS", 11, 3, 0, 0 },	    { "SHN", 14, 2, shutdown, 0 },
		{ "IOSQES", 16, 4, enabled ? 6 : 0, 0 }, { "IOCQES", 20, 4, enabled ? 4 : 0, 0 },
		{ "CRIME", 24, 1, 0, 0 },       { "reserved", 25, 7, 0, 0 },
	};
	uint64_t value;

	ck_assert_int_eq(fabrics_get(admin, 0x14, 0, &value), 0);
	JUDGE_BITS("CC", bits, 32, value, false);
	ck_assert_uint_eq(value >> 32, 0);
}

static void state(struct ini_queue *admin, unsigned ready, unsigned shutdown)
{
	const struct bits bits[] = {
		{ "RDY", 0, 1, ready, 0 },   { "CFS", 1, 1, 0, 0 }, { "SHST", 2, 2, shutdown, 0 },
		{ "NSSRO", 4, 1, 0, 0 },     { "PP", 5, 1, 0, 0 },  { "ST", 6, 1, 0, 0 },
		{ "reserved", 7, 25, 0, 0 },
	};
	uint64_t value;

	ck_assert_int_eq(fabrics_get(admin, 0x1c, 0, &value), 0);
	JUDGE_BITS("CSTS", bits, 32, value, false);
	ck_assert_uint_eq(value >> 32, 0);
}

/* Before it is enabled, after, and when it has been shut down. */
START_TEST(properties_have_each_field_in_its_place)
{
	struct ini_host host;
	struct ini_queue *admin;
	uint16_t id;

	start(_i / 2);
	host = target_host(&fixture_target, 1, 0, 32);
	if (_i % 2)
		host.nqn = DISCOVERY;
	admin = ini_open(&host.options, 0, 32, INI_WAIT_MS);
	ck_assert_int_eq(ini_connect(admin, &host, INI_ANY_CONTROLLER, &id), 0);
	capabilities(admin, _i % 2);
	version(admin);
	configuration(admin, 0, 0);
	state(admin, 0, 0);
	ck_assert_int_eq(ini_property_set(admin, 0x14, 0x460001), 0);
	configuration(admin, 1, 0);
	state(admin, 1, 0);
	capabilities(admin, _i % 2);
	ck_assert_int_eq(ini_property_set(admin, 0x14, 0x464001), 0);
	configuration(admin, 1, 1);
	state(admin, 1, 2);
	ini_close(admin, false);
	stop();
}
END_TEST

/* Every offset but those of CAP, VS, CC and CSTS, and these in the wrong width. */
START_TEST(there_are_four_properties_and_no_more)
{
	struct ini_controller *controller;
	uint64_t value;

	start(0);
	controller = connect_to(TARGET_NQN);
	for (uint32_t offset = 0; offset < 0x100; offset += 4) {
		bool wide = offset == 0x00, narrow = offset == 0x08 || offset == 0x14 || offset == 0x1c;

		for (uint32_t attributes = 0; attributes < 2; attributes++)
			ck_assert_msg((fabrics_get(controller->queues[0], offset, attributes, &value) == 0) ==
				      (attributes ? wide : narrow), "offset 0x%x, width %u", offset,
				      4u << attributes);
	}
	ini_controller_close(controller, false);
	stop();
}
END_TEST

/* --- Identify ------------------------------------------------------------------ */

static struct claims claims_of_controller(const struct ini_controller *controller)
{
	struct claims claims = variant->claims;

	claims.cntlid = controller->id;
	claims.namespaces = NAMESPACES;
	return claims;
}

/* A file reads as zeroes where something was deallocated if its file system makes holes. */
static bool makes_holes(void)
{
	int fd = open(path, O_RDWR);
	bool makes = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 30, PAGE) == 0;

	close(fd);
	return makes;
}

static struct claims claims_of_namespace(uint32_t nsid)
{
	struct claims claims = variant->claims;

	if (variant->file && nsid == 1 && !makes_holes())
		claims.dlfeat = 8;
	claims.lba_shift = claims.lba_shift ? claims.lba_shift : 12;
	claims.lbas = variant->bytes[nsid - 1] >> claims.lba_shift;
	return claims;
}

START_TEST(identify_has_each_field_in_its_place)
{
	static uint8_t page[PAGE];
	struct ini_controller *controller;
	struct claims claims;

	start(_i);
	controller = connect_to(TARGET_NQN);
	claims = claims_of_controller(controller);
	ck_assert_int_eq(identify(controller, 0x01, 0, page), 0);
	judge("controller", &table_controller, page, &claims);
	ck_assert_int_eq(identify(controller, 0x06, 0, page), 0);
	judge("controller, NVM", &table_nvm_controller, page, &claims);
	ck_assert_int_eq(identify(controller, 0x1c | 0xffffu << 16, 0, page), 0);
	judge("command sets", &table_command_sets, page, &claims);
	for (uint32_t nsid = 1; nsid <= NAMESPACES; nsid++) {
		claims = claims_of_namespace(nsid);
		ck_assert_int_eq(identify(controller, 0x00, nsid, page), 0);
		judge("namespace", &table_namespace, page, &claims);
		ck_assert_int_eq(identify(controller, 0x05, nsid, page), 0);
		judge("namespace, NVM", &table_nvm_namespace, page, &claims);
		ck_assert_int_eq(identify(controller, 0x08, nsid, page), 0);
		judge("namespace, any command set", &table_any_namespace, page, &claims);
	}
	ini_controller_close(controller, false);
	stop();
}
END_TEST

START_TEST(identify_of_discovery_has_each_field_in_its_place)
{
	static uint8_t page[PAGE];
	struct ini_controller *controller;
	struct claims claims;

	start(_i);
	controller = connect_to(DISCOVERY);
	claims = claims_of_controller(controller);
	ck_assert_int_eq(identify(controller, 0x01, 0, page), 0);
	judge("discovery controller", &table_discovery, page, &claims);
	ini_controller_close(controller, false);
	stop();
}
END_TEST

/* Identifiers above @after, in order, and zeroes behind them. */
static void judge_list(const uint8_t *page, uint32_t after)
{
	unsigned at = 0;

	for (uint32_t nsid = after + 1; nsid <= NAMESPACES; nsid++, at += 4)
		ck_assert_uint_eq(number_at(page + at, 4), nsid);
	ck_assert(all_zero(page + at, PAGE - at));
}

START_TEST(active_namespaces_are_a_list_and_zeroes)
{
	static uint8_t page[PAGE];
	struct ini_controller *controller;

	start(0);
	controller = connect_to(TARGET_NQN);
	for (uint32_t after = 0; after <= NAMESPACES; after++) {
		ck_assert_int_eq(identify(controller, 0x02, after, page), 0);
		judge_list(page, after);
		ck_assert_int_eq(identify(controller, 0x07, after, page), 0);
		judge_list(page, after);
	}
	ini_controller_close(controller, false);
	stop();
}
END_TEST

/* A UUID (type 3, 16 bytes), then the command set (type 4, one byte), then the end. */
START_TEST(descriptors_of_a_namespace_follow_each_other)
{
	static uint8_t page[PAGE], other[PAGE];
	struct ini_controller *controller;
	const uint8_t *uuid = page + 4;

	start(_i);
	controller = connect_to(TARGET_NQN);
	for (uint32_t nsid = 1; nsid <= NAMESPACES; nsid++) {
		ck_assert_int_eq(identify(controller, 0x03, nsid, page), 0);
		ck_assert_uint_eq(number_at(page, 4), 0x1003);
		ck_assert_uint_eq(uuid[6] >> 4, 8);
		ck_assert_uint_eq(uuid[8] >> 6, 2);
		ck_assert_uint_eq(number_at(page + 20, 4), 0x0104);
		ck_assert_uint_eq(page[24], 0);
		ck_assert(all_zero(page + 25, PAGE - 25));
		ck_assert_int_ne(memcmp(page, other, 20), 0);
		memcpy(other, page, PAGE);
	}
	ini_controller_close(controller, false);
	stop();
}
END_TEST

/* Those that the tables above are about, and nothing else. */
START_TEST(what_can_be_identified_is_what_is_judged_here)
{
	static const uint8_t of_io[] = { 0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x1c };
	static uint8_t page[PAGE];
	struct ini_controller *controller;

	start(0);
	controller = connect_to(_i ? DISCOVERY : TARGET_NQN);
	for (uint32_t cns = 0; cns < 256; cns++) {
		bool known = _i ? cns == 0x01 : memchr(of_io, (int)cns, sizeof(of_io)) != NULL;
		uint32_t nsid = cns == 0x02 || cns == 0x07 ? 0 : 1;
		int status = identify(controller, cns | 0xffffu << 16, nsid, page);

		ck_assert_msg(known == (status == 0), "CNS 0x%x: status 0x%x", cns, (unsigned)status);
		if (!known)
			ck_assert_int_eq(status, 0x02);
	}
	ini_controller_close(controller, false);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme identify");
	TCase *tcase = tcase_create("identify");

	target_need();
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, properties_have_each_field_in_its_place, 0, 2 * VARIANTS);
	tcase_add_test(tcase, there_are_four_properties_and_no_more);
	tcase_add_loop_test(tcase, identify_has_each_field_in_its_place, 0, VARIANTS);
	tcase_add_loop_test(tcase, identify_of_discovery_has_each_field_in_its_place, 0, VARIANTS);
	tcase_add_test(tcase, active_namespaces_are_a_list_and_zeroes);
	tcase_add_loop_test(tcase, descriptors_of_a_namespace_follow_each_other, 0, VARIANTS);
	tcase_add_loop_test(tcase, what_can_be_identified_is_what_is_judged_here, 0, 2);
	suite_add_tcase(suite, tcase);
	return fixture_run(suite);
}
