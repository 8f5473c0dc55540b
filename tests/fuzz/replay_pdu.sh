#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The seed corpus through the NVMe/TCP reader: each input whole, changed and cut.
exec tests/fuzz/replay_pdu "${srcdir:-.}"/tests/fuzz/pdu-corpus/*
