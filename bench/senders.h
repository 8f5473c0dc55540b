/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * senders.h - the loops that bench/raw compares
 *
 * Each sends buffers of @size bytes on the loopback connection @fd until @end_ns, at
 * most WINDOW of them in flight, takes back what is in flight, and returns the bytes.
 */
#ifndef BENCH_SENDERS_H
#define BENCH_SENDERS_H

#include <stddef.h>
#include <stdint.h>

#define WINDOW 64

extern char *buffers; /* WINDOW of the largest size */

void die(const char *what);
void check(int ret);

/* senders_hand.c */
uint64_t run_send(int fd, size_t size, uint64_t end_ns);
uint64_t run_zerocopy(int fd, size_t size, uint64_t end_ns);

/* senders_zcreq.c */
uint64_t run_always(int fd, size_t size, uint64_t end_ns);
uint64_t run_auto(int fd, size_t size, uint64_t end_ns);
uint64_t run_traced(int fd, size_t size, uint64_t end_ns);

/* senders_ring.c, where liburing is there */
uint64_t run_ring_by_hand(int fd, size_t size, uint64_t end_ns);
uint64_t run_uring(int fd, size_t size, uint64_t end_ns);

#endif
