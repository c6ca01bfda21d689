#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# On arm64 the ring's store barrier is an atomic that returns a value; one without a result orders nothing.
# arm64_barrier.sh SOURCE CLANG: compiles bpf/syscall.bpf.c for arm64 and looks for it.
set -eu
object=$(mktemp)
trap 'rm -f "$object"' EXIT
"$2" -target bpf -mcpu=v3 -O2 -g -D__TARGET_ARCH_arm64 -I"$1" -I"$1/bpf/include" -idirafter "/usr/include/$(uname -m)-linux-gnu" \
    -c "$1/bpf/syscall.bpf.c" -o "$object"
found=$(llvm-objdump -d "$object" | grep -c 'atomic_fetch_[a-z]*((u64 \*)(r[0-9]* + 8)') || true
[ "$found" -ge 2 ] || { echo "the barrier of bpf/include/ring.h is not in the program: $found found"; exit 1; }
