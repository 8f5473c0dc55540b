/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * initiator.h - one NVMe/TCP queue, seen from the host, for tests
 *
 * No threads and no hidden waiting: commands are queued, and ini_poll() moves
 * bytes and runs the completions. What the target sends is checked PDU by PDU;
 * the first thing that is not right ends the queue with a reason in words.
 *
 * What no good host does is done in one of three ways: a fault rewrites or cuts
 * the outgoing stream at one byte, ini_raw() sends anything at all, and not
 * calling ini_poll() is a host that froze.
 */
#ifndef TESTS_NVME_INITIATOR_H
#define TESTS_NVME_INITIATOR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcp_pdu.h"

#define INI_MAX_DEPTH 1024
#define INI_ANY_CONTROLLER 0xffff

struct ini_queue;
struct ini_command;

typedef void ini_done(struct ini_queue *queue, struct ini_command *command, void *arg);

/** A command in flight; its index is its identifier. */
struct ini_command {
	bool busy;
	bool data_done;       /**< the last C2HData has come */
	struct wire_sqe sqe;
	void *data;
	uint32_t len;         /**< of the data, in the one direction that it has */
	uint32_t received;    /**< bytes of C2HData so far */
	uint64_t start_ns;
	struct wire_cqe cqe;  /**< valid in the completion */
	ini_done *done;
	void *arg;
	uint64_t tag;         /**< the caller's */
};

/** What goes wrong with the outgoing stream, and where. */
enum ini_fault_kind {
	INI_FAULT_NONE,
	INI_FAULT_XOR,   /**< the byte at @offset is changed by @mask */
	INI_FAULT_CUT,   /**< nothing is sent from @offset on, then the end of stream */
};

struct ini_fault {
	enum ini_fault_kind kind;
	uint64_t offset;
	uint8_t mask;
};

/** How a queue is connected. */
struct ini_options {
	struct sockaddr_storage address;
	bool hdgst, ddgst;
	int receive_buffer;          /**< SO_RCVBUF; 0 leaves it alone */
	const char *congestion;      /**< TCP_CONGESTION; NULL leaves it alone */
	struct ini_fault fault;
};

/** Data of a command, borrowed until it is done. */
struct ini_piece {
	size_t at; /**< in @out, whose bytes from there on come after it */
	const uint8_t *bytes;
	size_t len;
};

enum ini_receive_state {
	INI_HEADER,
	INI_DATA,
	INI_DIGEST,
};

#define INI_BUFFER 262144
#define INI_REASON 160

struct ini_queue {
	int fd;
	uint16_t id, depth, controller;
	bool hdgst, ddgst;
	bool ready;              /**< ICResp has come */
	bool ended;              /**< no more from this queue: see @reason */
	bool closed_by_target;   /**< it ended by a reset, or an end of stream between PDUs */
	char reason[INI_REASON];
	uint16_t fatal;          /**< status of a C2HTermReq, or 0 */
	uint32_t fatal_info;
	uint32_t maxh2cdata;
	uint32_t in_flight;
	struct ini_command *commands;
	uint16_t *free_ids;
	uint16_t free_count;

	struct ini_fault fault;
	uint64_t sent_total;     /**< bytes that the kernel took */
	uint8_t *out;
	size_t out_begin, out_end, out_size;
	struct ini_piece *pieces; /**< data that is sent from where it is, in order */
	size_t piece_begin, piece_end, piece_size;

	enum ini_receive_state receive;
	union {
		struct wire_common common;
		struct wire_ic ic;
		struct wire_data data;
		struct wire_response response;
		struct wire_term term;
		uint8_t bytes[160];
	} header;
	uint32_t header_len;     /**< bytes of it so far */
	uint8_t *data;           /**< where the rest of a C2HData goes */
	uint32_t data_left, data_crc;
	uint8_t digest[4];
	uint32_t digest_len;
	uint8_t *in;
	size_t in_begin, in_end;
	uint64_t received_total;
};

/** Nanoseconds of CLOCK_MONOTONIC. */
uint64_t ini_now_ns(void);

/** Parses "ADDRESS:PORT" or "[ADDRESS]:PORT". */
bool ini_parse_address(const char *text, struct sockaddr_storage *address);

/**
 * ini_open() - connect a socket and exchange ICReq and ICResp
 * @timeout_ms:  for the socket and the ICResp together
 *
 * Always returns a queue; when it did not come up, @ended is set and @reason says
 * why. No Fabrics Connect yet: see controller.h.
 */
struct ini_queue *ini_open(const struct ini_options *options, uint16_t id, uint16_t depth,
			   int timeout_ms);

/** The same without the ICReq: a bare socket, for what the tests put on it. */
struct ini_queue *ini_open_bare(const struct ini_options *options, uint16_t id, uint16_t depth,
				int timeout_ms);

/** Closes the socket, orderly or, with @reset, by an RST; completes nothing. */
void ini_close(struct ini_queue *queue, bool reset);

/**
 * ini_submit() - queue one command
 * @sqe:   identifier and SGL are filled in here
 * @data:  sent or received; borrowed until done
 *
 * Data to the controller goes into the capsule up to 8 KiB on the admin queue (the
 * specification's fixed figure) and @in_capsule bytes elsewhere, else by R2T.
 * Returns NULL when every identifier is in use or the queue has ended.
 */
struct ini_command *ini_submit(struct ini_queue *queue, const struct wire_sqe *sqe, void *data,
			       uint32_t len, bool to_controller, uint32_t in_capsule,
			       ini_done *done, void *arg);

/** Puts @len bytes into the outgoing stream as they are. */
void ini_raw(struct ini_queue *queue, const void *bytes, size_t len);

/** The bytes of an ICReq as ini_open() sends it. */
void ini_make_icreq(struct wire_ic *icreq, bool hdgst, bool ddgst);

/** Sends what the socket takes now. */
void ini_flush(struct ini_queue *queue);

/** Reads and handles what has come, without waiting. */
void ini_receive(struct ini_queue *queue);

/** Bytes of data that have come for a command, also of a PDU that is not whole. */
uint32_t ini_received(const struct ini_queue *queue, const struct ini_command *command);

/**
 * ini_poll() - wait for any of @count queues, then move bytes in both directions
 *
 * Returns how many queues had something to do; 0 when the time is over or every
 * queue has ended. NULLs among @queues are skipped.
 */
int ini_poll(struct ini_queue *const *queues, int count, int timeout_ms);

/** Ends the queue from this side, with a reason. The socket stays open. */
void ini_end(struct ini_queue *queue, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Status type and code of a completion, without phase, retry and more bits. */
static inline uint16_t ini_status(const struct wire_cqe *cqe)
{
	return cqe->status >> 1 & 0x7ff;
}

#endif
