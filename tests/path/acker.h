/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acker.h - what the program in the kernel, the responder and the test share
 *
 * One element of an array map that all three have mapped. The test writes the knobs, the
 * program in the kernel what it has seen of each flow, the responder what it has offered.
 */
#ifndef ZCREQ_TESTS_ACKER_H
#define ZCREQ_TESTS_ACKER_H

#include <linux/types.h>

#define ACKER_PORT 9999      /* what is sent there is answered; all else passes */
#define ACKER_FLOWS 32       /* a flow is told by its source port */
#define ACKER_FIRST_PORT 10000
#define ACKER_SCALE 10       /* of the window */
#define ACKER_RECYCLED 0xee  /* LOAD_RECYCLED: no byte of the stream has it */

struct acker_knobs {
	__u32 delay_us;   /* between a packet and its acknowledgement */
	__u32 lose_every; /* this many packets of new data, one is lost; 0: none */
	__u32 silent;     /* what comes is looked at, and never was there */
	__u32 window;     /* bytes for which there is room; 0: closed */
	__u32 reset;      /* answers with an RST, once */
	__u32 look_every; /* this many bytes of the stream, one is compared; 0: none */
};

struct acker_flow {
	__u32 first;      /* sequence number of the stream's first byte */
	__u32 ack;        /* what is acknowledged: all before that was taken */
	__u32 seq;        /* of what is sent to them */
	__u32 edge;       /* up to where there is room, as it was offered */
	__u32 held_from, held_to; /* taken already, behind a loss; equal: nothing */
	__u32 sent_to;    /* where new data begins */
	__u32 saddr, daddr;
	__u16 sport, dport;
	__u8 smac[6], dmac[6];
	__u8 begun, ended; /* SYN, FIN seen */
	__u16 unused;
	__u64 answered;   /* packets that ask for an answer, so far */
	__u64 packets, bytes; /* with data, resent ones included */
	__u64 fresh, lost;    /* packets of new data; of those, lost */
	__u64 looked, foreign, wrong; /* bytes compared; recycled ones; other wrong ones */
};

struct acker {
	struct acker_knobs knobs;
	struct acker_flow flows[ACKER_FLOWS];
};

#endif
