/* SPDX-License-Identifier: Apache-2.0 */
/* The small static program that the fork benchmark runs: no C library, one system call. */
void _start(void);
void _start(void) {
#if defined(__x86_64__)
    __asm__ volatile("mov $231, %eax\n xor %edi, %edi\n syscall"); /* exit_group(0) */
#else
    __asm__ volatile("mov x8, #94\n mov x0, #0\n svc #0");
#endif
    for (;;) {
    }
}
