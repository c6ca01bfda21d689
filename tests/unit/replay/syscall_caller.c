/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes any system calls, with any arguments, and lets none of them happen: a seccomp filter answers each. Run under
 * strace it shows how strace writes a call; syscall_differential.py compares that with our own text.
 *
 *   syscall_caller CALLS MEMORY
 *
 * CALLS: binary, seven 64-bit numbers a call: number, six arguments. MEMORY: mapped at MEMORY_ADDRESS before the first
 * call, so that pointers can be chosen beforehand. A call whose sixth argument is SUCCEED returns 0, all others -EPERM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMORY_ADDRESS 0x20000000UL
#define SUCCEED 0x600d0000UL

static long call(const unsigned long* c) {
    register unsigned long r10 __asm__("r10") = c[4];
    register unsigned long r8 __asm__("r8") = c[5];
    register unsigned long r9 __asm__("r9") = c[6];
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(c[0]), "D"(c[1]), "S"(c[2]), "d"(c[3]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static void answer_everything(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x600d0001, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), /* the program's own end */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SUCCEED, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) {
        perror("seccomp");
        exit(1);
    }
}

static void* map_file(const char* path, void* address, size_t* size) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        perror(path);
        exit(1);
    }
    *size = (size_t)st.st_size;
    void* at = mmap(address, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | (address ? MAP_FIXED : 0), fd, 0);
    if (at == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    return at;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: syscall_caller CALLS MEMORY\n");
        return 2;
    }
    size_t size, memory_size;
    const unsigned long* calls = map_file(argv[1], NULL, &size);
    map_file(argv[2], (void*)MEMORY_ADDRESS, &memory_size);
    answer_everything();
    for (size_t i = 0; i < size / (7 * sizeof *calls); i++) call(calls + 7 * i);
    const unsigned long end[7] = {SYS_exit_group, 0, 0, 0, 0, 0, 0x600d0001};
    call(end);
    return 1;
}
