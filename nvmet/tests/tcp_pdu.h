/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * tcp_pdu.h - NVMe/TCP as the tests read and write it
 *
 * libnvme's headers have the NVMe structures, but neither the PDUs of the TCP
 * transport nor the 64-byte command and 16-byte completion; these are here, from
 * the NVMe/TCP transport specification 1.0c. On purpose not shared with the
 * target: one misreading in a common header would pass every test.
 *
 * Little-endian machines only, as the target's test machines are.
 */
#ifndef TESTS_NVME_TCP_PDU_H
#define TESTS_NVME_TCP_PDU_H

#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the tests' initiator is written for little-endian machines"
#endif

enum wire_type {
	WIRE_ICREQ = 0x00,
	WIRE_ICRESP = 0x01,
	WIRE_H2C_TERM = 0x02,
	WIRE_C2H_TERM = 0x03,
	WIRE_COMMAND = 0x04,
	WIRE_RESPONSE = 0x05,
	WIRE_H2C_DATA = 0x06,
	WIRE_C2H_DATA = 0x07,
	WIRE_R2T = 0x09,
};

enum wire_flag {
	WIRE_HDGST = 1 << 0,
	WIRE_DDGST = 1 << 1,
	WIRE_LAST = 1 << 2,
	WIRE_SUCCESS = 1 << 3,
};

/** Fatal error status of a TermReq. */
enum wire_fatal {
	WIRE_FATAL_FIELD = 1,
	WIRE_FATAL_SEQUENCE = 2,
	WIRE_FATAL_HDGST = 3,
	WIRE_FATAL_RANGE = 4,
	WIRE_FATAL_LIMIT = 5, /**< H2C: reserved; C2H: R2T limit exceeded */
	WIRE_FATAL_PARAMETER = 6,
};

struct wire_common {
	uint8_t type, flags, hlen, pdo;
	uint32_t plen;
} __attribute__((packed));

struct wire_ic { /* ICReq and ICResp: dgst and maxdata differ in meaning only */
	struct wire_common common;
	uint16_t pfv;
	uint8_t pda, dgst;
	uint32_t maxdata; /* ICReq: MAXR2T, 0 means one; ICResp: MAXH2CDATA */
	uint8_t reserved[112];
} __attribute__((packed));

struct wire_sgl {
	uint64_t addr;
	uint32_t len;
	uint8_t reserved[3], type;
} __attribute__((packed));

enum {
	WIRE_SGL_IN_CAPSULE = 0x01,
	WIRE_SGL_TRANSPORT = 0x5a,
};

struct wire_sqe {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid; /* fabrics: the first byte is the type */
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	struct wire_sgl sgl;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
} __attribute__((packed));

struct wire_command {
	struct wire_common common;
	struct wire_sqe sqe;
} __attribute__((packed));

struct wire_cqe {
	uint64_t result;
	uint16_t sqhd, sqid, cid, status; /* status: phase bit, then code and type */
} __attribute__((packed));

struct wire_response {
	struct wire_common common;
	struct wire_cqe cqe;
} __attribute__((packed));

struct wire_data { /* H2CData, C2HData and R2T */
	struct wire_common common;
	uint16_t cid, ttag;
	uint32_t offset, len;
	uint32_t reserved;
} __attribute__((packed));

struct wire_term {
	struct wire_common common;
	uint16_t fes;
	uint32_t fei;
	uint8_t reserved[10];
} __attribute__((packed));

_Static_assert(sizeof(struct wire_ic) == 128, "ICReq");
_Static_assert(sizeof(struct wire_command) == 72, "CapsuleCmd");
_Static_assert(sizeof(struct wire_response) == 24, "CapsuleResp");
_Static_assert(sizeof(struct wire_data) == 24, "H2CData, C2HData, R2T");
_Static_assert(sizeof(struct wire_term) == 24, "TermReq");

#endif
