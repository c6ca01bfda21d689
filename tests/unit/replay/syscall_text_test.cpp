// SPDX-License-Identifier: Apache-2.0
// Decoded system calls against lines that strace 6.1 printed, family by family.
#include "userspace/replay/syscall_text.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "tests/unit/replay/syscall_record.h"

namespace flightrec::replay {
namespace {

using schemas::Arch;
using testing::SyscallRecord;

constexpr uint64_t at_fdcwd = 0xffffff9c;

struct Bytes {
    uint8_t kind;
    std::string text;
    uint8_t flags = 0;
};
Bytes str(unsigned i, std::string text, uint8_t flags = 0) {
    return {static_cast<uint8_t>(FR_BLOB_ARG0 + i), std::move(text), flags};
}
Bytes sockaddr(unsigned i, std::string text) { return {static_cast<uint8_t>(FR_BLOB_SOCKADDR0 + i), std::move(text)}; }
template <class... T>
Bytes data(unsigned i, T... values) {
    std::string text;
    (text.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
    return {static_cast<uint8_t>(FR_BLOB_DATA0 + i), text};
}

SyscallRecord record(std::string_view name, std::array<uint64_t, 6> args, int64_t result,
                     std::initializer_list<Bytes> blobs = {}, Arch arch = Arch::x86_64) {
    const auto* info = schemas::find_syscall(arch, name);
    EXPECT_NE(info, nullptr) << name;
    SyscallRecord out(FR_CLASS_SYSCALL, info == nullptr ? 0 : static_cast<uint32_t>(info->number(arch)), args, result);
    for (const Bytes& blob : blobs) out.blob(blob.kind, blob.text, blob.flags);
    return out;
}

std::string show(const SyscallRecord& made, SyscallOptions options = {.arch = Arch::x86_64}) {
    std::string out;
    append_syscall(out, {made.ref(), options});
    return out;
}
std::string text(std::string_view name, std::array<uint64_t, 6> args, int64_t result = 0,
                 std::initializer_list<Bytes> blobs = {}) {
    return show(record(name, args, result, blobs));
}

TEST(SyscallText, Files) {
    EXPECT_EQ(text("openat", {at_fdcwd, 0x7f00, 02000000}, 3, {str(1, "/etc/ld.so.cache")}),
              R"(openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3)");
    EXPECT_EQ(text("openat", {at_fdcwd, 0x7f00, 01101, 0644}, -2, {str(1, "/x")}),
              R"(openat(AT_FDCWD, "/x", O_WRONLY|O_CREAT|O_TRUNC, 0644) = -1 ENOENT (No such file or directory))");
    EXPECT_EQ(text("open", {0x7f00, 020200000, 0, 0, 0, 0}, -22, {str(0, "/tmp")}).substr(0, 40),
              R"(open("/tmp", O_RDONLY|O_TMPFILE, 000) = )");
    EXPECT_EQ(text("read", {3, 0x7ffd1000, 832}, 832), "read(3, 0x7ffd1000, 832) = 832");
    EXPECT_EQ(text("close", {3}), "close(3) = 0");
    EXPECT_EQ(text("lseek", {3, static_cast<uint64_t>(-5), 2}, 10), "lseek(3, -5, SEEK_END) = 10");
    EXPECT_EQ(text("newfstatat", {3, 0x7f00, 0x7ffd, 0x1000}, 0, {str(1, "")}),
              R"(newfstatat(3, "", 0x7ffd, AT_EMPTY_PATH) = 0)");
    EXPECT_EQ(text("faccessat2", {at_fdcwd, 0x7f00, 4, 0x200}, 0, {str(1, "/x")}),
              R"(faccessat2(AT_FDCWD, "/x", R_OK, AT_EACCESS) = 0)");
    EXPECT_EQ(text("renameat2", {at_fdcwd, 1, at_fdcwd, 2, 1}, 0, {str(1, "a"), str(3, "b")}),
              R"(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) = 0)");
    EXPECT_EQ(text("mknodat", {at_fdcwd, 1, 020644, 0x103}, 0, {str(1, "/dev/null")}),
              R"(mknodat(AT_FDCWD, "/dev/null", S_IFCHR|0644, makedev(0x1, 0x3)) = 0)");
    EXPECT_EQ(text("mkdir", {1, 0}, -17, {str(0, "d")}), R"(mkdir("d", 000) = -1 EEXIST (File exists))");
    EXPECT_EQ(text("chown", {1, 0, 0xffffffff}, 0, {str(0, "d")}), R"(chown("d", 0, -1) = 0)");
    EXPECT_EQ(text("umask", {022}, 022), "umask(022) = 022");
    EXPECT_EQ(text("pwritev2", {3, 0x10, 1, 7, 0, 2}, 1), "pwritev2(3, 0x10, 1, 7, RWF_DSYNC) = 1");
    EXPECT_EQ(text("getcwd", {0x7f00, 4096}, 6, {str(0, "/root")}), R"(getcwd("/root", 4096) = 6)");
    EXPECT_EQ(text("getcwd", {0x7f00, 4096}, 6, {str(0, std::string("/root\0", 6))}), R"(getcwd("/root", 4096) = 6)");
    EXPECT_EQ(text("readlink", {1, 0x7ffd, 4096}, -22, {str(0, "/etc")}),
              R"(readlink("/etc", 0x7ffd, 4096) = -1 EINVAL (Invalid argument))");
    EXPECT_EQ(
        text("statx", {at_fdcwd, 1, 0x900, 0x7ff, 0x10}, 0, {str(1, "/x")}),
        R"(statx(AT_FDCWD, "/x", AT_STATX_SYNC_AS_STAT|AT_SYMLINK_NOFOLLOW|AT_NO_AUTOMOUNT, STATX_BASIC_STATS, 0x10) = 0)");
    EXPECT_EQ(text("mount", {1, 2, 3, 0x1000, 4}, 0, {str(0, "/a"), str(1, "/b")}),
              R"(mount("/a", "/b", 0x3, MS_BIND, 0x4) = 0)");
    EXPECT_EQ(text("pipe2", {0x7ffd, 02000000}, 0, {data(0, 3, 4)}), "pipe2([3, 4], O_CLOEXEC) = 0");
    EXPECT_EQ(text("pipe2", {0x7ffd, 0}, -24), "pipe2(0x7ffd, 0) = -1 EMFILE (Too many open files)");
    EXPECT_EQ(text("inotify_add_watch", {3, 1, 0x102}, 1, {str(1, "/tmp")}),
              R"(inotify_add_watch(3, "/tmp", IN_MODIFY|IN_CREATE) = 1)");
}

TEST(SyscallText, StringsAreQuotedAsStraceQuotesThem) {
    EXPECT_EQ(text("chdir", {1}, -2,
                   {str(0,
                        "a\"b\\c\n\t\x01"
                        "2\x7f\xc3\xa9")}),
              R"(chdir("a\"b\\c\n\t\0012\177\303\251") = -1 ENOENT (No such file or directory))");
    EXPECT_EQ(text("chdir", {1}, 0, {str(0, "/very/lo", FR_BLOB_CUT)}), R"(chdir("/very/lo"...) = 0)");
    EXPECT_EQ(text("chdir", {0x7f00}, -14, {str(0, "", FR_BLOB_FAULT)}), "chdir(0x7f00) = -1 EFAULT (Bad address)");
    EXPECT_EQ(text("acct", {0}, -1), "acct(NULL) = -1 EPERM (Operation not permitted)");
}

TEST(SyscallText, Fcntl) {
    EXPECT_EQ(text("fcntl", {3, 1}, 1), "fcntl(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)");
    EXPECT_EQ(text("fcntl", {3, 1}, 0), "fcntl(3, F_GETFD) = 0");
    EXPECT_EQ(text("fcntl", {3, 2, 1}, 0), "fcntl(3, F_SETFD, FD_CLOEXEC) = 0");
    EXPECT_EQ(text("fcntl", {1, 3}, 0x8402), "fcntl(1, F_GETFL) = 0x8402 (flags O_RDWR|O_APPEND|O_LARGEFILE)");
    EXPECT_EQ(text("fcntl", {1, 4, 0x802}, 0), "fcntl(1, F_SETFL, O_RDWR|O_NONBLOCK) = 0");
    EXPECT_EQ(text("fcntl", {1, 1030, 10}, 10), "fcntl(1, F_DUPFD_CLOEXEC, 10) = 10");
    EXPECT_EQ(
        text("fcntl", {3, 6, 0x10}, 0, {data(2, uint16_t{1}, uint16_t{0}, 0, int64_t{5}, int64_t{0}, int64_t{0})}),
        "fcntl(3, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=0}) = 0");
}

TEST(SyscallText, Memory) {
    EXPECT_EQ(text("mmap", {0, 8192, 3, 0x22, 0xffffffff, 0}, 0x7f1122334000),
              "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f1122334000");
    EXPECT_EQ(text("mmap", {0x7f00, 1, 1, 0x812, 3, 0x26000}, 0x7f00),
              "mmap(0x7f00, 1, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_DENYWRITE, 3, 0x26000) = 0x7f00");
    EXPECT_EQ(text("mmap", {0, uint64_t{1} << 46, 3, 0x22, 0xffffffff, 0}, -12),
              "mmap(NULL, 70368744177664, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = -1 ENOMEM (Cannot "
              "allocate memory)");
    EXPECT_EQ(text("mprotect", {0x7f00, 4096, 0}), "mprotect(0x7f00, 4096, PROT_NONE) = 0");
    EXPECT_EQ(text("brk", {0}, 0x55d0), "brk(NULL) = 0x55d0");
    EXPECT_EQ(text("mremap", {0x10, 1, 2, 1, 99}, 0x20), "mremap(0x10, 1, 2, MREMAP_MAYMOVE) = 0x20");
    EXPECT_EQ(text("mremap", {0x10, 1, 2, 3, 0x30}, 0x30),
              "mremap(0x10, 1, 2, MREMAP_MAYMOVE|MREMAP_FIXED, 0x30) = 0x30");
    EXPECT_EQ(text("madvise", {0x10, 4096, 4}), "madvise(0x10, 4096, MADV_DONTNEED) = 0");
    EXPECT_EQ(text("memfd_create", {1, 3}, 4, {str(0, "x")}),
              R"(memfd_create("x", MFD_CLOEXEC|MFD_ALLOW_SEALING) = 4)");
    EXPECT_EQ(text("shmget", {0, 100, 01600}, 5), "shmget(IPC_PRIVATE, 100, IPC_CREAT|0600) = 5");
}

TEST(SyscallText, Processes) {
    EXPECT_EQ(text("execve", {1, 2, 0x7ffe}, 0, {str(0, "/bin/ls"), str(1, std::string("ls\0-l\0a b\0", 10))}),
              R"(execve("/bin/ls", ["ls", "-l", "a b"], 0x7ffe) = 0)");
    EXPECT_EQ(
        text("clone", {0x1200011, 0, 0, 0x7f10, 0}, 77),
        "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f10) = 77");
    EXPECT_EQ(text("clone3", {1, 88}, 9,
                   {data(0, uint64_t{0x3d0f00}, uint64_t{0}, uint64_t{0x10}, uint64_t{0x10}, uint64_t{0},
                         uint64_t{0x20}, uint64_t{0x7fff00}, uint64_t{0x30}, uint64_t{0}, uint64_t{0}, uint64_t{0})}),
              "clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|"
              "CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID, child_tid=0x10, parent_tid=0x10, exit_signal=0, stack=0x20, "
              "stack_size=0x7fff00, tls=0x30}, 88) = 9");
    EXPECT_EQ(text("wait4", {0xffffffff, 0x10, 0, 0}, 77, {data(1, 256)}),
              "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 1}], 0, NULL) = 77");
    EXPECT_EQ(text("wait4", {0xffffffff, 0x10, 0, 0}, 77, {data(1, 139)}),
              "wait4(-1, [{WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV && WCOREDUMP(s)}], 0, NULL) = 77");
    EXPECT_EQ(text("wait4", {77, 0x10, 1, 0}, 0, {data(1, 5)}), "wait4(77, 0x10, WNOHANG, NULL) = 0");
    EXPECT_EQ(text("kill", {77, 9}, -3), "kill(77, SIGKILL) = -1 ESRCH (No such process)");
    EXPECT_EQ(text("prlimit64", {0, 7, 0, 0x10}, 0, {data(3, uint64_t{1024}, ~uint64_t{0})}),
              "prlimit64(0, RLIMIT_NOFILE, NULL, {rlim_cur=1024, rlim_max=RLIM64_INFINITY}) = 0");
    EXPECT_EQ(text("prlimit64", {0, 3, 0, 0x10}, 0, {data(3, uint64_t{8192 * 1024}, ~uint64_t{0})}),
              "prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0");
    EXPECT_EQ(text("prctl", {15, 1, 8, 8, 8}, 0, {str(1, "worker")}), R"(prctl(PR_SET_NAME, "worker") = 0)");
    EXPECT_EQ(text("prctl", {15, 1}, 0, {str(1, "0123456789abcdefg")}),
              R"(prctl(PR_SET_NAME, "0123456789abcde"...) = 0)");
    EXPECT_EQ(text("prctl", {0x53564d41, 0, 0x7f00, 4096, 0}),
              "prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0x7f00, 4096, NULL) = 0");
    EXPECT_EQ(text("arch_prctl", {0x1002, 0x7f00}), "arch_prctl(ARCH_SET_FS, 0x7f00) = 0");
    EXPECT_EQ(text("set_tid_address", {0x7f00}, 5), "set_tid_address(0x7f00) = 5");
    EXPECT_EQ(text("rseq", {0x7f00, 32, 0, 0x53053053}), "rseq(0x7f00, 0x20, 0, 0x53053053) = 0");
    EXPECT_EQ(text("sched_getscheduler", {0}, 0), "sched_getscheduler(0) = 0 (SCHED_OTHER)");
    EXPECT_EQ(text("exit_group", {0}), "exit_group(0) = ?");
}

TEST(SyscallText, Signals) {
    EXPECT_EQ(text("rt_sigaction", {2, 0x10, 0, 8}, 0,
                   {data(1, uint64_t{0x5500}, uint64_t{0x14000000}, uint64_t{0x7f00}, uint64_t{0x4002})}),
              "rt_sigaction(SIGINT, {sa_handler=0x5500, sa_mask=[INT TERM], sa_flags=SA_RESTORER|SA_RESTART, "
              "sa_restorer=0x7f00}, NULL, 8) = 0");
    EXPECT_EQ(text("rt_sigprocmask", {0, 0x10, 0, 8}, 0, {data(1, ~uint64_t{0})}),
              "rt_sigprocmask(SIG_BLOCK, ~[], NULL, 8) = 0");
    EXPECT_EQ(
        text("rt_sigprocmask", {2, 0x10, 0x20, 8}, 0, {data(1, uint64_t{1} << 33 | 1 << 16), data(2, uint64_t{0})}),
        "rt_sigprocmask(SIG_SETMASK, [CHLD RT_2], [], 8) = 0");
    EXPECT_EQ(text("tgkill", {5, 6, 33}), "tgkill(5, 6, SIGRT_1) = 0");
    EXPECT_EQ(text("sigaltstack", {0x10, 0}, 0, {data(0, uint64_t{0x7000}, 0, 0, uint64_t{8192})}),
              "sigaltstack({ss_sp=0x7000, ss_flags=0, ss_size=8192}, NULL) = 0");
    EXPECT_EQ(text("pause", {}, -514), "pause() = ? ERESTARTNOHAND (To be restarted if no handler)");
}

TEST(SyscallText, Time) {
    EXPECT_EQ(text("nanosleep", {0x10, 0x20}, 0, {data(0, int64_t{1}, int64_t{500})}),
              "nanosleep({tv_sec=1, tv_nsec=500}, 0x20) = 0");
    EXPECT_EQ(text("clock_nanosleep", {1, 1, 0x10, 0}, 0, {data(2, int64_t{1}, int64_t{0})}),
              "clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, {tv_sec=1, tv_nsec=0}, NULL) = 0");
    EXPECT_EQ(text("nanosleep", {0x10, 0}, -516, {data(0, int64_t{1}, int64_t{0})}),
              "nanosleep({tv_sec=1, tv_nsec=0}, NULL) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)");
    EXPECT_EQ(text("timerfd_create", {1, 02004000}, 3),
              "timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC|TFD_NONBLOCK) = 3");
    EXPECT_EQ(text("utimensat", {at_fdcwd, 1, 0, 0}, 0, {str(1, "f")}), R"(utimensat(AT_FDCWD, "f", NULL, 0) = 0)");
}

TEST(SyscallText, Sockets) {
    const std::string inet("\2\0\0\x50\x7f\0\0\1\0\0\0\0\0\0\0\0", 16);
    EXPECT_EQ(text("socket", {2, 02004001, 6}, 3),
              "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, IPPROTO_TCP) = 3");
    EXPECT_EQ(
        text("connect", {3, 0x10, 16}, -115, {sockaddr(1, inet)}),
        R"(connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 EINPROGRESS (Operation now in progress))");
    EXPECT_EQ(
        text("accept4", {3, 0x10, 0x20, 04000}, 5, {sockaddr(1, inet), data(2, 16)}),
        R"(accept4(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, [16], SOCK_NONBLOCK) = 5)");
    EXPECT_EQ(
        text("bind", {3, 0x10, 28}, 0,
             {sockaddr(1,
                       std::string("\12\0\x1f\x90\0\0\0\0", 8) + std::string(15, '\0') + "\1" + std::string(4, '\0'))}),
        R"(bind(3, {sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = 0)");
    EXPECT_EQ(text("connect", {3, 0x10, 110}, 0, {sockaddr(1, std::string("\1\0/run/x.sock\0", 14))}),
              R"(connect(3, {sa_family=AF_UNIX, sun_path="/run/x.sock"}, 110) = 0)");
    EXPECT_EQ(text("bind", {3, 0x10, 6}, 0, {sockaddr(1, std::string("\1\0\0abc", 6))}),
              R"(bind(3, {sa_family=AF_UNIX, sun_path=@"abc"}, 6) = 0)");
    EXPECT_EQ(text("bind", {3, 0x10, 12}, 0, {sockaddr(1, std::string("\20\0\0\0\0\0\0\0\0\0\0\0", 12))}),
              "bind(3, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 0");
    EXPECT_EQ(text("setsockopt", {3, 1, 2, 0x10, 4}, 0, {data(3, 1)}),
              "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0");
    EXPECT_EQ(text("setsockopt", {3, 6, 1, 0x10, 4}, 0, {data(3, 1)}),
              "setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0");
    EXPECT_EQ(text("getsockopt", {3, 1, 4, 0x10, 0x20}, 0, {data(3, 111), data(4, 4)}),
              "getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0");
    EXPECT_EQ(text("sendto", {3, 0x10, 5, 0x4000, 0, 0}, 5), "sendto(3, 0x10, 5, MSG_NOSIGNAL, NULL, 0) = 5");
    EXPECT_EQ(text("socketpair", {1, 1, 0, 0x10}, 0, {data(3, 3, 4)}),
              "socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0");
    EXPECT_EQ(text("shutdown", {3, 1}, -107),
              "shutdown(3, SHUT_WR) = -1 ENOTCONN (Transport endpoint is not connected)");
}

TEST(SyscallText, Events) {
    EXPECT_EQ(text("poll", {0x10, 1, 1000}, 1, {data(0, 3, uint16_t{1}, uint16_t{1})}),
              "poll([{fd=3, events=POLLIN}], 1, 1000) = 1 ([{fd=3, revents=POLLIN}])");
    EXPECT_EQ(text("poll", {0x10, 1, 0xffffffff}, 0, {data(0, 3, uint16_t{5}, uint16_t{0})}),
              "poll([{fd=3, events=POLLIN|POLLOUT}], 1, -1) = 0 (Timeout)");
    EXPECT_EQ(text("epoll_ctl", {4, 1, 5, 0x10}, 0, {data(3, 0x80000001U, 5U, 0U)}),
              "epoll_ctl(4, EPOLL_CTL_ADD, 5, {events=EPOLLIN|EPOLLET, data={u32=5, u64=5}}) = 0");
    EXPECT_EQ(text("epoll_wait", {4, 0x10, 512, 0xffffffff}, 1), "epoll_wait(4, 0x10, 512, -1) = 1");
    EXPECT_EQ(text("futex", {0x7f00, 0x80, 2, 0}, -11),
              "futex(0x7f00, FUTEX_WAIT_PRIVATE, 2, NULL) = -1 EAGAIN (Resource temporarily unavailable)");
    EXPECT_EQ(text("futex", {0x7f00, 0x189, 0, 0x10, 0, 0xffffffff}, -110, {data(3, int64_t{5}, int64_t{6})}),
              "futex(0x7f00, FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME, 0, {tv_sec=5, tv_nsec=6}, "
              "FUTEX_BITSET_MATCH_ANY) = -1 ETIMEDOUT (Connection timed out)");
    EXPECT_EQ(text("futex", {0x7f00, 0x81, 1, 0x10}, 1), "futex(0x7f00, FUTEX_WAKE_PRIVATE, 1) = 1");
    EXPECT_EQ(text("eventfd2", {0, 02004000}, 3), "eventfd2(0, EFD_CLOEXEC|EFD_NONBLOCK) = 3");
}

TEST(SyscallText, Ioctl) {
    EXPECT_EQ(text("ioctl", {3, 0x5401, 0x7ffd}, -25),
              "ioctl(3, TCGETS, 0x7ffd) = -1 ENOTTY (Inappropriate ioctl for device)");
    EXPECT_EQ(text("ioctl", {3, 0x5451, 0x7ffd}), "ioctl(3, FIOCLEX) = 0");
    EXPECT_EQ(text("ioctl", {3, 0x40045678, 0x7ffd}), "ioctl(3, _IOC(_IOC_WRITE, 0x56, 0x78, 0x4), 0x7ffd) = 0");
}

TEST(SyscallText, ValuesWithoutNameStayNumbers) {
    EXPECT_EQ(text("madvise", {0x10, 1, 99}, -22),
              "madvise(0x10, 1, 0x63 /* MADV_??? */) = -1 EINVAL (Invalid argument)");
    EXPECT_EQ(text("openat", {3, 0, 0x40000000}, -22),
              "openat(3, NULL, O_RDONLY|0x40000000) = -1 EINVAL (Invalid argument)");
    EXPECT_EQ(text("close", {3}, -4000), "close(3) = -1 (errno 4000)");
    const SyscallRecord unknown(FR_CLASS_SYSCALL, 500, {1, 2, 3, 4, 5, 0}, -38);
    EXPECT_EQ(show(unknown), "syscall_0x1f4(0x1, 0x2, 0x3, 0x4, 0x5, 0) = -1 ENOSYS (Function not implemented)");
}

TEST(SyscallText, StringsAreCutAtTheLimitAndPathsAreNot) {
    const auto open = record("openat", {at_fdcwd, 0x7f00, 0}, 3, {str(1, "/a/long/path/to/a/file")});
    EXPECT_EQ(show(open, {.arch = Arch::x86_64, .string_limit = 4}),
              R"(openat(AT_FDCWD, "/a/long/path/to/a/file", O_RDONLY) = 3)");
    const auto memory = record("memfd_create", {0x7f00, 0}, 3, {str(0, "scratch")});
    EXPECT_EQ(show(memory, {.arch = Arch::x86_64, .string_limit = 4}), R"(memfd_create("scra"..., 0) = 3)");
    EXPECT_EQ(show(memory, {.arch = Arch::x86_64, .string_limit = 7}), R"(memfd_create("scratch", 0) = 3)");
}

TEST(SyscallText, CallsThatHaveNotReturned) {
    SyscallRecord made(FR_CLASS_UNFINISHED, 202, {0x7f00, 0x80, 2, 0});
    made.head().enter_ns = 1'000'000'000;
    made.head().event.time_ns = 4'200'000'000;
    EXPECT_EQ(show(made), "futex(0x7f00, FUTEX_WAIT_PRIVATE, 2, NULL) <unfinished ...> for 3.2 s");
    SyscallRecord entry(FR_CLASS_SYSCALL_ENTER, 59, {1, 2, 3});
    entry.blob(FR_BLOB_ARG0, "/bin/ls");
    EXPECT_EQ(show(entry), R"(execve("/bin/ls", 0x2, 0x3) <unfinished ...>)");
    EXPECT_EQ(show(SyscallRecord(FR_CLASS_SYSCALL_ENTER, 231, {3})), "exit_group(3) = ?");
}

TEST(SyscallText, DescriptorsByName) {
    const FdName names = [](uint32_t pid, int fd) -> std::string_view {
        return pid != 1 ? "wrong process" : fd == 3 ? "/etc/passwd" : fd == -100 ? "/root" : "";
    };
    const SyscallOptions options{.arch = Arch::x86_64, .fd_name = &names};
    EXPECT_EQ(show(record("read", {3, 0x10, 5}, 5), options), "read(3</etc/passwd>, 0x10, 5) = 5");
    EXPECT_EQ(show(record("dup", {4}, 3), options), "dup(4) = 3</etc/passwd>");
    EXPECT_EQ(show(record("openat", {at_fdcwd, 1, 0}, 3, {str(1, "x")}), options),
              R"(openat(AT_FDCWD</root>, "x", O_RDONLY) = 3</etc/passwd>)");
}

TEST(SyscallText, Arm64HasItsOwnNumbersAndFlags) {
    const SyscallOptions arm{.arch = Arch::arm64};
    EXPECT_EQ(show(record("openat", {at_fdcwd, 1, 0x84000}, 3, {str(1, "/d")}, Arch::arm64), arm),
              R"(openat(AT_FDCWD, "/d", O_RDONLY|O_CLOEXEC|O_DIRECTORY) = 3)");
    EXPECT_EQ(
        show(record("clone", {0x3d0f00, 0x10, 0x20, 0x30, 0x40}, 9, {}, Arch::arm64), arm),
        "clone(child_stack=0x10, flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|"
        "CLONE_SETTLS|CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID, parent_tid=0x20, tls=0x30, child_tidptr=0x40) = 9");
}

TEST(SyscallText, CompatCallsAreNotTakenForNativeOnes) {
    SyscallRecord made(FR_CLASS_SYSCALL, 5, {1, 2, 3}, 0);
    made.head().event.flags = FR_EVENT_COMPAT;
    EXPECT_TRUE(show(made).starts_with("compat_syscall_0x5(0x1, 0x2, 0x3")) << show(made);
}

TEST(SyscallText, ABlobTooShortForItsStructureIsShownAsTheAddress) {
    EXPECT_EQ(text("nanosleep", {0x10, 0}, 0, {data(0, 1)}), "nanosleep(0x10, NULL) = 0");
    EXPECT_EQ(text("connect", {3, 0x10, 1}, -22, {sockaddr(1, "\2")}),
              "connect(3, 0x10, 1) = -1 EINVAL (Invalid argument)");
    EXPECT_EQ(text("poll", {0x10, 1, 0}, 0, {data(0, 1)}), "poll(0x10, 1, 0) = 0 (Timeout)");
}

// Every call with every blob, garbage in all of them: nothing may be read past its end, nothing may reach a terminal.
TEST(SyscallText, GarbageStaysPrintable) {
    uint64_t state = 1;
    const auto next = [&] { return state = state * 6364136223846793005ULL + 1442695040888963407ULL; };
    for (unsigned round = 0; round < 20; ++round)
        for (uint32_t nr = 0; nr < schemas::kSyscallLimit + 2; ++nr) {
            std::array<uint64_t, 6> args;
            for (uint64_t& arg : args) arg = next() >> (next() >> 58);
            SyscallRecord made(FR_CLASS_SYSCALL, nr, args, static_cast<int64_t>(next()) >> (next() >> 58));
            for (const uint8_t first : {FR_BLOB_ARG0, FR_BLOB_SOCKADDR0, FR_BLOB_DATA0})
                for (uint8_t i = 0; i < 6; ++i) {
                    std::string bytes(next() >> 57, '\0');
                    for (char& byte : bytes) byte = static_cast<char>(next() >> 56);
                    made.blob(static_cast<uint8_t>(first + i), bytes, static_cast<uint8_t>(next() >> 63));
                }
            for (const Arch arch : {Arch::x86_64, Arch::arm64}) {
                const std::string line = show(made, {.arch = arch});
                for (const char c : line) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << nr << ": " << line;
            }
        }
}

TEST(SyscallFields, AsJson) {
    std::string out;
    JsonLine json(out);
    json.open();
    const SyscallRecord made = record("openat", {at_fdcwd, 0x7f00, 02000000, 0x99}, -2, {str(1, "/x")});
    append_syscall_fields(json, {made.ref(), {.arch = Arch::x86_64}});
    json.close();
    EXPECT_EQ(out, R"({"syscall":"openat","nr":257,"args":["0xffffff9c","0x7f00","0x80000","0x99"],)"
                   R"("text":["AT_FDCWD","\"/x\"","O_RDONLY|O_CLOEXEC"],"result":-1,"errno":"ENOENT"})");
}

}  // namespace
}  // namespace flightrec::replay
