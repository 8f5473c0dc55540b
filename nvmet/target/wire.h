/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire.h - the bytes of NVMe/TCP that libnvme's headers do not describe
 *
 * Owns: the layout of PDU headers, submission and completion entries, and SGL
 * descriptors, as they are on the wire (little endian, naturally aligned, no
 * padding), and the numbers that go into them. Everything that a command moves
 * as data (Identify, log pages, Connect data) comes from <nvme/types.h>.
 *
 * Never: code beyond an accessor. Built so that a parser can lay these structs
 * over received bytes; the static assertions keep the layout honest.
 */
#ifndef NVMET_WIRE_H
#define NVMET_WIRE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>

#include <nvme/types.h>

enum pdu_type {
	PDU_IC_REQ = 0x0,
	PDU_IC_RESP = 0x1,
	PDU_H2C_TERM = 0x2,
	PDU_C2H_TERM = 0x3,
	PDU_CAPSULE_CMD = 0x4,
	PDU_CAPSULE_RESP = 0x5,
	PDU_H2C_DATA = 0x6,
	PDU_C2H_DATA = 0x7,
	PDU_R2T = 0x9,
};

enum pdu_flags {
	PDU_F_HDGST = 1 << 0,
	PDU_F_DDGST = 1 << 1,
	PDU_F_LAST = 1 << 2,
	PDU_F_SUCCESS = 1 << 3,
};

/* Fatal error status of a TermReq. Its information is a byte offset for
 * FIELD and UNSUPPORTED, the digest that was received for HDGST, else 0. */
enum pdu_fes {
	FES_FIELD = 1,
	FES_SEQUENCE = 2,
	FES_HDGST = 3,
	FES_RANGE = 4,
	FES_LIMIT = 5,
	FES_UNSUPPORTED = 6,
};

#define PDU_DIGEST_LEN 4
#define PDU_TERM_MAX 152 /* with at most 128 bytes of the header in error */
#define PDU_IC_DGST_HEADER 0x1
#define PDU_IC_DGST_DATA 0x2

struct pdu_common {
	uint8_t type;
	uint8_t flags;
	uint8_t hlen;
	uint8_t pdo;
	uint32_t plen;
};

struct wire_sgl {
	uint64_t addr;
	uint32_t len;
	uint8_t rsvd[3];
	uint8_t type;
};

#define SGL_IN_CAPSULE 0x01 /* data block, offset */
#define SGL_TRANSPORT 0x5a  /* transport data block, transport specific */

/* Submission queue entry. A Fabrics command has its type in nsid's first byte. */
struct wire_sqe {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2;
	uint32_t cdw3;
	uint64_t mptr;
	struct wire_sgl sgl;
	uint32_t cdw10;
	uint32_t cdw11;
	uint32_t cdw12;
	uint32_t cdw13;
	uint32_t cdw14;
	uint32_t cdw15;
};

#define SQE_FUSE_MASK 0x03
#define SQE_PSDT_MASK 0xc0
#define SQE_PSDT_SGL 0x40

struct wire_cqe {
	uint64_t result;
	uint16_t sqhd;
	uint16_t sqid;
	uint16_t cid;
	uint16_t status; /* shifted left by one: bit 0 is the phase, unused here */
};

struct pdu_ic_req {
	struct pdu_common common;
	uint16_t pfv;
	uint8_t hpda;
	uint8_t dgst;
	uint32_t maxr2t;
	uint8_t rsvd[112];
};

struct pdu_ic_resp {
	struct pdu_common common;
	uint16_t pfv;
	uint8_t cpda;
	uint8_t dgst;
	uint32_t maxh2cdata;
	uint8_t rsvd[112];
};

/* The FEI is not aligned; two halves keep the struct free of padding. */
struct pdu_term {
	struct pdu_common common;
	uint16_t fes;
	uint16_t fei_low;
	uint16_t fei_high;
	uint8_t rsvd[10];
};

struct pdu_capsule_cmd {
	struct pdu_common common;
	struct wire_sqe sqe;
};

struct pdu_capsule_resp {
	struct pdu_common common;
	struct wire_cqe cqe;
};

/* R2T, H2CData and C2HData differ in the meaning of two fields only: C2HData
 * has no tag, and an R2T's range is what it asks for. */
struct pdu_data {
	struct pdu_common common;
	uint16_t cccid;
	uint16_t ttag;
	uint32_t offset;
	uint32_t length;
	uint32_t rsvd;
};

_Static_assert(sizeof(struct pdu_common) == 8, "common header");
_Static_assert(sizeof(struct wire_sqe) == 64, "submission queue entry");
_Static_assert(sizeof(struct wire_cqe) == 16, "completion queue entry");
_Static_assert(sizeof(struct pdu_ic_req) == 128, "ICReq");
_Static_assert(sizeof(struct pdu_ic_resp) == 128, "ICResp");
_Static_assert(sizeof(struct pdu_term) == 24, "TermReq");
_Static_assert(sizeof(struct pdu_capsule_cmd) == 72, "CapsuleCmd");
_Static_assert(sizeof(struct pdu_capsule_resp) == 24, "CapsuleResp");
_Static_assert(sizeof(struct pdu_data) == 24, "R2T and data");

/* Status codes of libnvme with their type, as a completion carries them. */
#define STATUS_SPECIFIC(code) (0x100 | (code))
#define STATUS_MEDIA(code) (0x200 | (code))
#define STATUS_PATH(code) (0x300 | (code))
#define STATUS_DNR(code) (NVME_SC_DNR | (code))

/* Which way a command's data goes: the low bits of its opcode or Fabrics type. */
#define DIRECTION_MASK 0x3
#define DIRECTION_TO_CONTROLLER 0x1
#define DIRECTION_TO_HOST 0x2

#endif
