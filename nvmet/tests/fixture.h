/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fixture.h - what every test of the target begins and ends with
 *
 * A target of its own for each test, on a free port of loopback or in network
 * namespaces with two hosts, with two NVMe namespaces in memory; at the end it must stop in order and, with a sanitizer,
 * without a complaint.
 */
#ifndef TESTS_NVME_FIXTURE_H
#define TESTS_NVME_FIXTURE_H

#include <check.h>

#include "controller.h"
#include "hosts.h"
#include "load.h"
#include "stamp.h"
#include "nvmet.h"

#define STALL_MS 1000
#define STALL_TEXT "1000"

extern struct target fixture_target;

extern struct hosts fixture_hosts;

/** A checked fixture: start and stop fixture_target, on loopback. */
void fixture_start(void);
void fixture_stop(void);

/** The same in a namespace of its own, with two hosts whose links can be cut. */
void fixture_start_hosts(void);
void fixture_stop_hosts(void);

/** Says why and exits with 77 where such namespaces cannot be made. */
void fixture_need_hosts(void);

/** A controller that has to come up. */
struct ini_controller *fixture_connect(unsigned host, int io_queues, uint16_t depth);
struct ini_controller *fixture_connect_host(const struct ini_host *host);

/** @host as host @number of fixture_hosts, over that one's link. */
struct ini_controller *fixture_connect_from(int number, struct ini_host host);

/** Polls the queue until it ends, at most @ms. False when it did not. */
bool fixture_wait_end(struct ini_queue *queue, int ms);

/** Bytes of a block of namespace 1. */
uint32_t fixture_block_size(struct ini_controller *controller);

/** One block of namespace 1 can be read: this host is served. */
void fixture_serves(struct ini_controller *controller);

/** Bytes that the queue sends next, and if asked for a digest of them. */
void fixture_put(struct ini_queue *queue, const void *bytes, size_t len, bool digest);
/** A Write of @bytes to namespace 1, of which the target has to ask for the data. */
void fixture_put_write(struct ini_queue *queue, uint16_t cid, uint64_t slba, uint32_t blocks,
		       uint32_t bytes);
/** What the target sends next, past the queue, which would answer it. */
void fixture_read(struct ini_queue *queue, void *to, size_t len);
/** Sends a Write of @bytes to namespace 1 without its data; the R2T that comes. */
void fixture_post_write(struct ini_queue *queue, uint32_t bytes, uint32_t block_size,
			struct wire_data *r2t);

/** A stamped region of @bytes at the start of a namespace, written once. */
void fixture_stamps(struct stamps *stamps, struct ini_controller *controller, uint32_t nsid,
		    uint64_t bytes);

/** Runs the suite; the exit status of main. */
int fixture_run(Suite *suite);

/** A number from the environment, for the long versions of tests. */
int fixture_number(const char *name, int otherwise);

#endif
