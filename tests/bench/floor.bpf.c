// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The floor of the benchmark: programs that do nothing, attached where flightrec attaches. What they cost, any recorder
 * of system calls costs. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_enter")
int floor_enter(void* ctx) {
    (void)ctx;
    return 0;
}

SEC("tp_btf/sys_exit")
int floor_exit(void* ctx) {
    (void)ctx;
    return 0;
}
