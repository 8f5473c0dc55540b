/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * alloc_fault.h - an allocator that fails on order and counts what is not freed
 *
 * Every block carries a header, so that a free of something else, a second free
 * and a leak are all counted rather than guessed. A freed block is filled with
 * 0xdd before it goes to free(3), so that stale reads show in builds without a
 * sanitizer.
 */
#ifndef ZCREQ_ALLOC_FAULT_H
#define ZCREQ_ALLOC_FAULT_H

#include <stddef.h>
#include <stdint.h>

#include <zcreq/context.h>

/**
 * struct alloc_fault - the allocator's state; the caller's, zeroed by _init
 * @allocator:   hand its address to zcreq_context_options
 * @fail_at:     the call that fails, counted from 1 at _init or _arm; 0 is none
 * @fail_times:  how many from there on
 * @calls:       calls so far; what to sweep @fail_at over
 * @failed:      calls that were made to fail
 * @live_blocks: allocated and not freed: leaks, at the end
 * @live_bytes:  the same in bytes
 * @peak_bytes:  the most there ever was
 * @bad_frees:   frees of what is not a live block
 */
struct alloc_fault {
	struct zcreq_allocator allocator;
	uint64_t fail_at;
	uint64_t fail_times;
	uint64_t calls;
	uint64_t failed;
	uint64_t live_blocks;
	uint64_t live_bytes;
	uint64_t peak_bytes;
	uint64_t bad_frees;
};

void alloc_fault_init(struct alloc_fault *fault);

/** The @nth allocation from now fails (1 is the next), and @times in all; 0 disarms. */
void alloc_fault_arm(struct alloc_fault *fault, uint64_t nth, uint64_t times);

#endif
