/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * identify_tables.h - Identify data structures, byte by byte, as the specifications have them
 *
 * Of each field: where it is, how long, its name, and what has to be in it. What depends on
 * how the target was started is a claim, named by its place in struct claims. Numbers are in
 * decimal as in the specification's column "Bytes".
 */
#ifndef TESTS_NVME_IDENTIFY_TABLES_H
#define TESTS_NVME_IDENTIFY_TABLES_H

#include <stddef.h>
#include <stdint.h>

/** What a target with these options has to claim. */
struct claims {
	uint64_t queue_size, vwc, cmic;
	uint64_t cntlid, namespaces;
	uint64_t lbas, lba_shift, nsfeat, granularity;
	uint64_t dlfeat, quiesce_ms;
	uint64_t oaes, anacap, ana_groups;
};

enum kind {
	ZERO,
	NUMBER,
	CLAIM,         /**< a number; @value: its place in struct claims */
	PADDED,        /**< @text and blanks */
	SOME_TEXT,     /**< anything that can be printed, and blanks */
	ENDED,         /**< @text and zeroes; NULL is the subsystem's name */
};

struct field {
	uint16_t offset, bytes;
	const char *name;
	enum kind kind;
	uint64_t value;
	const char *text;
};

struct table {
	const struct field *fields;
	size_t count;
};

#define TABLE(of) { of, sizeof(of) / sizeof((of)[0]) }
#define OF(member) offsetof(struct claims, member)

/* The first 512 bytes of Identify Controller that no controller here says anything in. */
#define CONTROLLER_HEAD(cmic_kind, cmic_value, type) \
	{ 0, 2, "VID", ZERO, 0, NULL }, \
	{ 2, 2, "SSVID", ZERO, 0, NULL }, \
	{ 4, 20, "SN", SOME_TEXT, 0, NULL }, \
	{ 24, 40, "MN", PADDED, 0, "zcreq-nvmet" }, \
	{ 64, 8, "FR", SOME_TEXT, 0, NULL }, \
	{ 72, 1, "RAB", ZERO, 0, NULL }, \
	{ 73, 3, "IEEE", ZERO, 0, NULL }, \
	{ 76, 1, "CMIC", cmic_kind, cmic_value, NULL }, \
	{ 77, 1, "MDTS", NUMBER, 8, NULL }, \
	{ 78, 2, "CNTLID", CLAIM, OF(cntlid), NULL }, \
	{ 80, 4, "VER", NUMBER, 0x00010400, NULL }, \
	{ 84, 4, "RTD3R", ZERO, 0, NULL }, \
	{ 88, 4, "RTD3E", ZERO, 0, NULL }

static const struct field fields_controller[] = {
	CONTROLLER_HEAD(CLAIM, OF(cmic), 1),
	{ 92, 4, "OAES", CLAIM, OF(oaes), NULL },
	{ 96, 4, "CTRATT", NUMBER, 0x1, NULL }, /* host identifiers of 128 bits */
	{ 100, 2, "RRLS", ZERO, 0, NULL },
	{ 102, 9, "reserved", ZERO, 0, NULL },
	{ 111, 1, "CNTRLTYPE", NUMBER, 1, NULL },
	{ 112, 16, "FGUID", ZERO, 0, NULL },
	{ 128, 2, "CRDT1", ZERO, 0, NULL },
	{ 130, 2, "CRDT2", ZERO, 0, NULL },
	{ 132, 2, "CRDT3", ZERO, 0, NULL },
	{ 134, 106, "reserved (later CRCAP, CIU, CIRN)", ZERO, 0, NULL },
	{ 240, 13, "reserved for NVMe-MI", ZERO, 0, NULL },
	{ 253, 1, "NVMSR", ZERO, 0, NULL },
	{ 254, 1, "VWCI", ZERO, 0, NULL },
	{ 255, 1, "MEC", ZERO, 0, NULL },
	{ 256, 2, "OACS", ZERO, 0, NULL },
	{ 258, 1, "ACL", NUMBER, 3, NULL },
	{ 259, 1, "AERL", NUMBER, 3, NULL },
	{ 260, 1, "FRMW", NUMBER, 0x03, NULL }, /* one slot, read only */
	{ 261, 1, "LPA", NUMBER, 0x06, NULL },  /* effects; offsets and lengths of 32 bits */
	{ 262, 1, "ELPE", NUMBER, 15, NULL },
	{ 263, 1, "NPSS", ZERO, 0, NULL },
	{ 264, 1, "AVSCC", ZERO, 0, NULL },
	{ 265, 1, "APSTA", ZERO, 0, NULL },
	{ 266, 2, "WCTEMP", ZERO, 0, NULL },
	{ 268, 2, "CCTEMP", ZERO, 0, NULL },
	{ 270, 2, "MTFA", ZERO, 0, NULL },
	{ 272, 4, "HMPRE", ZERO, 0, NULL },
	{ 276, 4, "HMMIN", ZERO, 0, NULL },
	{ 280, 16, "TNVMCAP", ZERO, 0, NULL },
	{ 296, 16, "UNVMCAP", ZERO, 0, NULL },
	{ 312, 4, "RPMBS", ZERO, 0, NULL },
	{ 316, 2, "EDSTT", ZERO, 0, NULL },
	{ 318, 1, "DSTO", ZERO, 0, NULL },
	{ 319, 1, "FWUG", ZERO, 0, NULL },
	{ 320, 2, "KAS", NUMBER, 1, NULL },
	{ 322, 2, "HCTMA", ZERO, 0, NULL },
	{ 324, 2, "MNTMT", ZERO, 0, NULL },
	{ 326, 2, "MXTMT", ZERO, 0, NULL },
	{ 328, 4, "SANICAP", ZERO, 0, NULL },
	{ 332, 4, "HMMINDS", ZERO, 0, NULL },
	{ 336, 2, "HMMAXD", ZERO, 0, NULL },
	{ 338, 2, "NSETIDMAX", ZERO, 0, NULL },
	{ 340, 2, "ENDGIDMAX", ZERO, 0, NULL },
	{ 342, 1, "ANATT", CLAIM, OF(ana_groups), NULL },
	{ 343, 1, "ANACAP", CLAIM, OF(anacap), NULL },
	{ 344, 4, "ANAGRPMAX", CLAIM, OF(ana_groups), NULL },
	{ 348, 4, "NANAGRPID", CLAIM, OF(ana_groups), NULL },
	{ 352, 4, "PELS", ZERO, 0, NULL },
	{ 356, 2, "DID", ZERO, 0, NULL },
	{ 358, 1, "KPIOC", ZERO, 0, NULL },
	{ 359, 1, "reserved", ZERO, 0, NULL },
	{ 360, 2, "MPTFAWR", ZERO, 0, NULL },
	{ 362, 6, "reserved", ZERO, 0, NULL },
	{ 368, 16, "MEGCAP", ZERO, 0, NULL },
	{ 384, 1, "TMPTHHA", ZERO, 0, NULL },
	{ 385, 1, "reserved", ZERO, 0, NULL },
	{ 386, 2, "CQT", CLAIM, OF(quiesce_ms), NULL },
	{ 388, 124, "reserved", ZERO, 0, NULL },
	{ 512, 1, "SQES", NUMBER, 0x66, NULL },
	{ 513, 1, "CQES", NUMBER, 0x44, NULL },
	{ 514, 2, "MAXCMD", CLAIM, OF(queue_size), NULL },
	{ 516, 4, "NN", CLAIM, OF(namespaces), NULL },
	{ 520, 2, "ONCS", NUMBER, 0x000d, NULL }, /* Compare, Dataset Management, Write Zeroes */
	{ 522, 2, "FUSES", ZERO, 0, NULL },
	{ 524, 1, "FNA", ZERO, 0, NULL },
	{ 525, 1, "VWC", CLAIM, OF(vwc), NULL },
	{ 526, 2, "AWUN", ZERO, 0, NULL },
	{ 528, 2, "AWUPF", ZERO, 0, NULL },
	{ 530, 1, "ICSVSCC", ZERO, 0, NULL },
	{ 531, 1, "NWPC", ZERO, 0, NULL },
	{ 532, 2, "ACWU", ZERO, 0, NULL },
	{ 534, 2, "CDFS", ZERO, 0, NULL },
	{ 536, 4, "SGLS", NUMBER, 0x00100001, NULL }, /* any alignment; an address may be an offset */
	{ 540, 4, "MNAN", CLAIM, OF(namespaces), NULL },
	{ 544, 16, "MAXDNA", ZERO, 0, NULL },
	{ 560, 4, "MAXCNA", ZERO, 0, NULL },
	{ 564, 4, "OAQD", ZERO, 0, NULL },
	{ 568, 1, "RHIRI", ZERO, 0, NULL },
	{ 569, 1, "HIRT", ZERO, 0, NULL },
	{ 570, 2, "CMMRTD", ZERO, 0, NULL },
	{ 572, 2, "NMMRTD", ZERO, 0, NULL },
	{ 574, 1, "MINMRTG", ZERO, 0, NULL },
	{ 575, 1, "MAXMRTG", ZERO, 0, NULL },
	{ 576, 1, "TRATTR", ZERO, 0, NULL },
	{ 577, 1, "reserved", ZERO, 0, NULL },
	{ 578, 2, "MCUDMQ", ZERO, 0, NULL },
	{ 580, 2, "MNSUDMQ", ZERO, 0, NULL },
	{ 582, 2, "MCMR", ZERO, 0, NULL },
	{ 584, 2, "NMCMR", ZERO, 0, NULL },
	{ 586, 2, "MCDQPC", ZERO, 0, NULL },
	{ 588, 180, "reserved", ZERO, 0, NULL },
	{ 768, 256, "SUBNQN", ENDED, 0, NULL },
	{ 1024, 768, "reserved", ZERO, 0, NULL },
	{ 1792, 4, "IOCCSZ", NUMBER, (64 + 8192) / 16, NULL },
	{ 1796, 4, "IORCSZ", NUMBER, 1, NULL },
	{ 1800, 2, "ICDOFF", ZERO, 0, NULL },
	{ 1802, 1, "FCATT", ZERO, 0, NULL },
	{ 1803, 1, "MSDBD", NUMBER, 1, NULL },
	{ 1804, 2, "OFCS", NUMBER, 1, NULL }, /* Disconnect */
	{ 1806, 1, "DCTYPE", ZERO, 0, NULL },
	{ 1807, 241, "reserved", ZERO, 0, NULL },
	{ 2048, 32, "PSD0", ZERO, 0, NULL },
	{ 2080, 992, "PSD1 to PSD31", ZERO, 0, NULL },
	{ 3072, 1024, "vendor specific", ZERO, 0, NULL },
};

/* Most fields are reserved or may be left out there. */
static const struct field fields_discovery[] = {
	CONTROLLER_HEAD(ZERO, 0, 2),
	{ 92, 4, "OAES", ZERO, 0, NULL },
	{ 96, 4, "CTRATT", NUMBER, 0x1, NULL },
	{ 100, 2, "RRLS", ZERO, 0, NULL },
	{ 102, 9, "reserved", ZERO, 0, NULL },
	{ 111, 1, "CNTRLTYPE", NUMBER, 2, NULL },
	{ 112, 16, "FGUID", ZERO, 0, NULL },
	{ 128, 6, "CRDT1 to CRDT3", ZERO, 0, NULL },
	{ 134, 106, "reserved", ZERO, 0, NULL },
	{ 240, 16, "NVMe-MI", ZERO, 0, NULL },
	{ 256, 2, "OACS", ZERO, 0, NULL },
	{ 258, 1, "ACL", ZERO, 0, NULL },
	{ 259, 1, "AERL", NUMBER, 3, NULL },
	{ 260, 1, "FRMW", ZERO, 0, NULL },
	{ 261, 1, "LPA", NUMBER, 0x04, NULL },
	{ 262, 1, "ELPE", NUMBER, 15, NULL },
	{ 263, 57, "NPSS to FWUG", ZERO, 0, NULL },
	{ 320, 2, "KAS", NUMBER, 1, NULL },
	{ 322, 64, "HCTMA to 385", ZERO, 0, NULL },
	{ 386, 2, "CQT", CLAIM, OF(quiesce_ms), NULL },
	{ 388, 124, "reserved", ZERO, 0, NULL },
	{ 512, 1, "SQES", ZERO, 0, NULL },
	{ 513, 1, "CQES", ZERO, 0, NULL },
	{ 514, 2, "MAXCMD", CLAIM, OF(queue_size), NULL },
	{ 516, 4, "NN", ZERO, 0, NULL },
	{ 520, 16, "ONCS to CDFS", ZERO, 0, NULL },
	{ 536, 4, "SGLS", NUMBER, 0x00100001, NULL },
	{ 540, 228, "MNAN to 767", ZERO, 0, NULL },
	{ 768, 256, "SUBNQN", ENDED, 0, "nqn.2014-08.org.nvmexpress.discovery" },
	{ 1024, 768, "reserved", ZERO, 0, NULL },
	{ 1792, 256, "Fabrics", ZERO, 0, NULL },
	{ 2048, 1024, "PSD0 to PSD31", ZERO, 0, NULL },
	{ 3072, 1024, "vendor specific", ZERO, 0, NULL },
};

static const struct field fields_namespace[] = {
	{ 0, 8, "NSZE", CLAIM, OF(lbas), NULL },
	{ 8, 8, "NCAP", CLAIM, OF(lbas), NULL },
	{ 16, 8, "NUSE", CLAIM, OF(lbas), NULL },
	{ 24, 1, "NSFEAT", CLAIM, OF(nsfeat), NULL }, /* 0x10: what NPWG to NOWS say */
	{ 25, 1, "NLBAF", ZERO, 0, NULL },
	{ 26, 1, "FLBAS", ZERO, 0, NULL },
	{ 27, 1, "MC", ZERO, 0, NULL },
	{ 28, 1, "DPC", ZERO, 0, NULL },
	{ 29, 1, "DPS", ZERO, 0, NULL },
	{ 30, 1, "NMIC", NUMBER, 1, NULL },
	{ 31, 1, "RESCAP", ZERO, 0, NULL },
	{ 32, 1, "FPI", ZERO, 0, NULL },
	{ 33, 1, "DLFEAT", CLAIM, OF(dlfeat), NULL },
	{ 34, 2, "NAWUN", ZERO, 0, NULL },
	{ 36, 2, "NAWUPF", ZERO, 0, NULL },
	{ 38, 2, "NACWU", ZERO, 0, NULL },
	{ 40, 2, "NABSN", ZERO, 0, NULL },
	{ 42, 2, "NABO", ZERO, 0, NULL },
	{ 44, 2, "NABSPF", ZERO, 0, NULL },
	{ 46, 2, "NOIOB", ZERO, 0, NULL },
	{ 48, 16, "NVMCAP", ZERO, 0, NULL },
	{ 64, 2, "NPWG", CLAIM, OF(granularity), NULL },
	{ 66, 2, "NPWA", CLAIM, OF(granularity), NULL },
	{ 68, 2, "NPDG", CLAIM, OF(granularity), NULL },
	{ 70, 2, "NPDA", CLAIM, OF(granularity), NULL },
	{ 72, 2, "NOWS", CLAIM, OF(granularity), NULL },
	{ 74, 2, "MSSRL", ZERO, 0, NULL },
	{ 76, 4, "MCL", ZERO, 0, NULL },
	{ 80, 1, "MSRC", ZERO, 0, NULL },
	{ 81, 1, "KPIOS", ZERO, 0, NULL },
	{ 82, 1, "NULBAF", ZERO, 0, NULL },
	{ 83, 1, "reserved", ZERO, 0, NULL },
	{ 84, 4, "KPIODAAG", ZERO, 0, NULL },
	{ 88, 4, "reserved", ZERO, 0, NULL },
	{ 92, 4, "ANAGRPID", CLAIM, OF(ana_groups), NULL },
	{ 96, 3, "reserved", ZERO, 0, NULL },
	{ 99, 1, "NSATTR", ZERO, 0, NULL },
	{ 100, 2, "NVMSETID", ZERO, 0, NULL },
	{ 102, 2, "ENDGID", ZERO, 0, NULL },
	{ 104, 16, "NGUID", ZERO, 0, NULL },
	{ 120, 8, "EUI64", ZERO, 0, NULL },
	{ 128, 2, "LBAF0.MS", ZERO, 0, NULL },
	{ 130, 1, "LBAF0.LBADS", CLAIM, OF(lba_shift), NULL },
	{ 131, 1, "LBAF0.RP", ZERO, 0, NULL },
	{ 132, 252, "LBAF1 to LBAF63", ZERO, 0, NULL },
	{ 384, 3712, "vendor specific", ZERO, 0, NULL },
};

static const struct field fields_nvm_namespace[] = {
	{ 0, 8, "LBSTM", ZERO, 0, NULL },
	{ 8, 1, "PIC", ZERO, 0, NULL },
	{ 9, 1, "PIFA", ZERO, 0, NULL },
	{ 10, 2, "reserved", ZERO, 0, NULL },
	{ 12, 256, "ELBAF0 to ELBAF63", ZERO, 0, NULL },
	{ 268, 3828, "reserved", ZERO, 0, NULL },
};

static const struct field fields_nvm_controller[] = {
	{ 0, 1, "VSL", ZERO, 0, NULL },
	{ 1, 1, "WZSL", NUMBER, 8, NULL },
	{ 2, 1, "WUSL", ZERO, 0, NULL },
	{ 3, 1, "DMRL", NUMBER, 64, NULL },
	{ 4, 4, "DMRSL", NUMBER, 1 << 20, NULL },
	{ 8, 8, "DMSL", NUMBER, 64 << 20, NULL },
	{ 16, 4080, "reserved", ZERO, 0, NULL },
};

static const struct field fields_any_namespace[] = {
	{ 0, 1, "NSFEAT", ZERO, 0, NULL },
	{ 1, 1, "NMIC", NUMBER, 1, NULL },
	{ 2, 1, "RESCAP", ZERO, 0, NULL },
	{ 3, 1, "FPI", ZERO, 0, NULL },
	{ 4, 4, "ANAGRPID", CLAIM, OF(ana_groups), NULL },
	{ 8, 1, "NSATTR", ZERO, 0, NULL },
	{ 9, 1, "reserved", ZERO, 0, NULL },
	{ 10, 2, "NVMSETID", ZERO, 0, NULL },
	{ 12, 2, "ENDGID", ZERO, 0, NULL },
	{ 14, 1, "NSTAT", NUMBER, 1, NULL },
	{ 15, 4081, "reserved", ZERO, 0, NULL },
};

static const struct field fields_command_sets[] = {
	{ 0, 8, "combination 0", NUMBER, 1, NULL }, /* the NVM Command Set */
	{ 8, 4088, "combinations 1 to 511", ZERO, 0, NULL },
};

static const struct table table_controller = TABLE(fields_controller);
static const struct table table_discovery = TABLE(fields_discovery);
static const struct table table_namespace = TABLE(fields_namespace);
static const struct table table_nvm_namespace = TABLE(fields_nvm_namespace);
static const struct table table_nvm_controller = TABLE(fields_nvm_controller);
static const struct table table_any_namespace = TABLE(fields_any_namespace);
static const struct table table_command_sets = TABLE(fields_command_sets);

#endif
