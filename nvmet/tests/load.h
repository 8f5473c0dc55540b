/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * load.h - a good host at work: stamped reads and writes at a constant depth
 *
 * The bystander of every test: while another host misbehaves, all its commands
 * have to succeed, all it reads has to be right, and its slowest command is noted.
 */
#ifndef TESTS_NVME_LOAD_H
#define TESTS_NVME_LOAD_H

#include "controller.h"
#include "stamp.h"

enum load_mode {
	LOAD_READ,
	LOAD_WRITE,
	LOAD_MIXED,
};

struct load_slot;

struct load {
	struct ini_controller *controller;
	struct stamps *stamps;
	enum load_mode mode;
	uint32_t blocks;      /**< of one command */
	uint32_t slot_count;
	struct load_slot *slots;
	uint64_t random;
	uint64_t beat_ns;     /**< when the next keep-alive is due */
	bool stopping;
	uint64_t done, errors, wrong, foreign, slowest_ns;
	uint64_t slowest_own_ns;  /**< without what its threads, by the witness, had to wait */
	uint64_t waited_ns, waited_at_ns; /**< what the witness said last, and when */
};

/** Writes every block of @stamps once, on I/O queue 1. False on any error. */
bool load_fill(struct ini_controller *controller, struct stamps *stamps);

/** Puts @depth commands of @blocks blocks on every I/O queue. */
void load_start(struct load *load, struct ini_controller *controller, struct stamps *stamps,
		enum load_mode mode, uint32_t blocks, uint32_t depth);

/** Keeps it going for @ms, sending keep-alives; the host of @also (or NULL) too. */
void load_run(struct load *load, struct load *also, int ms);

/** Frees it without waiting for anything: its host is gone. */
void load_discard(struct load *load);

/** Lets what is in flight finish and frees it. False, said on stderr, if anything was wrong. */
bool load_stop(struct load *load, const char *name);

#endif
