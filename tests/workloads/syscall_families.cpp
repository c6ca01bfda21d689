// SPDX-License-Identifier: Apache-2.0
// Makes system calls of many families, with results and with errors, for comparison with strace: --only FAMILY runs one
// of file, descriptor, process, memory, network, signal, poll, futex, timer, ipc, other. Works in the folder it runs
// in, on loopback only; changes nothing outside of itself.
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <utime.h>

#include <initializer_list>

#include "common.h"

namespace {

// Whether a call fails is part of what is compared, not looked at here.
template <class... Args>
long call(long number, Args... args) {
    return syscall(number, args...);
}
template <class T>
void ignore(T&&) {}

void file_names() {
    mkdir("dir", 0750);
    mkdirat(AT_FDCWD, "dir", 0700);
    ignore(symlink("target \x1b\xff", "sym"));
    char buffer[PATH_MAX];
    ignore(readlink("sym", buffer, sizeof buffer));
    ignore(readlinkat(AT_FDCWD, "sym", buffer, 5));
    const int d = open("dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int f = openat(d, "a\nfile\t\"quoted\"", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0640);
    ignore(linkat(d, "a\nfile\t\"quoted\"", d, "b", 0));
    ignore(call(SYS_renameat2, d, "b", d, "c", 1U));
    ignore(call(SYS_renameat2, d, "c", d, "nothere", 2U));
    ignore(renameat(d, "c", AT_FDCWD, "moved"));
    ignore(unlinkat(d, "nothere", 0));
    ignore(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR));
    ignore(faccessat(AT_FDCWD, "moved", R_OK | W_OK, AT_EACCESS));
    ignore(access("moved", F_OK));
    ignore(access("moved", X_OK));
    ignore(chmod("moved", 04711));
    ignore(fchmodat(AT_FDCWD, "moved", 0600, 0));
    ignore(fchmod(f, 01777));
    ignore(chown("moved", getuid(), static_cast<gid_t>(-1)));
    ignore(lchown("sym", static_cast<uid_t>(-1), static_cast<gid_t>(-1)));
    ignore(fchownat(d, "", getuid(), getgid(), AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
    ignore(truncate("moved", 12345));
    ignore(mkfifo("fifo", 0622));
    ignore(mknodat(AT_FDCWD, "node", S_IFREG | 0600, 0));
    ignore(mknodat(AT_FDCWD, "no/such", S_IFCHR | 0600, 0x501));
    utimbuf old{1, 2};
    ignore(utime("moved", &old));
    const timespec now_and_keep[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    ignore(utimensat(AT_FDCWD, "moved", now_and_keep, AT_SYMLINK_NOFOLLOW));
    const timespec fixed[2] = {{1000000000, 5}, {1, 999999999}};
    ignore(utimensat(d, "moved", fixed, 0));
    ignore(futimens(f, nullptr));
    ignore(chdir("dir"));
    ignore(getcwd(buffer, sizeof buffer));
    ignore(fchdir(AT_FDCWD));
    ignore(chdir(".."));
    ignore(call(SYS_creat, "created", 0644));
    char longer[600];
    memset(longer, 'n', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ignore(open(longer, O_RDONLY));
    ignore(open("", O_WRONLY | O_APPEND | O_TRUNC | O_NONBLOCK | O_SYNC));
    ignore(call(SYS_open, reinterpret_cast<char*>(8), O_RDONLY));
    ignore(open(".", O_TMPFILE | O_RDWR | O_DSYNC, 0600));
    ignore(open("moved", O_PATH | O_NOATIME));
    const uint64_t how[3] = {O_RDWR | O_CREAT, 0600, 0x08 | 0x04};
    ignore(call(SYS_openat2, d, "beneath", how, sizeof how));
    ignore(call(SYS_openat2, d, "../moved", how, sizeof how));
    ignore(rmdir("dir"));
    ignore(unlink("sym"));
    ignore(link("moved", "moved"));
    ignore(rename("moved", "again"));
    close(f);
    close(d);
}

void file_contents() {
    const int f = open("contents", O_RDWR | O_CREAT, 0600);
    char data[300];
    memset(data, 'x', sizeof data);
    ignore(write(f, data, sizeof data));
    ignore(pwrite(f, "abc", 3, 1LL << 33));
    ignore(pread(f, data, 10, 4));
    ignore(lseek(f, -5, SEEK_END));
    ignore(lseek(f, 0, SEEK_HOLE));
    ignore(lseek(f, 3, SEEK_DATA));
    ignore(lseek(f, -1, SEEK_SET));
    ignore(read(f, data, 0));
    iovec pieces[2] = {{data, 4}, {data + 10, 5}};
    ignore(writev(f, pieces, 2));
    ignore(readv(f, pieces, 2));
    ignore(preadv(f, pieces, 2, 7));
    ignore(pwritev2(f, pieces, 1, 0, RWF_DSYNC));
    ignore(preadv2(f, pieces, 1, -1, RWF_NOWAIT | RWF_HIPRI));
    ignore(ftruncate(f, 5000));
    ignore(fallocate(f, FALLOC_FL_KEEP_SIZE, 0, 4096));
    ignore(fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, 100));
    ignore(posix_fadvise(f, 0, 100, POSIX_FADV_WILLNEED));
    ignore(readahead(f, 0, 4096));
    ignore(fsync(f));
    ignore(fdatasync(f));
    ignore(sync_file_range(f, 0, 10, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
    ignore(syncfs(f));
    const int g = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
    off_t from = 3;
    ignore(sendfile(g, f, &from, 10));
    ignore(sendfile(g, f, nullptr, 10));
    loff_t in = 0, out = 100;
    ignore(copy_file_range(f, &in, g, &out, 20, 0));
    int ends[2];
    ignore(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
    ignore(splice(f, &in, ends[1], nullptr, 16, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    int more[2];
    ignore(pipe(more));
    ignore(tee(ends[0], more[1], 8, SPLICE_F_NONBLOCK));
    ignore(vmsplice(more[1], pieces, 1, SPLICE_F_GIFT));
    struct stat st {};
    struct statfs fs {};
    struct statx sx {};
    ignore(fstat(f, &st));
    ignore(stat("nowhere", &st));
    ignore(call(SYS_lstat, "contents", &st));
    ignore(statx(AT_FDCWD, "contents", AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &sx));
    ignore(statx(f, "", AT_EMPTY_PATH, STATX_MODE | STATX_SIZE, &sx));
    ignore(statfs("/", &fs));
    ignore(fstatfs(f, &fs));
    const int d = open(".", O_RDONLY | O_DIRECTORY);
    char entries[1024];
    ignore(call(SYS_getdents64, d, entries, sizeof entries));
    ignore(call(SYS_getdents, d, entries, 0));
    for (const int fd : {f, g, d, ends[0], ends[1], more[0], more[1]}) close(fd);
    ignore(close(-1));
    ignore(close(12345));
}

void descriptors() {
    const int f = open("locked", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ignore(dup(f));
    ignore(dup2(f, 50));
    ignore(dup3(f, 51, O_CLOEXEC));
    ignore(dup3(f, f, 0));
    ignore(fcntl(f, F_DUPFD, 40));
    ignore(fcntl(f, F_DUPFD_CLOEXEC, 45));
    ignore(fcntl(f, F_GETFD));
    ignore(fcntl(f, F_SETFD, FD_CLOEXEC));
    ignore(fcntl(f, F_GETFL));
    ignore(fcntl(f, F_SETFL, O_APPEND | O_NONBLOCK));
    ignore(fcntl(f, F_SETOWN, getpid()));
    ignore(fcntl(f, F_GETOWN));
    ignore(fcntl(f, F_SETSIG, SIGIO));
    ignore(fcntl(f, F_SETLEASE, F_RDLCK));
    ignore(fcntl(f, F_GETLEASE));
    ignore(fcntl(f, F_SETPIPE_SZ, 4096));
    ignore(fcntl(f, F_ADD_SEALS, F_SEAL_WRITE));
    ignore(fcntl(f, F_NOTIFY, DN_MODIFY | DN_CREATE));
    ignore(fcntl(999, F_GETFL));
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 10;
    lock.l_len = 20;
    ignore(fcntl(f, F_SETLK, &lock));
    ignore(fcntl(f, F_GETLK, &lock));
    lock.l_type = F_UNLCK;
    ignore(fcntl(f, F_SETLKW, &lock));
    lock.l_pid = 0;
    ignore(fcntl(f, F_OFD_SETLK, &lock));
    ignore(flock(f, LOCK_EX | LOCK_NB));
    ignore(flock(f, LOCK_UN));
    ignore(flock(-1, LOCK_SH));
    int number = 0;
    winsize size{};
    ignore(ioctl(f, FIONREAD, &number));
    ignore(ioctl(0, TIOCGWINSZ, &size));
    ignore(ioctl(f, FIONBIO, &number));
    ignore(ioctl(f, FIOCLEX));
    ignore(ioctl(f, 0x12345678, 9));
    const int memory = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ignore(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    ignore(fcntl(memory, F_GET_SEALS));
    ignore(call(SYS_close_range, 40U, 60U, 4U));
    ignore(call(SYS_close_range, 45U, 60U, 0U));
    const char* value = "value";
    ignore(setxattr("locked", "user.flightrec", value, 5, XATTR_CREATE));
    ignore(lsetxattr("locked", "user.flightrec", value, 5, XATTR_REPLACE));
    ignore(fsetxattr(f, "user.none", value, 0, 0));
    char got[64];
    ignore(getxattr("locked", "user.flightrec", got, sizeof got));
    ignore(lgetxattr("locked", "user.absent", got, sizeof got));
    ignore(fgetxattr(f, "user.flightrec", got, 0));
    ignore(listxattr("locked", got, sizeof got));
    ignore(llistxattr("locked", nullptr, 0));
    ignore(flistxattr(f, got, 1));
    ignore(removexattr("locked", "user.flightrec"));
    ignore(fremovexattr(f, "user.none"));
    ignore(lremovexattr("nowhere", "security.x"));
    const int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    const int wd = inotify_add_watch(watch, ".", IN_CREATE | IN_DELETE | IN_ONLYDIR | IN_MOVE);
    ignore(inotify_rm_watch(watch, wd));
    ignore(inotify_rm_watch(watch, 77));
    close(watch);
    close(memory);
    close(f);
}

int child_of_clone(void*) { return 5; }

void processes() {
    int status = 0;
    rusage usage{};
    pid_t child = fork();
    if (child == 0) _exit(3);
    ignore(waitpid(child, &status, 0));
    child = fork();
    if (child == 0) {
        kill(getpid(), SIGKILL);
        pause();
    }
    ignore(wait4(child, &status, 0, &usage));
    child = vfork();
    if (child == 0) {
        execl("/nonexistent/program", "program", "with \"quotes\"", static_cast<char*>(nullptr));
        _exit(9);
    }
    siginfo_t info{};
    ignore(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT));
    ignore(waitpid(child, &status, WUNTRACED | WCONTINUED));
    alignas(16) static char stack[65536];
    child = clone(child_of_clone, stack + sizeof stack, CLONE_FS | CLONE_FILES | SIGCHLD, nullptr);
    ignore(waitpid(child, nullptr, __WALL));
    child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "syscall_families", "--only", "nothing", "", "last", static_cast<char*>(nullptr));
        _exit(9);
    }
    ignore(call(SYS_waitid, P_ALL, 0, &info, WEXITED, nullptr));
    ignore(waitpid(-1, &status, WNOHANG));
    ignore(waitid(P_PGID, 0, nullptr, WEXITED));
    ignore(getppid());
    ignore(getpgid(0));
    ignore(call(SYS_getpgrp));
    ignore(setpgid(0, 0));
    ignore(getsid(0));
    ignore(getpriority(PRIO_PROCESS, 0));
    ignore(setpriority(PRIO_PROCESS, 0, 1));
    ignore(call(SYS_getpriority, 9, 0));
    rlimit limit{};
    ignore(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 1024;
    ignore(setrlimit(RLIMIT_NOFILE, &limit));
    ignore(prlimit(0, RLIMIT_CORE, nullptr, &limit));
    limit = {0, RLIM_INFINITY};
    ignore(call(SYS_prlimit64, 0, 99, &limit, nullptr));
    ignore(getrusage(RUSAGE_SELF, &usage));
    ignore(getrusage(RUSAGE_CHILDREN, &usage));
    ignore(getrusage(RUSAGE_THREAD, &usage));
    tms ticks{};
    ignore(times(&ticks));
    struct sysinfo system {};
    ignore(sysinfo(&system));
    utsname name{};
    ignore(uname(&name));
    ignore(umask(022));
    ignore(getuid() + getgid() + geteuid() + getegid());
    uid_t r = 0, e = 0, s = 0;
    ignore(getresuid(&r, &e, &s));
    ignore(getresgid(&r, &e, &s));
    ignore(setresuid(static_cast<uid_t>(-1), static_cast<uid_t>(-1), static_cast<uid_t>(-1)));
    ignore(setregid(static_cast<gid_t>(-1), static_cast<gid_t>(-1)));
    ignore(getgroups(0, nullptr));
    ignore(personality(0xffffffff));
    sched_param priority{};
    ignore(call(SYS_sched_getscheduler, 0));
    ignore(call(SYS_sched_getparam, 0, &priority));
    ignore(call(SYS_sched_setscheduler, 0, SCHED_BATCH, &priority));
    ignore(call(SYS_sched_get_priority_max, SCHED_FIFO));
    ignore(call(SYS_sched_get_priority_min, SCHED_IDLE));
    cpu_set_t cpus;
    ignore(sched_getaffinity(0, sizeof cpus, &cpus));
    ignore(sched_yield());
    timespec slice{};
    ignore(call(SYS_sched_rr_get_interval, 0, &slice));
    const int pidfd = static_cast<int>(call(SYS_pidfd_open, getpid(), 0));
    ignore(call(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0));
    ignore(call(SYS_pidfd_getfd, pidfd, 99, 0));
    ignore(call(SYS_kcmp, getpid(), getpid(), 1, 0, 0));
    ignore(call(SYS_ioprio_get, 1, 0));
    ignore(call(SYS_ioprio_set, 1, 0, 2 << 13 | 4));
    ignore(call(SYS_unshare, 0x400));
    ignore(call(SYS_setns, -1, 0x10000000));
    close(pidfd);
}

void process_control() {
    ignore(prctl(PR_SET_NAME, "families\x01"));
    char name[16];
    ignore(prctl(PR_GET_NAME, name));
    ignore(prctl(PR_SET_PDEATHSIG, SIGTERM));
    int number = 0;
    ignore(prctl(PR_GET_PDEATHSIG, &number));
    ignore(prctl(PR_GET_DUMPABLE));
    ignore(prctl(PR_SET_DUMPABLE, 1));
    ignore(prctl(PR_SET_CHILD_SUBREAPER, 1));
    ignore(prctl(PR_GET_CHILD_SUBREAPER, &number));
    ignore(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    ignore(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    ignore(prctl(PR_SET_TIMERSLACK, 60000));
    ignore(prctl(PR_GET_TIMERSLACK));
    ignore(prctl(PR_CAPBSET_READ, 21));
    ignore(prctl(PR_GET_SECCOMP));
    ignore(prctl(PR_GET_KEEPCAPS));
    ignore(prctl(PR_GET_SECUREBITS));
    ignore(prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 9, 0, 0));
    ignore(prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0));
    ignore(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
    ignore(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    ignore(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0, 4096, nullptr));
    ignore(prctl(0x7777, 1, 2, 3, 4));
    ignore(call(SYS_arch_prctl, 0x1003, &number));
    ignore(call(SYS_getcpu, &number, nullptr, nullptr));
    ignore(call(SYS_gettid));
    ignore(call(SYS_set_robust_list, nullptr, 1));
    uint32_t header[2] = {0x20080522, 0};
    uint32_t data[6] = {};
    ignore(call(SYS_capget, header, data));
    ignore(call(SYS_seccomp, 2, 0, data));
    ignore(call(SYS_ptrace, 0x4206, 1 << 22, nullptr, nullptr));
}

void memory() {
    const size_t page = 4096;
    char* a = static_cast<char*>(mmap(nullptr, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ignore(mmap(a, page, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE | MAP_POPULATE, -1, 0));
    ignore(mmap(nullptr, 1UL << 46, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_GROWSDOWN, -1, 0));
    ignore(mmap(nullptr, 0, PROT_EXEC, MAP_PRIVATE, 3, 0x1000));
    ignore(mmap(nullptr, 2UL << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << 26, -1, 0));
    ignore(mmap(a, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_LOCKED, -1, 0));
    ignore(mprotect(a, page, PROT_READ | PROT_WRITE | PROT_EXEC));
    ignore(mprotect(a + 1, page, PROT_NONE));
    ignore(call(SYS_mprotect, a, page, PROT_READ | 0x01000000));
    for (const int advice : {MADV_DONTNEED, MADV_SEQUENTIAL, MADV_HUGEPAGE, MADV_FREE, MADV_COLD, 14777})
        ignore(madvise(a, page, advice));
    unsigned char resident[16];
    ignore(mincore(a, 4 * page, resident));
    ignore(msync(a, page, MS_ASYNC | MS_INVALIDATE));
    ignore(mlock(a, page));
    ignore(mlock2(a, page, MLOCK_ONFAULT));
    ignore(munlock(a, page));
    ignore(mlockall(MCL_FUTURE | 64));
    ignore(munlockall());
    void* b = mremap(a + 4 * page, page, 2 * page, MREMAP_MAYMOVE);
    ignore(mremap(b, 2 * page, page, MREMAP_MAYMOVE | MREMAP_FIXED, a + 8 * page));
    ignore(mremap(nullptr, page, page, 0));
    ignore(call(SYS_brk, 0));
    ignore(munmap(a, 16 * page));
    ignore(munmap(reinterpret_cast<void*>(5), 0));
    ignore(call(SYS_membarrier, 0, 0, 0));
    ignore(call(SYS_membarrier, 8, 0, 0));
    int mode = 0;
    ignore(call(SYS_get_mempolicy, &mode, nullptr, 0UL, nullptr, 0UL));
    ignore(call(SYS_set_mempolicy, 0, nullptr, 0UL));
    ignore(call(SYS_mbind, nullptr, page, 2 | 1 << 15, nullptr, 0UL, 1U));
    ignore(call(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 0x40000));
    ignore(call(SYS_pkey_alloc, 0UL, 1UL));
    ignore(call(SYS_process_vm_readv, getpid(), nullptr, 0UL, nullptr, 0UL, 0UL));
    ignore(call(SYS_process_mrelease, -1, 0));
    const int segment = shmget(IPC_PRIVATE, page, IPC_CREAT | 0600);
    void* at = shmat(segment, nullptr, SHM_RDONLY);
    ignore(shmdt(at));
    ignore(shmctl(segment, IPC_RMID, nullptr));
    ignore(shmat(-1, nullptr, SHM_RND | SHM_EXEC));
}

void options_of(int fd) {
    int one = 1;
    socklen_t size = sizeof one;
    linger wait{1, 5};
    timeval timeout{1, 500000};
    ignore(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    ignore(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
    ignore(setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof wait));
    ignore(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
    ignore(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
    ignore(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &one, 2));
    ignore(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    ignore(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
    ignore(setsockopt(fd, IPPROTO_IP, IP_TTL, &one, sizeof one));
    ignore(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
    ignore(setsockopt(fd, 12345, 6, &one, sizeof one));
    ignore(getsockopt(fd, SOL_SOCKET, SO_ERROR, &one, &size));
    ignore(getsockopt(fd, SOL_SOCKET, SO_TYPE, &one, &size));
    size = sizeof wait;
    ignore(getsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, &size));
    ucred peer{};
    size = sizeof peer;
    ignore(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size));
    size = sizeof one;
    ignore(getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &one, &size));
    ignore(getsockopt(fd, IPPROTO_IP, IP_TOS, &one, &size));
    tcp_info info{};
    size = sizeof info;
    ignore(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
}

void talk(int family, sockaddr* address, socklen_t size, int type) {
    const int server = socket(family, type | SOCK_CLOEXEC, 0);
    ignore(bind(server, address, size));
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    ignore(getsockname(server, reinterpret_cast<sockaddr*>(&name), &length));
    ignore(listen(server, 5));
    options_of(server);
    const int client = socket(family, type, 0);
    ignore(connect(client, reinterpret_cast<sockaddr*>(&name), length));
    sockaddr_storage from{};
    socklen_t space = sizeof from;
    const int peer =
        type == SOCK_STREAM ? accept4(server, reinterpret_cast<sockaddr*>(&from), &space, SOCK_NONBLOCK) : server;
    space = sizeof from;
    ignore(getpeername(client, reinterpret_cast<sockaddr*>(&from), &space));
    ignore(send(client, "hello", 5, MSG_NOSIGNAL));
    char data[64];
    space = sizeof from;
    ignore(recvfrom(peer, data, sizeof data, MSG_DONTWAIT | MSG_PEEK, reinterpret_cast<sockaddr*>(&from), &space));
    ignore(recv(peer, data, sizeof data, MSG_TRUNC));
    ignore(recv(peer, data, sizeof data, MSG_DONTWAIT));
    ignore(sendto(client, "x", 1, MSG_DONTWAIT | MSG_MORE, address, size));
    iovec piece{data, 3};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    ignore(sendmsg(client, &message, MSG_DONTWAIT));
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    ignore(recvmsg(peer, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    mmsghdr several[2] = {};
    several[0].msg_hdr.msg_iov = several[1].msg_hdr.msg_iov = &piece;
    several[0].msg_hdr.msg_iovlen = several[1].msg_hdr.msg_iovlen = 1;
    ignore(sendmmsg(client, several, 2, MSG_DONTWAIT));
    timespec soon{0, 1000000};
    ignore(recvmmsg(peer, several, 2, MSG_DONTWAIT, &soon));
    ignore(shutdown(client, SHUT_RDWR));
    close(client);
    if (peer != server) close(peer);
    close(server);
}

void network() {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    snprintf(local.sun_path, sizeof local.sun_path, "a socket\x01");
    sockaddr_un abstract{};
    abstract.sun_family = AF_UNIX;
    snprintf(abstract.sun_path + 1, sizeof abstract.sun_path - 1, "flightrec-%d", getpid());
    const auto prefix = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + strlen(abstract.sun_path + 1));
    talk(AF_INET, reinterpret_cast<sockaddr*>(&v4), sizeof v4, SOCK_STREAM);
    talk(AF_INET, reinterpret_cast<sockaddr*>(&v4), sizeof v4, SOCK_DGRAM);
    talk(AF_INET6, reinterpret_cast<sockaddr*>(&v6), sizeof v6, SOCK_STREAM);
    talk(AF_UNIX, reinterpret_cast<sockaddr*>(&local), sizeof local, SOCK_STREAM);
    talk(AF_UNIX, reinterpret_cast<sockaddr*>(&abstract), prefix, SOCK_SEQPACKET);
    int pair[2];
    ignore(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    ignore(socketpair(AF_INET, SOCK_RAW, 5, pair));
    sockaddr any{};
    ignore(connect(pair[0], &any, sizeof any));
    ignore(connect(pair[0], nullptr, 0));
    ignore(accept(pair[0], nullptr, nullptr));
    ignore(bind(-1, reinterpret_cast<sockaddr*>(&v4), 3));
    const int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
    uint32_t route[3] = {AF_NETLINK, 0, 0};
    ignore(bind(netlink, reinterpret_cast<sockaddr*>(route), sizeof route));
    socklen_t length = sizeof route;
    ignore(getsockname(netlink, reinterpret_cast<sockaddr*>(route), &length));
    ignore(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    ignore(socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP));
    ignore(socket(AF_PACKET, SOCK_DGRAM, 0x0300));
    ignore(socket(77, 9, 1));
    close(netlink);
    close(pair[0]);
    close(pair[1]);
}

void on_signal(int) {}
void on_signal_info(int, siginfo_t*, void*) {}

void signals() {
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    sigaddset(&action.sa_mask, SIGRTMIN + 3);
    action.sa_flags = SA_RESTART | SA_NODEFER;
    ignore(sigaction(SIGUSR1, &action, nullptr));
    ignore(sigaction(SIGIO, &action, nullptr));
    action.sa_sigaction = on_signal_info;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | static_cast<int>(SA_RESETHAND);
    ignore(sigaction(SIGUSR1, &action, &before));
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    ignore(sigaction(SIGHUP, &action, nullptr));
    ignore(sigaction(SIGKILL, &action, nullptr));
    sigset_t set;
    sigset_t old;
    sigfillset(&set);
    sigdelset(&set, SIGINT);
    ignore(sigprocmask(SIG_SETMASK, &set, &old));
    ignore(sigprocmask(SIG_SETMASK, &old, nullptr));
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGIO);
    ignore(sigprocmask(SIG_BLOCK, &set, nullptr));
    ignore(call(SYS_rt_sigprocmask, 99, &set, nullptr, 8));
    ignore(kill(getpid(), SIGUSR1));
    ignore(kill(getpid(), SIGUSR2));
    ignore(kill(0, 0));
    ignore(kill(getpid(), 99));
    ignore(call(SYS_tgkill, getpid(), getpid(), SIGIO));
    ignore(call(SYS_tkill, getpid(), SIGURG));
    ignore(sigpending(&old));
    siginfo_t info{};
    timespec soon{0, 1000000};
    ignore(sigtimedwait(&set, &info, &soon));
    ignore(sigtimedwait(&set, nullptr, &soon));
    ignore(sigtimedwait(&set, nullptr, &soon));
    const sigval value{.sival_int = 7};
    ignore(sigqueue(getpid(), SIGUSR2, value));
    const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    char buffer[256];
    ignore(read(fd, buffer, sizeof buffer));
    stack_t stack{};
    static char space[16384];
    stack.ss_sp = space;
    stack.ss_size = sizeof space;
    stack_t was{};
    ignore(sigaltstack(&stack, &was));
    ignore(sigaltstack(nullptr, &was));
    // Repeated: a single alarm may come before a slow machine has begun to wait for it.
    itimerval tick{{0, 100'000}, {0, 2000}};
    signal(SIGALRM, on_signal);
    ignore(setitimer(ITIMER_REAL, &tick, nullptr));
    ignore(pause());
    ignore(setitimer(ITIMER_REAL, &tick, nullptr));
    sigemptyset(&set);
    ignore(sigsuspend(&set));
    tick = {};
    ignore(setitimer(ITIMER_REAL, &tick, nullptr));
    close(fd);
}

void polling() {
    int ends[2];
    ignore(pipe2(ends, O_NONBLOCK));
    pollfd fds[3] = {{ends[0], POLLIN | POLLPRI, 0}, {ends[1], POLLOUT, 0}, {-1, POLLIN | POLLRDHUP, 0}};
    ignore(poll(fds, 3, 5));
    ignore(poll(fds, 1, 1));
    ignore(poll(nullptr, 0, 1));
    timespec wait{0, 1000000};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    ignore(ppoll(fds, 2, &wait, &set));
    ignore(call(SYS_ppoll, fds, 1UL, &wait, nullptr, 8UL));
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(ends[0], &readable);
    timeval moment{0, 1000};
    ignore(select(ends[0] + 1, &readable, nullptr, nullptr, &moment));
    FD_SET(ends[0], &readable);
    ignore(pselect(ends[0] + 1, &readable, nullptr, nullptr, &wait, &set));
    ignore(call(SYS_select, 0, nullptr, nullptr, nullptr, &moment));
    ignore(write(ends[1], "x", 1));
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET | EPOLLONESHOT;
    event.data.u64 = 0x1234567890;
    ignore(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLEXCLUSIVE;
    ignore(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event));
    epoll_event ready[4];
    ignore(epoll_wait(epoll, ready, 4, 2));
    ignore(epoll_pwait(epoll, ready, 4, 0, &set));
    ignore(call(SYS_epoll_pwait2, epoll, ready, 4, &wait, nullptr, 8UL));
    ignore(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], nullptr));
    ignore(epoll_ctl(epoll, 9, 99, &event));
    ignore(call(SYS_epoll_create, 7));
    ignore(epoll_wait(-1, ready, 0, -1));
    const int counter = eventfd(3, EFD_NONBLOCK | EFD_SEMAPHORE);
    uint64_t value = 0;
    ignore(read(counter, &value, sizeof value));
    ignore(call(SYS_eventfd, 9U));
    for (const int fd : {ends[0], ends[1], epoll, counter}) close(fd);
}

int word = 0;
void* other_thread(void*) {
    do {
        sleep_ms(5);
    } while (call(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0) == 0);
    return nullptr;
}

void futexes() {
    timespec wait{0, 1000000};
    int second = 0;
    ignore(call(SYS_futex, &word, FUTEX_WAIT, 1, nullptr, nullptr, 0));
    ignore(call(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &wait, nullptr, 0));
    ignore(call(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0));
    ignore(call(SYS_futex, &word, FUTEX_WAKE_BITSET_PRIVATE, 1, nullptr, nullptr, 0xff));
    ignore(call(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &wait, nullptr, 0xffffffff));
    ignore(call(SYS_futex, &word, FUTEX_REQUEUE, 1, 2L, &second, 0));
    ignore(call(SYS_futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 1, 2L, &second, 0));
    ignore(call(SYS_futex, &word, FUTEX_WAKE_OP, 1, 1L, &second, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_GT, 0)));
    ignore(call(SYS_futex, &word, FUTEX_TRYLOCK_PI, 0, nullptr, nullptr, 0));
    ignore(call(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, nullptr, nullptr, 0));
    ignore(call(SYS_futex, &word, 99, 0, nullptr, nullptr, 0));
    word = 0;
    pthread_t thread{};
    if (pthread_create(&thread, nullptr, other_thread, nullptr) == 0) {
        ignore(call(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0));
        pthread_join(thread, nullptr);
    }
    struct {
        uint64_t value, address;
        uint32_t flags, reserved;
    } waiter{0, reinterpret_cast<uint64_t>(&word), 2, 0};
    ignore(call(SYS_futex_waitv, &waiter, 1U, 0U, &wait, CLOCK_MONOTONIC));
    ignore(call(SYS_get_robust_list, 0, &waiter.value, &waiter.address));
}

void timers() {
    timespec time{};
    timeval now{};
    ignore(call(SYS_clock_gettime, CLOCK_MONOTONIC, &time));
    ignore(call(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &time));
    ignore(call(SYS_clock_gettime, 77, &time));
    ignore(call(SYS_clock_getres, CLOCK_BOOTTIME, &time));
    ignore(call(SYS_gettimeofday, &now, nullptr));
    ignore(call(SYS_time, nullptr));
    const timespec blink{0, 500000};
    ignore(nanosleep(&blink, nullptr));
    ignore(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &blink, nullptr));
    const timespec wrong{-1, 5};
    ignore(nanosleep(&wrong, &time));
    itimerval interval{};
    itimerval before{};
    ignore(getitimer(ITIMER_VIRTUAL, &interval));
    interval.it_interval.tv_usec = 5;
    ignore(setitimer(ITIMER_PROF, &interval, &before));
    ignore(alarm(0));
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    itimerspec spec{{1, 2}, {3, 4}};
    itimerspec old{};
    ignore(timerfd_settime(fd, 0, &spec, &old));
    ignore(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, nullptr));
    ignore(timerfd_gettime(fd, &old));
    int id = 0;
    sigevent event{};
    event.sigev_notify = SIGEV_NONE;
    ignore(call(SYS_timer_create, CLOCK_REALTIME, &event, &id));
    ignore(call(SYS_timer_settime, id, 0, &spec, &old));
    ignore(call(SYS_timer_settime, id, TIMER_ABSTIME, &spec, nullptr));
    ignore(call(SYS_timer_gettime, id, &old));
    ignore(call(SYS_timer_getoverrun, id));
    ignore(call(SYS_timer_delete, id));
    ignore(call(SYS_timer_delete, 12345));
    close(fd);
}

void ipc() {
    const int set = semget(IPC_PRIVATE, 2, IPC_CREAT | IPC_EXCL | 0600);
    sembuf up{0, 1, IPC_NOWAIT};
    ignore(semop(set, &up, 1));
    const timespec soon{0, 1000};
    ignore(semtimedop(set, &up, 1, &soon));
    ignore(semctl(set, 0, GETVAL));
    ignore(semctl(set, 1, SETVAL, 5));
    ignore(semctl(set, 0, IPC_RMID));
    const int queue = msgget(IPC_PRIVATE, 0600);
    struct {
        long type;
        char text[8];
    } message{3, "hi"};
    ignore(msgsnd(queue, &message, 3, IPC_NOWAIT));
    ignore(msgrcv(queue, &message, 8, 3, IPC_NOWAIT | MSG_NOERROR));
    ignore(msgrcv(queue, &message, 8, -1, IPC_NOWAIT));
    ignore(msgctl(queue, IPC_RMID, nullptr));
    ignore(msgget(0x1234, 0));
    long attributes[8] = {0, 2, 16};
    char name[64];
    snprintf(name, sizeof name, "flightrec-%d", getpid());
    const auto mq = static_cast<int>(call(SYS_mq_open, name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, attributes));
    ignore(call(SYS_mq_timedsend, mq, "m", 1UL, 4U, nullptr));
    ignore(call(SYS_mq_timedreceive, mq, name + 32, 16UL, nullptr, &soon));
    ignore(call(SYS_mq_getsetattr, mq, nullptr, attributes));
    ignore(call(SYS_mq_unlink, name));
    close(mq);
    ignore(call(SYS_add_key, "user", "flightrec", "x", 1UL, -2));
    ignore(call(SYS_keyctl, 6, -99, 1, 2, 3));
    ignore(call(SYS_request_key, "user", "flightrec", nullptr, 0));
}

void other() {
    char bytes[32];
    ignore(call(SYS_getrandom, bytes, 8UL, 1U));
    ignore(call(SYS_getrandom, bytes, 8UL, 0xf0U));
    ignore(call(SYS_syslog, 10, nullptr, 0));
    ignore(call(SYS_bpf, 99, bytes, 4U));
    ignore(call(SYS_perf_event_open, nullptr, 0, -1, -1, 8UL));
    ignore(call(SYS_io_uring_setup, 0U, nullptr));
    ignore(call(SYS_io_uring_enter, -1, 1U, 2U, 1U, nullptr, 0UL));
    ignore(call(SYS_landlock_create_ruleset, nullptr, 0UL, 1U));
    ignore(call(SYS_name_to_handle_at, AT_FDCWD, ".", nullptr, nullptr, 0x400));
    ignore(call(SYS_fanotify_mark, -1, 1U, 0x3UL, AT_FDCWD, "."));
    ignore(call(457L, nullptr, nullptr, 0UL, 0U));
    ignore(call(999));
    ignore(call(0x7fff, 1, 2, 3));
    ignore(call(SYS_faccessat2, AT_FDCWD, ".", R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW));
    ignore(call(SYS_quotactl, -1, nullptr, 0, nullptr));
    ignore(call(SYS_acct, "/nonexistent/accounting"));
    ignore(call(SYS_swapoff, "/nonexistent/swap"));
    ignore(call(SYS_delete_module, "no_such_module_here", O_NONBLOCK));
    ignore(call(SYS_open_tree, AT_FDCWD, "/nonexistent", 0x8001U));
    ignore(call(SYS_fspick, AT_FDCWD, "/nonexistent", 2U));
    ignore(call(SYS_move_mount, AT_FDCWD, "/nonexistent", -1, "", 0x44U));
}

struct Family {
    const char* name;
    void (*run)();
};
const Family families[] = {{"file", file_names},
                           {"file", file_contents},
                           {"descriptor", descriptors},
                           {"process", processes},
                           {"process", process_control},
                           {"memory", memory},
                           {"network", network},
                           {"signal", signals},
                           {"poll", polling},
                           {"futex", futexes},
                           {"timer", timers},
                           {"ipc", ipc},
                           {"other", other}};

}  // namespace

int main(int argc, char** argv) {
    const char* only = option(argc, argv, "--only", nullptr);
    for (const Family& family : families)
        if (only == nullptr || strcmp(only, family.name) == 0) family.run();
    return 0;
}
