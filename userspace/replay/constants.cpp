// SPDX-License-Identifier: Apache-2.0
// Tables of constants; see the header for their sources.
#include "userspace/replay/constants.h"

#include <fmt/format.h>

#include <iterator>

namespace flightrec::replay {
namespace {

constexpr Constant kAccessMode[] = {{0, "F_OK"}, {4, "R_OK"}, {2, "W_OK"}, {1, "X_OK"}};
constexpr Constant kAccessType[] = {{0, "O_RDONLY"}, {1, "O_WRONLY"}, {2, "O_RDWR"}, {3, "O_ACCMODE"}};
constexpr Constant kArchPrctlCode[] = {{0x1001, "ARCH_SET_GS"},
                                       {0x1002, "ARCH_SET_FS"},
                                       {0x1003, "ARCH_GET_FS"},
                                       {0x1004, "ARCH_GET_GS"},
                                       {0x1011, "ARCH_GET_CPUID"},
                                       {0x1012, "ARCH_SET_CPUID"},
                                       {0x1021, "ARCH_GET_XCOMP_SUPP"},
                                       {0x1022, "ARCH_GET_XCOMP_PERM"},
                                       {0x1023, "ARCH_REQ_XCOMP_PERM"},
                                       {0x1024, "ARCH_GET_XCOMP_GUEST_PERM"},
                                       {0x1025, "ARCH_REQ_XCOMP_GUEST_PERM"},
                                       {0x2001, "ARCH_MAP_VDSO_X32"},
                                       {0x2002, "ARCH_MAP_VDSO_32"},
                                       {0x2003, "ARCH_MAP_VDSO_64"},
                                       {0x4001, "ARCH_GET_UNTAG_MASK"},
                                       {0x4002, "ARCH_ENABLE_TAGGED_ADDR"},
                                       {0x4003, "ARCH_GET_MAX_TAG_BITS"},
                                       {0x4004, "ARCH_FORCE_TAGGED_SVA"},
                                       {0x5001, "ARCH_SHSTK_ENABLE"},
                                       {0x5002, "ARCH_SHSTK_DISABLE"},
                                       {0x5003, "ARCH_SHSTK_LOCK"},
                                       {0x5004, "ARCH_SHSTK_UNLOCK"},
                                       {0x5005, "ARCH_SHSTK_STATUS"}};
constexpr Constant kAtFlags[] = {{0x100, "AT_SYMLINK_NOFOLLOW"}, {0x200, "AT_REMOVEDIR"},
                                 {0x400, "AT_SYMLINK_FOLLOW"},   {0x800, "AT_NO_AUTOMOUNT"},
                                 {0x1000, "AT_EMPTY_PATH"},      {0x8000, "AT_RECURSIVE"}};
constexpr Constant kAtFlagsAccess[] = {
    {0x100, "AT_SYMLINK_NOFOLLOW"}, {0x200, "AT_EACCESS"}, {0x1000, "AT_EMPTY_PATH"}};
constexpr Constant kAtFlagsHandle[] = {{0x400, "AT_SYMLINK_FOLLOW"},
                                       {0x1000, "AT_EMPTY_PATH"},
                                       {0x200, "AT_HANDLE_FID"},
                                       {1, "AT_HANDLE_MNT_ID_UNIQUE"},
                                       {2, "AT_HANDLE_CONNECTABLE"}};
constexpr Constant kMovePagesFlags[] = {{2, "MPOL_MF_MOVE"}, {4, "MPOL_MF_MOVE_ALL"}};
constexpr Constant kBpfCmd[] = {{0, "BPF_MAP_CREATE"},
                                {1, "BPF_MAP_LOOKUP_ELEM"},
                                {2, "BPF_MAP_UPDATE_ELEM"},
                                {3, "BPF_MAP_DELETE_ELEM"},
                                {4, "BPF_MAP_GET_NEXT_KEY"},
                                {5, "BPF_PROG_LOAD"},
                                {6, "BPF_OBJ_PIN"},
                                {7, "BPF_OBJ_GET"},
                                {8, "BPF_PROG_ATTACH"},
                                {9, "BPF_PROG_DETACH"},
                                {0xa, "BPF_PROG_TEST_RUN"},
                                {0xb, "BPF_PROG_GET_NEXT_ID"},
                                {0xc, "BPF_MAP_GET_NEXT_ID"},
                                {0xd, "BPF_PROG_GET_FD_BY_ID"},
                                {0xe, "BPF_MAP_GET_FD_BY_ID"},
                                {0xf, "BPF_OBJ_GET_INFO_BY_FD"},
                                {0x10, "BPF_PROG_QUERY"},
                                {0x11, "BPF_RAW_TRACEPOINT_OPEN"},
                                {0x12, "BPF_BTF_LOAD"},
                                {0x13, "BPF_BTF_GET_FD_BY_ID"},
                                {0x14, "BPF_TASK_FD_QUERY"},
                                {0x15, "BPF_MAP_LOOKUP_AND_DELETE_ELEM"},
                                {0x16, "BPF_MAP_FREEZE"},
                                {0x17, "BPF_BTF_GET_NEXT_ID"},
                                {0x18, "BPF_MAP_LOOKUP_BATCH"},
                                {0x19, "BPF_MAP_LOOKUP_AND_DELETE_BATCH"},
                                {0x1a, "BPF_MAP_UPDATE_BATCH"},
                                {0x1b, "BPF_MAP_DELETE_BATCH"},
                                {0x1c, "BPF_LINK_CREATE"},
                                {0x1d, "BPF_LINK_UPDATE"},
                                {0x1e, "BPF_LINK_GET_FD_BY_ID"},
                                {0x1f, "BPF_LINK_GET_NEXT_ID"},
                                {0x20, "BPF_ENABLE_STATS"},
                                {0x21, "BPF_ITER_CREATE"},
                                {0x22, "BPF_LINK_DETACH"},
                                {0x23, "BPF_PROG_BIND_MAP"},
                                {0x24, "BPF_TOKEN_CREATE"},
                                {0x25, "BPF_PROG_STREAM_READ_BY_FD"}};
constexpr Constant kCapAmbient[] = {{1, "PR_CAP_AMBIENT_IS_SET"},
                                    {2, "PR_CAP_AMBIENT_RAISE"},
                                    {3, "PR_CAP_AMBIENT_LOWER"},
                                    {4, "PR_CAP_AMBIENT_CLEAR_ALL"}};
constexpr Constant kCapability[] = {{0, "CAP_CHOWN"},
                                    {1, "CAP_DAC_OVERRIDE"},
                                    {2, "CAP_DAC_READ_SEARCH"},
                                    {3, "CAP_FOWNER"},
                                    {4, "CAP_FSETID"},
                                    {5, "CAP_KILL"},
                                    {6, "CAP_SETGID"},
                                    {7, "CAP_SETUID"},
                                    {8, "CAP_SETPCAP"},
                                    {9, "CAP_LINUX_IMMUTABLE"},
                                    {0xa, "CAP_NET_BIND_SERVICE"},
                                    {0xb, "CAP_NET_BROADCAST"},
                                    {0xc, "CAP_NET_ADMIN"},
                                    {0xd, "CAP_NET_RAW"},
                                    {0xe, "CAP_IPC_LOCK"},
                                    {0xf, "CAP_IPC_OWNER"},
                                    {0x10, "CAP_SYS_MODULE"},
                                    {0x11, "CAP_SYS_RAWIO"},
                                    {0x12, "CAP_SYS_CHROOT"},
                                    {0x13, "CAP_SYS_PTRACE"},
                                    {0x14, "CAP_SYS_PACCT"},
                                    {0x15, "CAP_SYS_ADMIN"},
                                    {0x16, "CAP_SYS_BOOT"},
                                    {0x17, "CAP_SYS_NICE"},
                                    {0x18, "CAP_SYS_RESOURCE"},
                                    {0x19, "CAP_SYS_TIME"},
                                    {0x1a, "CAP_SYS_TTY_CONFIG"},
                                    {0x1b, "CAP_MKNOD"},
                                    {0x1c, "CAP_LEASE"},
                                    {0x1d, "CAP_AUDIT_WRITE"},
                                    {0x1e, "CAP_AUDIT_CONTROL"},
                                    {0x1f, "CAP_SETFCAP"},
                                    {0x20, "CAP_MAC_OVERRIDE"},
                                    {0x21, "CAP_MAC_ADMIN"},
                                    {0x22, "CAP_SYSLOG"},
                                    {0x23, "CAP_WAKE_ALARM"},
                                    {0x24, "CAP_BLOCK_SUSPEND"},
                                    {0x25, "CAP_AUDIT_READ"},
                                    {0x26, "CAP_PERFMON"},
                                    {0x27, "CAP_BPF"},
                                    {0x28, "CAP_CHECKPOINT_RESTORE"}};
constexpr Constant kClockId[] = {
    {0, "CLOCK_REALTIME"},          {1, "CLOCK_MONOTONIC"},     {2, "CLOCK_PROCESS_CPUTIME_ID"},
    {3, "CLOCK_THREAD_CPUTIME_ID"}, {4, "CLOCK_MONOTONIC_RAW"}, {5, "CLOCK_REALTIME_COARSE"},
    {6, "CLOCK_MONOTONIC_COARSE"},  {7, "CLOCK_BOOTTIME"},      {8, "CLOCK_REALTIME_ALARM"},
    {9, "CLOCK_BOOTTIME_ALARM"},    {0xa, "CLOCK_SGI_CYCLE"},   {0xb, "CLOCK_TAI"}};
constexpr Constant kClone3Flags[] = {{0x80, "CLONE_NEWTIME"},
                                     {0x100, "CLONE_VM"},
                                     {0x200, "CLONE_FS"},
                                     {0x400, "CLONE_FILES"},
                                     {0x800, "CLONE_SIGHAND"},
                                     {0x1000, "CLONE_PIDFD"},
                                     {0x2000, "CLONE_PTRACE"},
                                     {0x4000, "CLONE_VFORK"},
                                     {0x8000, "CLONE_PARENT"},
                                     {0x10000, "CLONE_THREAD"},
                                     {0x20000, "CLONE_NEWNS"},
                                     {0x40000, "CLONE_SYSVSEM"},
                                     {0x80000, "CLONE_SETTLS"},
                                     {0x100000, "CLONE_PARENT_SETTID"},
                                     {0x200000, "CLONE_CHILD_CLEARTID"},
                                     {0x800000, "CLONE_UNTRACED"},
                                     {0x1000000, "CLONE_CHILD_SETTID"},
                                     {0x2000000, "CLONE_NEWCGROUP"},
                                     {0x4000000, "CLONE_NEWUTS"},
                                     {0x8000000, "CLONE_NEWIPC"},
                                     {0x10000000, "CLONE_NEWUSER"},
                                     {0x20000000, "CLONE_NEWPID"},
                                     {0x40000000, "CLONE_NEWNET"},
                                     {0x80000000, "CLONE_IO"},
                                     {0x100000000, "CLONE_CLEAR_SIGHAND"},
                                     {0x200000000, "CLONE_INTO_CGROUP"}};
// clone(2) takes those of 32 bits, without the one that shares its bit with the signal.
constexpr auto kCloneFlags = std::span(kClone3Flags).subspan(1, std::size(kClone3Flags) - 3);
constexpr Constant kCloseRangeFlags[] = {{2, "CLOSE_RANGE_UNSHARE"}, {4, "CLOSE_RANGE_CLOEXEC"}};
constexpr Constant kDeleteModuleFlags[] = {{0x800, "O_NONBLOCK"}, {0x200, "O_TRUNC"}};
constexpr Constant kDumpable[] = {{0, "SUID_DUMP_DISABLE"}, {1, "SUID_DUMP_USER"}, {2, "SUID_DUMP_ROOT"}};
constexpr Constant kEpollCreateFlags[] = {{0x80000, "EPOLL_CLOEXEC"}};
constexpr Constant kEpollEvents[] = {{1, "EPOLLIN"},
                                     {2, "EPOLLPRI"},
                                     {4, "EPOLLOUT"},
                                     {8, "EPOLLERR"},
                                     {0x10, "EPOLLHUP"},
                                     {0x20, "EPOLLNVAL"},
                                     {0x40, "EPOLLRDNORM"},
                                     {0x80, "EPOLLRDBAND"},
                                     {0x100, "EPOLLWRNORM"},
                                     {0x200, "EPOLLWRBAND"},
                                     {0x400, "EPOLLMSG"},
                                     {0x2000, "EPOLLRDHUP"},
                                     {0x10000000, "EPOLLEXCLUSIVE"},
                                     {0x20000000, "EPOLLWAKEUP"},
                                     {0x40000000, "EPOLLONESHOT"},
                                     {0x80000000, "EPOLLET"}};
constexpr Constant kEpollOp[] = {{1, "EPOLL_CTL_ADD"}, {2, "EPOLL_CTL_DEL"}, {3, "EPOLL_CTL_MOD"}};
constexpr Constant kEventfdFlags[] = {{1, "EFD_SEMAPHORE"}, {0x80000, "EFD_CLOEXEC"}, {0x800, "EFD_NONBLOCK"}};
constexpr Constant kFadvise[] = {{0, "POSIX_FADV_NORMAL"},   {1, "POSIX_FADV_RANDOM"},   {2, "POSIX_FADV_SEQUENTIAL"},
                                 {3, "POSIX_FADV_WILLNEED"}, {4, "POSIX_FADV_DONTNEED"}, {5, "POSIX_FADV_NOREUSE"}};
constexpr Constant kFallocateMode[] = {{1, "FALLOC_FL_KEEP_SIZE"},       {2, "FALLOC_FL_PUNCH_HOLE"},
                                       {4, "FALLOC_FL_NO_HIDE_STALE"},   {8, "FALLOC_FL_COLLAPSE_RANGE"},
                                       {0x10, "FALLOC_FL_ZERO_RANGE"},   {0x20, "FALLOC_FL_INSERT_RANGE"},
                                       {0x40, "FALLOC_FL_UNSHARE_RANGE"}};
constexpr Constant kFanotifyClass[] = {{0, "FAN_CLASS_NOTIF"}, {4, "FAN_CLASS_CONTENT"}, {8, "FAN_CLASS_PRE_CONTENT"}};
constexpr Constant kFanotifyInitFlags[] = {{1, "FAN_CLOEXEC"},
                                           {2, "FAN_NONBLOCK"},
                                           {0x10, "FAN_UNLIMITED_QUEUE"},
                                           {0x20, "FAN_UNLIMITED_MARKS"},
                                           {0x40, "FAN_ENABLE_AUDIT"},
                                           {0x80, "FAN_REPORT_PIDFD"},
                                           {0x100, "FAN_REPORT_TID"},
                                           {0x200, "FAN_REPORT_FID"},
                                           {0x400, "FAN_REPORT_DIR_FID"},
                                           {0x800, "FAN_REPORT_NAME"},
                                           {0x1000, "FAN_REPORT_TARGET_FID"}};
constexpr Constant kFanotifyMarkFlags[] = {{1, "FAN_MARK_ADD"},
                                           {2, "FAN_MARK_REMOVE"},
                                           {4, "FAN_MARK_DONT_FOLLOW"},
                                           {8, "FAN_MARK_ONLYDIR"},
                                           {0x10, "FAN_MARK_MOUNT"},
                                           {0x20, "FAN_MARK_IGNORED_MASK"},
                                           {0x40, "FAN_MARK_IGNORED_SURV_MODIFY"},
                                           {0x80, "FAN_MARK_FLUSH"},
                                           {0x100, "FAN_MARK_FILESYSTEM"},
                                           {0x200, "FAN_MARK_EVICTABLE"},
                                           {0x400, "FAN_MARK_IGNORE"}};
constexpr Constant kFanotifyMask[] = {{1, "FAN_ACCESS"},
                                      {2, "FAN_MODIFY"},
                                      {4, "FAN_ATTRIB"},
                                      {8, "FAN_CLOSE_WRITE"},
                                      {0x10, "FAN_CLOSE_NOWRITE"},
                                      {0x20, "FAN_OPEN"},
                                      {0x40, "FAN_MOVED_FROM"},
                                      {0x80, "FAN_MOVED_TO"},
                                      {0x100, "FAN_CREATE"},
                                      {0x200, "FAN_DELETE"},
                                      {0x400, "FAN_DELETE_SELF"},
                                      {0x800, "FAN_MOVE_SELF"},
                                      {0x1000, "FAN_OPEN_EXEC"},
                                      {0x4000, "FAN_Q_OVERFLOW"},
                                      {0x8000, "FAN_FS_ERROR"},
                                      {0x10000, "FAN_OPEN_PERM"},
                                      {0x20000, "FAN_ACCESS_PERM"},
                                      {0x40000, "FAN_OPEN_EXEC_PERM"},
                                      {0x80000, "FAN_DIR_MODIFY"},
                                      {0x40000000, "FAN_ONDIR"},
                                      {0x8000000, "FAN_EVENT_ON_CHILD"},
                                      {0x10000000, "FAN_RENAME"}};
constexpr Constant kFcntlCmd[] = {{0, "F_DUPFD"},
                                  {1, "F_GETFD"},
                                  {2, "F_SETFD"},
                                  {3, "F_GETFL"},
                                  {4, "F_SETFL"},
                                  {5, "F_GETLK"},
                                  {6, "F_SETLK"},
                                  {7, "F_SETLKW"},
                                  {8, "F_SETOWN"},
                                  {9, "F_GETOWN"},
                                  {0xa, "F_SETSIG"},
                                  {0xb, "F_GETSIG"},
                                  {0xc, "F_GETLK64"},
                                  {0xd, "F_SETLK64"},
                                  {0xe, "F_SETLKW64"},
                                  {0xf, "F_SETOWN_EX"},
                                  {0x10, "F_GETOWN_EX"},
                                  {0x11, "F_GETOWNER_UIDS"},
                                  {0x24, "F_OFD_GETLK"},
                                  {0x25, "F_OFD_SETLK"},
                                  {0x26, "F_OFD_SETLKW"},
                                  {0x400, "F_SETLEASE"},
                                  {0x401, "F_GETLEASE"},
                                  {0x402, "F_NOTIFY"},
                                  {0x403, "F_DUPFD_QUERY"},
                                  {0x404, "F_CREATED_QUERY"},
                                  {0x405, "F_CANCELLK"},
                                  {0x406, "F_DUPFD_CLOEXEC"},
                                  {0x407, "F_SETPIPE_SZ"},
                                  {0x408, "F_GETPIPE_SZ"},
                                  {0x409, "F_ADD_SEALS"},
                                  {0x40a, "F_GET_SEALS"},
                                  {0x40b, "F_GET_RW_HINT"},
                                  {0x40c, "F_SET_RW_HINT"},
                                  {0x40d, "F_GET_FILE_RW_HINT"},
                                  {0x40e, "F_SET_FILE_RW_HINT"}};
constexpr Constant kFdFlags[] = {{1, "FD_CLOEXEC"}};
constexpr Constant kFinitModuleFlags[] = {
    {1, "MODULE_INIT_IGNORE_MODVERSIONS"}, {2, "MODULE_INIT_IGNORE_VERMAGIC"}, {4, "MODULE_INIT_COMPRESSED_FILE"}};
constexpr Constant kFlockOp[] = {{1, "LOCK_SH"},      {2, "LOCK_EX"},    {4, "LOCK_NB"},      {8, "LOCK_UN"},
                                 {0x20, "LOCK_MAND"}, {0xc0, "LOCK_RW"}, {0x40, "LOCK_READ"}, {0x80, "LOCK_WRITE"}};
constexpr Constant kFsconfigCmd[] = {
    {0, "FSCONFIG_SET_FLAG"},   {1, "FSCONFIG_SET_STRING"},      {2, "FSCONFIG_SET_BINARY"},
    {3, "FSCONFIG_SET_PATH"},   {4, "FSCONFIG_SET_PATH_EMPTY"},  {5, "FSCONFIG_SET_FD"},
    {6, "FSCONFIG_CMD_CREATE"}, {7, "FSCONFIG_CMD_RECONFIGURE"}, {8, "FSCONFIG_CMD_CREATE_EXCL"}};
constexpr Constant kFsmountFlags[] = {{1, "FSMOUNT_CLOEXEC"}};
constexpr Constant kFsopenFlags[] = {{1, "FSOPEN_CLOEXEC"}};
constexpr Constant kFspickFlags[] = {
    {1, "FSPICK_CLOEXEC"}, {2, "FSPICK_SYMLINK_NOFOLLOW"}, {4, "FSPICK_NO_AUTOMOUNT"}, {8, "FSPICK_EMPTY_PATH"}};
constexpr Constant kFutex2Flags[] = {{0x80, "FUTEX2_PRIVATE"}, {4, "FUTEX2_NUMA"}, {8, "FUTEX2_MPOL"}};
constexpr Constant kFutex2Size[] = {
    {0, "FUTEX2_SIZE_U8"}, {1, "FUTEX2_SIZE_U16"}, {2, "FUTEX2_SIZE_U32"}, {3, "FUTEX2_SIZE_U64"}};
constexpr Constant kFutexOp[] = {{0, "FUTEX_WAIT"},
                                 {1, "FUTEX_WAKE"},
                                 {2, "FUTEX_FD"},
                                 {3, "FUTEX_REQUEUE"},
                                 {4, "FUTEX_CMP_REQUEUE"},
                                 {5, "FUTEX_WAKE_OP"},
                                 {6, "FUTEX_LOCK_PI"},
                                 {7, "FUTEX_UNLOCK_PI"},
                                 {8, "FUTEX_TRYLOCK_PI"},
                                 {9, "FUTEX_WAIT_BITSET"},
                                 {0xa, "FUTEX_WAKE_BITSET"},
                                 {0xb, "FUTEX_WAIT_REQUEUE_PI"},
                                 {0xc, "FUTEX_CMP_REQUEUE_PI"},
                                 {0xd, "FUTEX_LOCK_PI2"},
                                 {0x80, "FUTEX_WAIT_PRIVATE"},
                                 {0x81, "FUTEX_WAKE_PRIVATE"},
                                 {0x83, "FUTEX_REQUEUE_PRIVATE"},
                                 {0x84, "FUTEX_CMP_REQUEUE_PRIVATE"},
                                 {0x85, "FUTEX_WAKE_OP_PRIVATE"},
                                 {0x86, "FUTEX_LOCK_PI_PRIVATE"},
                                 {0x87, "FUTEX_UNLOCK_PI_PRIVATE"},
                                 {0x88, "FUTEX_TRYLOCK_PI_PRIVATE"},
                                 {0x89, "FUTEX_WAIT_BITSET_PRIVATE"},
                                 {0x8a, "FUTEX_WAKE_BITSET_PRIVATE"},
                                 {0x8b, "FUTEX_WAIT_REQUEUE_PI_PRIVATE"},
                                 {0x8c, "FUTEX_CMP_REQUEUE_PI_PRIVATE"},
                                 {0x8d, "FUTEX_LOCK_PI2_PRIVATE"}};
constexpr Constant kFutexWakeCmp[] = {{0, "FUTEX_OP_CMP_EQ"}, {1, "FUTEX_OP_CMP_NE"}, {2, "FUTEX_OP_CMP_LT"},
                                      {3, "FUTEX_OP_CMP_LE"}, {4, "FUTEX_OP_CMP_GT"}, {5, "FUTEX_OP_CMP_GE"}};
constexpr Constant kFutexWakeOp[] = {
    {0, "FUTEX_OP_SET"}, {1, "FUTEX_OP_ADD"}, {2, "FUTEX_OP_OR"}, {3, "FUTEX_OP_ANDN"}, {4, "FUTEX_OP_XOR"}};
constexpr Constant kGetMempolicyFlags[] = {{1, "MPOL_F_NODE"}, {2, "MPOL_F_ADDR"}, {4, "MPOL_F_MEMS_ALLOWED"}};
constexpr Constant kGetrandomFlags[] = {{1, "GRND_NONBLOCK"}, {2, "GRND_RANDOM"}, {4, "GRND_INSECURE"}};
constexpr Constant kInotifyInitFlags[] = {{0x800, "IN_NONBLOCK"}, {0x80000, "IN_CLOEXEC"}};
constexpr Constant kInotifyMask[] = {{1, "IN_ACCESS"},
                                     {2, "IN_MODIFY"},
                                     {4, "IN_ATTRIB"},
                                     {8, "IN_CLOSE_WRITE"},
                                     {0x10, "IN_CLOSE_NOWRITE"},
                                     {0x20, "IN_OPEN"},
                                     {0x40, "IN_MOVED_FROM"},
                                     {0x80, "IN_MOVED_TO"},
                                     {0x100, "IN_CREATE"},
                                     {0x200, "IN_DELETE"},
                                     {0x400, "IN_DELETE_SELF"},
                                     {0x800, "IN_MOVE_SELF"},
                                     {0x2000, "IN_UNMOUNT"},
                                     {0x4000, "IN_Q_OVERFLOW"},
                                     {0x8000, "IN_IGNORED"},
                                     {0x1000000, "IN_ONLYDIR"},
                                     {0x2000000, "IN_DONT_FOLLOW"},
                                     {0x4000000, "IN_EXCL_UNLINK"},
                                     {0x10000000, "IN_MASK_CREATE"},
                                     {0x20000000, "IN_MASK_ADD"},
                                     {0x40000000, "IN_ISDIR"},
                                     {0x80000000, "IN_ONESHOT"}};
constexpr Constant kIoUringEnterFlags[] = {
    {1, "IORING_ENTER_GETEVENTS"},      {2, "IORING_ENTER_SQ_WAKEUP"},          {4, "IORING_ENTER_SQ_WAIT"},
    {8, "IORING_ENTER_EXT_ARG"},        {0x10, "IORING_ENTER_REGISTERED_RING"}, {0x20, "IORING_ENTER_ABS_TIMER"},
    {0x40, "IORING_ENTER_EXT_ARG_REG"}, {0x80, "IORING_ENTER_NO_IOWAIT"}};
constexpr Constant kIoUringRegisterOp[] = {{0, "IORING_REGISTER_BUFFERS"},
                                           {1, "IORING_UNREGISTER_BUFFERS"},
                                           {2, "IORING_REGISTER_FILES"},
                                           {3, "IORING_UNREGISTER_FILES"},
                                           {4, "IORING_REGISTER_EVENTFD"},
                                           {5, "IORING_UNREGISTER_EVENTFD"},
                                           {6, "IORING_REGISTER_FILES_UPDATE"},
                                           {7, "IORING_REGISTER_EVENTFD_ASYNC"},
                                           {8, "IORING_REGISTER_PROBE"},
                                           {9, "IORING_REGISTER_PERSONALITY"},
                                           {0xa, "IORING_UNREGISTER_PERSONALITY"},
                                           {0xb, "IORING_REGISTER_RESTRICTIONS"},
                                           {0xc, "IORING_REGISTER_ENABLE_RINGS"},
                                           {0xd, "IORING_REGISTER_FILES2"},
                                           {0xe, "IORING_REGISTER_FILES_UPDATE2"},
                                           {0xf, "IORING_REGISTER_BUFFERS2"},
                                           {0x10, "IORING_REGISTER_BUFFERS_UPDATE"},
                                           {0x11, "IORING_REGISTER_IOWQ_AFF"},
                                           {0x12, "IORING_UNREGISTER_IOWQ_AFF"},
                                           {0x13, "IORING_REGISTER_IOWQ_MAX_WORKERS"},
                                           {0x14, "IORING_REGISTER_RING_FDS"},
                                           {0x15, "IORING_UNREGISTER_RING_FDS"},
                                           {0x16, "IORING_REGISTER_PBUF_RING"},
                                           {0x17, "IORING_UNREGISTER_PBUF_RING"},
                                           {0x18, "IORING_REGISTER_SYNC_CANCEL"},
                                           {0x19, "IORING_REGISTER_FILE_ALLOC_RANGE"},
                                           {0x1a, "IORING_REGISTER_PBUF_STATUS"},
                                           {0x1b, "IORING_REGISTER_NAPI"},
                                           {0x1c, "IORING_UNREGISTER_NAPI"},
                                           {0x1d, "IORING_REGISTER_CLOCK"},
                                           {0x1e, "IORING_REGISTER_CLONE_BUFFERS"},
                                           {0x1f, "IORING_REGISTER_SEND_MSG_RING"},
                                           {0x20, "IORING_REGISTER_ZCRX_IFQ"},
                                           {0x21, "IORING_REGISTER_RESIZE_RINGS"},
                                           {0x22, "IORING_REGISTER_MEM_REGION"}};
constexpr Constant kIoprioClass[] = {
    {0, "IOPRIO_CLASS_NONE"}, {1, "IOPRIO_CLASS_RT"}, {2, "IOPRIO_CLASS_BE"}, {3, "IOPRIO_CLASS_IDLE"}};
constexpr Constant kIoprioWhich[] = {{1, "IOPRIO_WHO_PROCESS"}, {2, "IOPRIO_WHO_PGRP"}, {3, "IOPRIO_WHO_USER"}};
constexpr Constant kIpcGetFlags[] = {{0x200, "IPC_CREAT"}, {0x400, "IPC_EXCL"}, {0x800, "IPC_NOWAIT"}};
constexpr Constant kIpcMsgFlags[] = {
    {0x1000, "MSG_NOERROR"}, {0x2000, "MSG_EXCEPT"}, {0x4000, "MSG_COPY"}, {0x800, "IPC_NOWAIT"}};
constexpr Constant kItimerWhich[] = {{0, "ITIMER_REAL"}, {1, "ITIMER_VIRTUAL"}, {2, "ITIMER_PROF"}};
constexpr Constant kKcmpType[] = {{0, "KCMP_FILE"},    {1, "KCMP_VM"}, {2, "KCMP_FILES"},   {3, "KCMP_FS"},
                                  {4, "KCMP_SIGHAND"}, {5, "KCMP_IO"}, {6, "KCMP_SYSVSEM"}, {7, "KCMP_EPOLL_TFD"}};
constexpr Constant kKexecArch[] = {
    {0, "KEXEC_ARCH_DEFAULT"},          {0x30000, "KEXEC_ARCH_386"},      {0x40000, "KEXEC_ARCH_68K"},
    {0x80000, "KEXEC_ARCH_MIPS"},       {0xa0000, "KEXEC_ARCH_MIPS_LE"},  {0xf0000, "KEXEC_ARCH_PARISC"},
    {0x140000, "KEXEC_ARCH_PPC"},       {0x150000, "KEXEC_ARCH_PPC64"},   {0x160000, "KEXEC_ARCH_S390"},
    {0x280000, "KEXEC_ARCH_ARM"},       {0x2a0000, "KEXEC_ARCH_SH"},      {0x320000, "KEXEC_ARCH_IA_64"},
    {0x3e0000, "KEXEC_ARCH_X86_64"},    {0xb70000, "KEXEC_ARCH_AARCH64"}, {0xf30000, "KEXEC_ARCH_RISCV"},
    {0x1020000, "KEXEC_ARCH_LOONGARCH"}};
constexpr Constant kKexecFileFlags[] = {
    {1, "KEXEC_FILE_UNLOAD"}, {2, "KEXEC_FILE_ON_CRASH"}, {4, "KEXEC_FILE_NO_INITRAMFS"}};
constexpr Constant kKexecFlags[] = {{1, "KEXEC_ON_CRASH"},
                                    {2, "KEXEC_PRESERVE_CONTEXT"},
                                    {4, "KEXEC_UPDATE_ELFCOREHDR"},
                                    {8, "KEXEC_CRASH_HOTPLUG_SUPPORT"}};
constexpr Constant kKeyctlOp[] = {{0, "KEYCTL_GET_KEYRING_ID"},
                                  {1, "KEYCTL_JOIN_SESSION_KEYRING"},
                                  {2, "KEYCTL_UPDATE"},
                                  {3, "KEYCTL_REVOKE"},
                                  {4, "KEYCTL_CHOWN"},
                                  {5, "KEYCTL_SETPERM"},
                                  {6, "KEYCTL_DESCRIBE"},
                                  {7, "KEYCTL_CLEAR"},
                                  {8, "KEYCTL_LINK"},
                                  {9, "KEYCTL_UNLINK"},
                                  {0xa, "KEYCTL_SEARCH"},
                                  {0xb, "KEYCTL_READ"},
                                  {0xc, "KEYCTL_INSTANTIATE"},
                                  {0xd, "KEYCTL_NEGATE"},
                                  {0xe, "KEYCTL_SET_REQKEY_KEYRING"},
                                  {0xf, "KEYCTL_SET_TIMEOUT"},
                                  {0x10, "KEYCTL_ASSUME_AUTHORITY"},
                                  {0x11, "KEYCTL_GET_SECURITY"},
                                  {0x12, "KEYCTL_SESSION_TO_PARENT"},
                                  {0x13, "KEYCTL_REJECT"},
                                  {0x14, "KEYCTL_INSTANTIATE_IOV"},
                                  {0x15, "KEYCTL_INVALIDATE"},
                                  {0x16, "KEYCTL_GET_PERSISTENT"},
                                  {0x17, "KEYCTL_DH_COMPUTE"},
                                  {0x18, "KEYCTL_PKEY_QUERY"},
                                  {0x19, "KEYCTL_PKEY_ENCRYPT"},
                                  {0x1a, "KEYCTL_PKEY_DECRYPT"},
                                  {0x1b, "KEYCTL_PKEY_SIGN"},
                                  {0x1c, "KEYCTL_PKEY_VERIFY"},
                                  {0x1d, "KEYCTL_RESTRICT_KEYRING"},
                                  {0x1e, "KEYCTL_MOVE"},
                                  {0x1f, "KEYCTL_CAPABILITIES"},
                                  {0x20, "KEYCTL_WATCH_KEY"}};
constexpr Constant kKeyring[] = {
    {0xffffffff, "KEY_SPEC_THREAD_KEYRING"},       {0xfffffffe, "KEY_SPEC_PROCESS_KEYRING"},
    {0xfffffffd, "KEY_SPEC_SESSION_KEYRING"},      {0xfffffffc, "KEY_SPEC_USER_KEYRING"},
    {0xfffffffb, "KEY_SPEC_USER_SESSION_KEYRING"}, {0xfffffffa, "KEY_SPEC_GROUP_KEYRING"},
    {0xfffffff9, "KEY_SPEC_REQKEY_AUTH_KEY"},      {0xfffffff8, "KEY_SPEC_REQUESTOR_KEYRING"}};
constexpr Constant kLandlockCreateFlags[] = {{1, "LANDLOCK_CREATE_RULESET_VERSION"},
                                             {2, "LANDLOCK_CREATE_RULESET_ERRATA"}};
constexpr Constant kLandlockRuleType[] = {{1, "LANDLOCK_RULE_PATH_BENEATH"}, {2, "LANDLOCK_RULE_NET_PORT"}};
constexpr Constant kLockType[] = {{0, "F_RDLCK"}, {1, "F_WRLCK"}, {2, "F_UNLCK"}};
constexpr Constant kLsmAttr[] = {{0x64, "LSM_ATTR_CURRENT"},   {0x65, "LSM_ATTR_EXEC"}, {0x66, "LSM_ATTR_FSCREATE"},
                                 {0x67, "LSM_ATTR_KEYCREATE"}, {0x68, "LSM_ATTR_PREV"}, {0x69, "LSM_ATTR_SOCKCREATE"}};
constexpr Constant kMadvice[] = {{0, "MADV_NORMAL"},
                                 {1, "MADV_RANDOM"},
                                 {2, "MADV_SEQUENTIAL"},
                                 {3, "MADV_WILLNEED"},
                                 {4, "MADV_DONTNEED"},
                                 {8, "MADV_FREE"},
                                 {9, "MADV_REMOVE"},
                                 {0xa, "MADV_DONTFORK"},
                                 {0xb, "MADV_DOFORK"},
                                 {0xc, "MADV_MERGEABLE"},
                                 {0xd, "MADV_UNMERGEABLE"},
                                 {0xe, "MADV_HUGEPAGE"},
                                 {0xf, "MADV_NOHUGEPAGE"},
                                 {0x10, "MADV_DONTDUMP"},
                                 {0x11, "MADV_DODUMP"},
                                 {0x12, "MADV_WIPEONFORK"},
                                 {0x13, "MADV_KEEPONFORK"},
                                 {0x14, "MADV_COLD"},
                                 {0x15, "MADV_PAGEOUT"},
                                 {0x16, "MADV_POPULATE_READ"},
                                 {0x17, "MADV_POPULATE_WRITE"},
                                 {0x18, "MADV_DONTNEED_LOCKED"},
                                 {0x19, "MADV_COLLAPSE"},
                                 {0x64, "MADV_HWPOISON"},
                                 {0x65, "MADV_SOFT_OFFLINE"},
                                 {0x66, "MADV_GUARD_INSTALL"},
                                 {0x67, "MADV_GUARD_REMOVE"}};
constexpr Constant kMbindFlags[] = {{1, "MPOL_MF_STRICT"}, {2, "MPOL_MF_MOVE"}, {4, "MPOL_MF_MOVE_ALL"}};
constexpr Constant kMceKill[] = {{0, "PR_MCE_KILL_CLEAR"}, {1, "PR_MCE_KILL_SET"}};
constexpr Constant kMembarrierCmd[] = {{0, "MEMBARRIER_CMD_QUERY"},
                                       {1, "MEMBARRIER_CMD_GLOBAL"},
                                       {2, "MEMBARRIER_CMD_GLOBAL_EXPEDITED"},
                                       {4, "MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED"},
                                       {8, "MEMBARRIER_CMD_PRIVATE_EXPEDITED"},
                                       {0x10, "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED"},
                                       {0x20, "MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE"},
                                       {0x40, "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE"},
                                       {0x80, "MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ"},
                                       {0x100, "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ"},
                                       {0x200, "MEMBARRIER_CMD_GET_REGISTRATIONS"}};
constexpr Constant kMembarrierFlags[] = {{1, "MEMBARRIER_CMD_FLAG_CPU"}};
constexpr Constant kMemfdFlags[] = {
    {1, "MFD_CLOEXEC"}, {2, "MFD_ALLOW_SEALING"}, {4, "MFD_HUGETLB"}, {8, "MFD_NOEXEC_SEAL"}, {0x10, "MFD_EXEC"}};
constexpr Constant kMemfdSecretFlags[] = {{0x80000, "O_CLOEXEC"}};
constexpr Constant kMempolicyFlags[] = {
    {0x8000, "MPOL_F_STATIC_NODES"}, {0x4000, "MPOL_F_RELATIVE_NODES"}, {0x2000, "MPOL_F_NUMA_BALANCING"}};
constexpr Constant kMempolicyMode[] = {{0, "MPOL_DEFAULT"},
                                       {1, "MPOL_PREFERRED"},
                                       {2, "MPOL_BIND"},
                                       {3, "MPOL_INTERLEAVE"},
                                       {4, "MPOL_LOCAL"},
                                       {5, "MPOL_PREFERRED_MANY"},
                                       {6, "MPOL_WEIGHTED_INTERLEAVE"}};
constexpr Constant kMlock2Flags[] = {{1, "MLOCK_ONFAULT"}};
constexpr Constant kMlockallFlags[] = {{1, "MCL_CURRENT"}, {2, "MCL_FUTURE"}, {4, "MCL_ONFAULT"}};
constexpr Constant kMmapFlags[] = {
    {0x10, "MAP_FIXED"},        {0x20, "MAP_ANONYMOUS"},          {0x40, "MAP_32BIT"},      {0x4000, "MAP_NORESERVE"},
    {0x8000, "MAP_POPULATE"},   {0x10000, "MAP_NONBLOCK"},        {0x100, "MAP_GROWSDOWN"}, {0x800, "MAP_DENYWRITE"},
    {0x1000, "MAP_EXECUTABLE"}, {0x2000, "MAP_LOCKED"},           {0x20000, "MAP_STACK"},   {0x40000, "MAP_HUGETLB"},
    {0x80000, "MAP_SYNC"},      {0x100000, "MAP_FIXED_NOREPLACE"}};
constexpr Constant kMmapFlagsArm64[] = {{0x10, "MAP_FIXED"},
                                        {0x20, "MAP_ANONYMOUS"},
                                        {0x4000, "MAP_NORESERVE"},
                                        {0x8000, "MAP_POPULATE"},
                                        {0x10000, "MAP_NONBLOCK"},
                                        {0x100, "MAP_GROWSDOWN"},
                                        {0x800, "MAP_DENYWRITE"},
                                        {0x1000, "MAP_EXECUTABLE"},
                                        {0x2000, "MAP_LOCKED"},
                                        {0x20000, "MAP_STACK"},
                                        {0x40000, "MAP_HUGETLB"},
                                        {0x80000, "MAP_SYNC"},
                                        {0x100000, "MAP_FIXED_NOREPLACE"}};
constexpr Constant kMmapProt[] = {{0, "PROT_NONE"},           {1, "PROT_READ"}, {2, "PROT_WRITE"},
                                  {4, "PROT_EXEC"},           {8, "PROT_SEM"},  {0x1000000, "PROT_GROWSDOWN"},
                                  {0x2000000, "PROT_GROWSUP"}};
constexpr Constant kMmapProtArm64[] = {{0, "PROT_NONE"},
                                       {1, "PROT_READ"},
                                       {2, "PROT_WRITE"},
                                       {4, "PROT_EXEC"},
                                       {8, "PROT_SEM"},
                                       {0x10, "PROT_BTI"},
                                       {0x20, "PROT_MTE"},
                                       {0x1000000, "PROT_GROWSDOWN"},
                                       {0x2000000, "PROT_GROWSUP"}};
constexpr Constant kMmapType[] = {
    {0, "MAP_FILE"}, {1, "MAP_SHARED"}, {2, "MAP_PRIVATE"}, {3, "MAP_SHARED_VALIDATE"}, {8, "MAP_DROPPABLE"}};
constexpr Constant kMountAttrs[] = {{1, "MOUNT_ATTR_RDONLY"},       {2, "MOUNT_ATTR_NOSUID"},
                                    {4, "MOUNT_ATTR_NODEV"},        {8, "MOUNT_ATTR_NOEXEC"},
                                    {0x10, "MOUNT_ATTR_NOATIME"},   {0x20, "MOUNT_ATTR_STRICTATIME"},
                                    {0x80, "MOUNT_ATTR_NODIRATIME"}};
constexpr Constant kMountFlags[] = {
    {1, "MS_RDONLY"},           {2, "MS_NOSUID"},           {4, "MS_NODEV"},
    {8, "MS_NOEXEC"},           {0x10, "MS_SYNCHRONOUS"},   {0x20, "MS_REMOUNT"},
    {0x40, "MS_MANDLOCK"},      {0x80, "MS_DIRSYNC"},       {0x100, "MS_NOSYMFOLLOW"},
    {0x400, "MS_NOATIME"},      {0x800, "MS_NODIRATIME"},   {0x1000, "MS_BIND"},
    {0x2000, "MS_MOVE"},        {0x4000, "MS_REC"},         {0x8000, "MS_SILENT"},
    {0x10000, "MS_POSIXACL"},   {0x20000, "MS_UNBINDABLE"}, {0x40000, "MS_PRIVATE"},
    {0x80000, "MS_SLAVE"},      {0x100000, "MS_SHARED"},    {0x200000, "MS_RELATIME"},
    {0x400000, "MS_KERNMOUNT"}, {0x800000, "MS_I_VERSION"}, {0x1000000, "MS_STRICTATIME"},
    {0x2000000, "MS_LAZYTIME"}, {0x4000000, "MS_SUBMOUNT"}, {0x8000000, "MS_NOREMOTELOCK"},
    {0x10000000, "MS_NOSEC"},   {0x20000000, "MS_BORN"},    {0x40000000, "MS_ACTIVE"},
    {0x80000000, "MS_NOUSER"},  {0xc0ed0000, "MS_MGC_VAL"}};
constexpr Constant kMountSetattrFlags[] = {
    {0x100, "AT_SYMLINK_NOFOLLOW"}, {0x800, "AT_NO_AUTOMOUNT"}, {0x1000, "AT_EMPTY_PATH"}, {0x8000, "AT_RECURSIVE"}};
constexpr Constant kMoveMountFlags[] = {{1, "MOVE_MOUNT_F_SYMLINKS"},      {2, "MOVE_MOUNT_F_AUTOMOUNTS"},
                                        {4, "MOVE_MOUNT_F_EMPTY_PATH"},    {0x10, "MOVE_MOUNT_T_SYMLINKS"},
                                        {0x20, "MOVE_MOUNT_T_AUTOMOUNTS"}, {0x40, "MOVE_MOUNT_T_EMPTY_PATH"},
                                        {0x100, "MOVE_MOUNT_SET_GROUP"},   {0x200, "MOVE_MOUNT_BENEATH"}};
constexpr Constant kMremapFlags[] = {{1, "MREMAP_MAYMOVE"}, {2, "MREMAP_FIXED"}, {4, "MREMAP_DONTUNMAP"}};
constexpr Constant kMsgFlags[] = {{1, "MSG_OOB"},
                                  {2, "MSG_PEEK"},
                                  {4, "MSG_DONTROUTE"},
                                  {8, "MSG_CTRUNC"},
                                  {0x10, "MSG_PROBE"},
                                  {0x20, "MSG_TRUNC"},
                                  {0x40, "MSG_DONTWAIT"},
                                  {0x80, "MSG_EOR"},
                                  {0x100, "MSG_WAITALL"},
                                  {0x200, "MSG_FIN"},
                                  {0x400, "MSG_SYN"},
                                  {0x800, "MSG_CONFIRM"},
                                  {0x1000, "MSG_RST"},
                                  {0x2000, "MSG_ERRQUEUE"},
                                  {0x4000, "MSG_NOSIGNAL"},
                                  {0x8000, "MSG_MORE"},
                                  {0x10000, "MSG_WAITFORONE"},
                                  {0x20000, "MSG_SENDPAGE_NOTLAST"},
                                  {0x40000, "MSG_BATCH"},
                                  {0x80000, "MSG_NO_SHARED_FRAGS"},
                                  {0x4000000, "MSG_ZEROCOPY"},
                                  {0x20000000, "MSG_FASTOPEN"},
                                  {0x40000000, "MSG_CMSG_CLOEXEC"},
                                  {0x80000000, "MSG_CMSG_COMPAT"}};
constexpr Constant kMsgctlCmd[] = {{0, "IPC_RMID"},   {1, "IPC_SET"},    {2, "IPC_STAT"},      {3, "IPC_INFO"},
                                   {0xb, "MSG_STAT"}, {0xc, "MSG_INFO"}, {0xd, "MSG_STAT_ANY"}};
constexpr Constant kMsyncFlags[] = {{4, "MS_SYNC"}, {1, "MS_ASYNC"}, {2, "MS_INVALIDATE"}};
constexpr Constant kNotifyFlags[] = {{1, "DN_ACCESS"},
                                     {2, "DN_MODIFY"},
                                     {4, "DN_CREATE"},
                                     {8, "DN_DELETE"},
                                     {0x10, "DN_RENAME"},
                                     {0x20, "DN_ATTRIB"},
                                     {0x80000000, "DN_MULTISHOT"}};
constexpr Constant kOpenFlags[] = {
    {0x40, "O_CREAT"},         {0x80, "O_EXCL"},         {0x100, "O_NOCTTY"},     {0x200, "O_TRUNC"},
    {0x400, "O_APPEND"},       {0x800, "O_NONBLOCK"},    {0x101000, "O_SYNC"},    {0x100000, "__O_SYNC"},
    {0x1000, "O_DSYNC"},       {0x4000, "O_DIRECT"},     {0x8000, "O_LARGEFILE"}, {0x20000, "O_NOFOLLOW"},
    {0x40000, "O_NOATIME"},    {0x80000, "O_CLOEXEC"},   {0x200000, "O_PATH"},    {0x410000, "O_TMPFILE"},
    {0x400000, "__O_TMPFILE"}, {0x10000, "O_DIRECTORY"}, {0x2000, "FASYNC"}};
constexpr Constant kOpenFlagsArm64[] = {
    {0x40, "O_CREAT"},         {0x80, "O_EXCL"},        {0x100, "O_NOCTTY"},      {0x200, "O_TRUNC"},
    {0x400, "O_APPEND"},       {0x800, "O_NONBLOCK"},   {0x101000, "O_SYNC"},     {0x100000, "__O_SYNC"},
    {0x1000, "O_DSYNC"},       {0x10000, "O_DIRECT"},   {0x20000, "O_LARGEFILE"}, {0x8000, "O_NOFOLLOW"},
    {0x40000, "O_NOATIME"},    {0x80000, "O_CLOEXEC"},  {0x200000, "O_PATH"},     {0x404000, "O_TMPFILE"},
    {0x400000, "__O_TMPFILE"}, {0x4000, "O_DIRECTORY"}, {0x2000, "FASYNC"}};
constexpr Constant kOpenTreeFlags[] = {{1, "OPEN_TREE_CLONE"},         {0x80000, "OPEN_TREE_CLOEXEC"},
                                       {0x100, "AT_SYMLINK_NOFOLLOW"}, {0x200, "AT_REMOVEDIR"},
                                       {0x400, "AT_SYMLINK_FOLLOW"},   {0x800, "AT_NO_AUTOMOUNT"},
                                       {0x1000, "AT_EMPTY_PATH"},      {0x8000, "AT_RECURSIVE"}};
constexpr Constant kPerfFlags[] = {
    {1, "PERF_FLAG_FD_NO_GROUP"}, {2, "PERF_FLAG_FD_OUTPUT"}, {4, "PERF_FLAG_PID_CGROUP"}, {8, "PERF_FLAG_FD_CLOEXEC"}};
constexpr Constant kPersonality[] = {{0, "PER_LINUX"},  {6, "PER_BSD"},     {8, "PER_LINUX32"}, {0xc, "PER_RISCOS"},
                                     {0xf, "PER_OSF4"}, {0x10, "PER_HPUX"}, {0xff, "PER_MASK"}};
constexpr Constant kPersonalityFlags[] = {
    {0x20000, "UNAME26"},           {0x40000, "ADDR_NO_RANDOMIZE"},   {0x80000, "FDPIC_FUNCPTRS"},
    {0x100000, "MMAP_PAGE_ZERO"},   {0x200000, "ADDR_COMPAT_LAYOUT"}, {0x400000, "READ_IMPLIES_EXEC"},
    {0x800000, "ADDR_LIMIT_32BIT"}, {0x1000000, "SHORT_INODE"},       {0x2000000, "WHOLE_SECONDS"},
    {0x4000000, "STICKY_TIMEOUTS"}, {0x8000000, "ADDR_LIMIT_3GB"}};
constexpr Constant kPidfdOpenFlags[] = {{0x800, "PIDFD_NONBLOCK"}, {0x80, "PIDFD_THREAD"}};
constexpr Constant kPkeyRights[] = {{1, "PKEY_DISABLE_ACCESS"}, {2, "PKEY_DISABLE_WRITE"}, {4, "PKEY_DISABLE_EXECUTE"}};
constexpr Constant kPollFlags[] = {{1, "POLLIN"},         {2, "POLLPRI"},        {4, "POLLOUT"},
                                   {0x40, "POLLRDNORM"},  {0x100, "POLLWRNORM"}, {0x80, "POLLRDBAND"},
                                   {0x200, "POLLWRBAND"}, {8, "POLLERR"},        {0x10, "POLLHUP"},
                                   {0x20, "POLLNVAL"},    {0x2000, "POLLRDHUP"}};
constexpr Constant kPrctlMm[] = {
    {1, "PR_SET_MM_START_CODE"},  {2, "PR_SET_MM_END_CODE"},    {3, "PR_SET_MM_START_DATA"}, {4, "PR_SET_MM_END_DATA"},
    {5, "PR_SET_MM_START_STACK"}, {6, "PR_SET_MM_START_BRK"},   {7, "PR_SET_MM_BRK"},        {8, "PR_SET_MM_ARG_START"},
    {9, "PR_SET_MM_ARG_END"},     {0xa, "PR_SET_MM_ENV_START"}, {0xb, "PR_SET_MM_ENV_END"},  {0xc, "PR_SET_MM_AUXV"},
    {0xd, "PR_SET_MM_EXE_FILE"},  {0xe, "PR_SET_MM_MAP"},       {0xf, "PR_SET_MM_MAP_SIZE"}};
constexpr Constant kPrctlOp[] = {{1, "PR_SET_PDEATHSIG"},
                                 {2, "PR_GET_PDEATHSIG"},
                                 {3, "PR_GET_DUMPABLE"},
                                 {4, "PR_SET_DUMPABLE"},
                                 {5, "PR_GET_UNALIGN"},
                                 {6, "PR_SET_UNALIGN"},
                                 {7, "PR_GET_KEEPCAPS"},
                                 {8, "PR_SET_KEEPCAPS"},
                                 {9, "PR_GET_FPEMU"},
                                 {0xa, "PR_SET_FPEMU"},
                                 {0xb, "PR_GET_FPEXC"},
                                 {0xc, "PR_SET_FPEXC"},
                                 {0xd, "PR_GET_TIMING"},
                                 {0xe, "PR_SET_TIMING"},
                                 {0xf, "PR_SET_NAME"},
                                 {0x10, "PR_GET_NAME"},
                                 {0x13, "PR_GET_ENDIAN"},
                                 {0x14, "PR_SET_ENDIAN"},
                                 {0x15, "PR_GET_SECCOMP"},
                                 {0x16, "PR_SET_SECCOMP"},
                                 {0x17, "PR_CAPBSET_READ"},
                                 {0x18, "PR_CAPBSET_DROP"},
                                 {0x19, "PR_GET_TSC"},
                                 {0x1a, "PR_SET_TSC"},
                                 {0x1b, "PR_GET_SECUREBITS"},
                                 {0x1c, "PR_SET_SECUREBITS"},
                                 {0x1d, "PR_SET_TIMERSLACK"},
                                 {0x1e, "PR_GET_TIMERSLACK"},
                                 {0x1f, "PR_TASK_PERF_EVENTS_DISABLE"},
                                 {0x20, "PR_TASK_PERF_EVENTS_ENABLE"},
                                 {0x21, "PR_MCE_KILL"},
                                 {0x22, "PR_MCE_KILL_GET"},
                                 {0x23, "PR_SET_MM"},
                                 {0x24, "PR_SET_CHILD_SUBREAPER"},
                                 {0x25, "PR_GET_CHILD_SUBREAPER"},
                                 {0x26, "PR_SET_NO_NEW_PRIVS"},
                                 {0x27, "PR_GET_NO_NEW_PRIVS"},
                                 {0x28, "PR_GET_TID_ADDRESS"},
                                 {0x29, "PR_SET_THP_DISABLE"},
                                 {0x2a, "PR_GET_THP_DISABLE"},
                                 {0x2b, "PR_MPX_ENABLE_MANAGEMENT"},
                                 {0x2c, "PR_MPX_DISABLE_MANAGEMENT"},
                                 {0x2d, "PR_SET_FP_MODE"},
                                 {0x2e, "PR_GET_FP_MODE"},
                                 {0x2f, "PR_CAP_AMBIENT"},
                                 {0x32, "PR_SVE_SET_VL"},
                                 {0x33, "PR_SVE_GET_VL"},
                                 {0x34, "PR_GET_SPECULATION_CTRL"},
                                 {0x35, "PR_SET_SPECULATION_CTRL"},
                                 {0x36, "PR_PAC_RESET_KEYS"},
                                 {0x37, "PR_SET_TAGGED_ADDR_CTRL"},
                                 {0x38, "PR_GET_TAGGED_ADDR_CTRL"},
                                 {0x39, "PR_SET_IO_FLUSHER"},
                                 {0x3a, "PR_GET_IO_FLUSHER"},
                                 {0x3b, "PR_SET_SYSCALL_USER_DISPATCH"},
                                 {0x3c, "PR_PAC_SET_ENABLED_KEYS"},
                                 {0x3d, "PR_PAC_GET_ENABLED_KEYS"},
                                 {0x3e, "PR_SCHED_CORE"},
                                 {0x3f, "PR_SME_SET_VL"},
                                 {0x40, "PR_SME_GET_VL"},
                                 {0x41, "PR_SET_MDWE"},
                                 {0x42, "PR_GET_MDWE"},
                                 {0x43, "PR_SET_MEMORY_MERGE"},
                                 {0x44, "PR_GET_MEMORY_MERGE"},
                                 {0x45, "PR_RISCV_V_SET_CONTROL"},
                                 {0x46, "PR_RISCV_V_GET_CONTROL"},
                                 {0x47, "PR_RISCV_SET_ICACHE_FLUSH_CTX"},
                                 {0x48, "PR_PPC_GET_DEXCR"},
                                 {0x49, "PR_PPC_SET_DEXCR"},
                                 {0x4a, "PR_GET_SHADOW_STACK_STATUS"},
                                 {0x4b, "PR_SET_SHADOW_STACK_STATUS"},
                                 {0x4c, "PR_LOCK_SHADOW_STACK_STATUS"},
                                 {0x4d, "PR_TIMER_CREATE_RESTORE_IDS"},
                                 {0x4e, "PR_FUTEX_HASH"},
                                 {0x41555856, "PR_GET_AUXV"},
                                 {0x53564d41, "PR_SET_VMA"},
                                 {0x59616d61, "PR_SET_PTRACER"}};
constexpr Constant kPriorityWhich[] = {{0, "PRIO_PROCESS"}, {1, "PRIO_PGRP"}, {2, "PRIO_USER"}};
constexpr Constant kPtraceOptions[] = {{1, "PTRACE_O_TRACESYSGOOD"},    {2, "PTRACE_O_TRACEFORK"},
                                       {4, "PTRACE_O_TRACEVFORK"},      {8, "PTRACE_O_TRACECLONE"},
                                       {0x10, "PTRACE_O_TRACEEXEC"},    {0x20, "PTRACE_O_TRACEVFORKDONE"},
                                       {0x40, "PTRACE_O_TRACEEXIT"},    {0x80, "PTRACE_O_TRACESECCOMP"},
                                       {0x100000, "PTRACE_O_EXITKILL"}, {0x200000, "PTRACE_O_SUSPEND_SECCOMP"}};
constexpr Constant kPtraceRequest[] = {{0, "PTRACE_TRACEME"},
                                       {1, "PTRACE_PEEKTEXT"},
                                       {2, "PTRACE_PEEKDATA"},
                                       {3, "PTRACE_PEEKUSER"},
                                       {4, "PTRACE_POKETEXT"},
                                       {5, "PTRACE_POKEDATA"},
                                       {6, "PTRACE_POKEUSER"},
                                       {7, "PTRACE_CONT"},
                                       {8, "PTRACE_KILL"},
                                       {9, "PTRACE_SINGLESTEP"},
                                       {0xc, "PTRACE_GETREGS"},
                                       {0xd, "PTRACE_SETREGS"},
                                       {0xe, "PTRACE_GETFPREGS"},
                                       {0xf, "PTRACE_SETFPREGS"},
                                       {0x10, "PTRACE_ATTACH"},
                                       {0x11, "PTRACE_DETACH"},
                                       {0x12, "PTRACE_GETFPXREGS"},
                                       {0x13, "PTRACE_SETFPXREGS"},
                                       {0x15, "PTRACE_OLDSETOPTIONS"},
                                       {0x18, "PTRACE_SYSCALL"},
                                       {0x19, "PTRACE_GET_THREAD_AREA"},
                                       {0x1a, "PTRACE_SET_THREAD_AREA"},
                                       {0x1e, "PTRACE_ARCH_PRCTL"},
                                       {0x1f, "PTRACE_SYSEMU"},
                                       {0x20, "PTRACE_SYSEMU_SINGLESTEP"},
                                       {0x21, "PTRACE_SINGLEBLOCK"},
                                       {0x4200, "PTRACE_SETOPTIONS"},
                                       {0x4201, "PTRACE_GETEVENTMSG"},
                                       {0x4202, "PTRACE_GETSIGINFO"},
                                       {0x4203, "PTRACE_SETSIGINFO"},
                                       {0x4204, "PTRACE_GETREGSET"},
                                       {0x4205, "PTRACE_SETREGSET"},
                                       {0x4206, "PTRACE_SEIZE"},
                                       {0x4207, "PTRACE_INTERRUPT"},
                                       {0x4208, "PTRACE_LISTEN"},
                                       {0x4209, "PTRACE_PEEKSIGINFO"},
                                       {0x420a, "PTRACE_GETSIGMASK"},
                                       {0x420b, "PTRACE_SETSIGMASK"},
                                       {0x420c, "PTRACE_SECCOMP_GET_FILTER"},
                                       {0x420d, "PTRACE_SECCOMP_GET_METADATA"},
                                       {0x420e, "PTRACE_GET_SYSCALL_INFO"},
                                       {0x420f, "PTRACE_GET_RSEQ_CONFIGURATION"},
                                       {0x4210, "PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG"},
                                       {0x4211, "PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG"},
                                       {0x4212, "PTRACE_SET_SYSCALL_INFO"}};
constexpr Constant kQuotaCmd[] = {{0x800001, "Q_SYNC"},     {0x800002, "Q_QUOTAON"},  {0x800003, "Q_QUOTAOFF"},
                                  {0x800004, "Q_GETFMT"},   {0x800005, "Q_GETINFO"},  {0x800006, "Q_SETINFO"},
                                  {0x800007, "Q_GETQUOTA"}, {0x800008, "Q_SETQUOTA"}, {0x800009, "Q_GETNEXTQUOTA"},
                                  {0x5801, "Q_XQUOTAON"},   {0x5802, "Q_XQUOTAOFF"},  {0x5803, "Q_XGETQUOTA"},
                                  {0x5804, "Q_XSETQLIM"},   {0x5805, "Q_XGETQSTAT"},  {0x5806, "Q_XQUOTARM"},
                                  {0x5807, "Q_XQUOTASYNC"}, {0x5808, "Q_XGETQSTATV"}, {0x5809, "Q_XGETNEXTQUOTA"}};
constexpr Constant kQuotaType[] = {{0, "USRQUOTA"}, {1, "GRPQUOTA"}, {2, "PRJQUOTA"}};
constexpr Constant kRebootCmd[] = {{0, "LINUX_REBOOT_CMD_CAD_OFF"},
                                   {0x1234567, "LINUX_REBOOT_CMD_RESTART"},
                                   {0x4321fedc, "LINUX_REBOOT_CMD_POWER_OFF"},
                                   {0x45584543, "LINUX_REBOOT_CMD_KEXEC"},
                                   {0x89abcdef, "LINUX_REBOOT_CMD_CAD_ON"},
                                   {0xa1b2c3d4, "LINUX_REBOOT_CMD_RESTART2"},
                                   {0xcdef0123, "LINUX_REBOOT_CMD_HALT"},
                                   {0xd000fce2, "LINUX_REBOOT_CMD_SW_SUSPEND"}};
constexpr Constant kRebootMagic1[] = {{0xfee1dead, "LINUX_REBOOT_MAGIC1"}};
constexpr Constant kRebootMagic2[] = {{0x5121996, "LINUX_REBOOT_MAGIC2A"},
                                      {0x16041998, "LINUX_REBOOT_MAGIC2B"},
                                      {0x20112000, "LINUX_REBOOT_MAGIC2C"},
                                      {0x28121969, "LINUX_REBOOT_MAGIC2"}};
constexpr Constant kRegset[] = {{1, "NT_PRSTATUS"},
                                {2, "NT_FPREGSET"},
                                {3, "NT_PRPSINFO"},
                                {4, "NT_PRXREG"},
                                {6, "NT_AUXV"},
                                {0x200, "NT_386_TLS"},
                                {0x201, "NT_386_IOPERM"},
                                {0x202, "NT_X86_XSTATE"},
                                {0x204, "NT_X86_SHSTK"},
                                {0x401, "NT_ARM_TLS"},
                                {0x402, "NT_ARM_HW_BREAK"},
                                {0x403, "NT_ARM_HW_WATCH"},
                                {0x404, "NT_ARM_SYSTEM_CALL"},
                                {0x405, "NT_ARM_SVE"},
                                {0x46e62b7f, "NT_PRXFPREG"}};
constexpr Constant kRenameFlags[] = {{1, "RENAME_NOREPLACE"}, {2, "RENAME_EXCHANGE"}, {4, "RENAME_WHITEOUT"}};
constexpr Constant kResolveFlags[] = {{1, "RESOLVE_NO_XDEV"}, {2, "RESOLVE_NO_MAGICLINKS"}, {4, "RESOLVE_NO_SYMLINKS"},
                                      {8, "RESOLVE_BENEATH"}, {0x10, "RESOLVE_IN_ROOT"},    {0x20, "RESOLVE_CACHED"}};
constexpr Constant kRlimitResource[] = {
    {0, "RLIMIT_CPU"},        {1, "RLIMIT_FSIZE"},  {2, "RLIMIT_DATA"},     {3, "RLIMIT_STACK"},
    {4, "RLIMIT_CORE"},       {5, "RLIMIT_RSS"},    {6, "RLIMIT_NPROC"},    {7, "RLIMIT_NOFILE"},
    {8, "RLIMIT_MEMLOCK"},    {9, "RLIMIT_AS"},     {0xa, "RLIMIT_LOCKS"},  {0xb, "RLIMIT_SIGPENDING"},
    {0xc, "RLIMIT_MSGQUEUE"}, {0xd, "RLIMIT_NICE"}, {0xe, "RLIMIT_RTPRIO"}, {0xf, "RLIMIT_RTTIME"}};
constexpr Constant kRusageWho[] = {
    {0, "RUSAGE_SELF"}, {1, "RUSAGE_THREAD"}, {0xfffffffe, "RUSAGE_BOTH"}, {0xffffffff, "RUSAGE_CHILDREN"}};
constexpr Constant kRwfFlags[] = {{1, "RWF_HIPRI"},     {2, "RWF_DSYNC"},       {4, "RWF_SYNC"},
                                  {8, "RWF_NOWAIT"},    {0x10, "RWF_APPEND"},   {0x20, "RWF_NOAPPEND"},
                                  {0x40, "RWF_ATOMIC"}, {0x80, "RWF_DONTCACHE"}};
constexpr Constant kSchedFlags[] = {{1, "SCHED_FLAG_RESET_ON_FORK"},    {2, "SCHED_FLAG_RECLAIM"},
                                    {4, "SCHED_FLAG_DL_OVERRUN"},       {8, "SCHED_FLAG_KEEP_POLICY"},
                                    {0x10, "SCHED_FLAG_KEEP_PARAMS"},   {0x20, "SCHED_FLAG_UTIL_CLAMP_MIN"},
                                    {0x40, "SCHED_FLAG_UTIL_CLAMP_MAX"}};
constexpr Constant kSchedPolicy[] = {{0, "SCHED_OTHER"}, {1, "SCHED_FIFO"}, {2, "SCHED_RR"},       {3, "SCHED_BATCH"},
                                     {4, "SCHED_ISO"},   {5, "SCHED_IDLE"}, {6, "SCHED_DEADLINE"}, {7, "SCHED_EXT"}};
constexpr Constant kSealFlags[] = {{1, "F_SEAL_SEAL"},  {2, "F_SEAL_SHRINK"},          {4, "F_SEAL_GROW"},
                                   {8, "F_SEAL_WRITE"}, {0x10, "F_SEAL_FUTURE_WRITE"}, {0x20, "F_SEAL_EXEC"}};
constexpr Constant kSeccompFlags[] = {
    {1, "SECCOMP_FILTER_FLAG_TSYNC"},          {2, "SECCOMP_FILTER_FLAG_LOG"},
    {4, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"},     {8, "SECCOMP_FILTER_FLAG_NEW_LISTENER"},
    {0x10, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"}, {0x20, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"}};
constexpr Constant kSeccompMode[] = {
    {0, "SECCOMP_MODE_DISABLED"}, {1, "SECCOMP_MODE_STRICT"}, {2, "SECCOMP_MODE_FILTER"}};
constexpr Constant kSeccompOp[] = {{0, "SECCOMP_SET_MODE_STRICT"},
                                   {1, "SECCOMP_SET_MODE_FILTER"},
                                   {2, "SECCOMP_GET_ACTION_AVAIL"},
                                   {3, "SECCOMP_GET_NOTIF_SIZES"}};
constexpr Constant kSecurebits[] = {{1, "SECBIT_NOROOT"},
                                    {2, "SECBIT_NOROOT_LOCKED"},
                                    {4, "SECBIT_NO_SETUID_FIXUP"},
                                    {8, "SECBIT_NO_SETUID_FIXUP_LOCKED"},
                                    {0x10, "SECBIT_KEEP_CAPS"},
                                    {0x20, "SECBIT_KEEP_CAPS_LOCKED"},
                                    {0x40, "SECBIT_NO_CAP_AMBIENT_RAISE"},
                                    {0x80, "SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED"}};
constexpr Constant kSemctlCmd[] = {{0, "IPC_RMID"},    {1, "IPC_SET"},        {2, "IPC_STAT"},  {3, "IPC_INFO"},
                                   {0xb, "GETPID"},    {0xc, "GETVAL"},       {0xd, "GETALL"},  {0xe, "GETNCNT"},
                                   {0xf, "GETZCNT"},   {0x10, "SETVAL"},      {0x11, "SETALL"}, {0x12, "SEM_STAT"},
                                   {0x13, "SEM_INFO"}, {0x14, "SEM_STAT_ANY"}};
constexpr Constant kSetnsFlags[] = {{0x80, "CLONE_NEWTIME"},        {0x20000, "CLONE_NEWNS"},
                                    {0x2000000, "CLONE_NEWCGROUP"}, {0x4000000, "CLONE_NEWUTS"},
                                    {0x8000000, "CLONE_NEWIPC"},    {0x10000000, "CLONE_NEWUSER"},
                                    {0x20000000, "CLONE_NEWPID"},   {0x40000000, "CLONE_NEWNET"}};
constexpr Constant kShadowStackFlags[] = {{1, "SHADOW_STACK_SET_TOKEN"}, {2, "SHADOW_STACK_SET_MARKER"}};
constexpr Constant kShmGetFlags[] = {
    {0x200, "IPC_CREAT"}, {0x400, "IPC_EXCL"}, {0x800, "SHM_HUGETLB"}, {0x1000, "SHM_NORESERVE"}};
constexpr Constant kShmatFlags[] = {
    {0x1000, "SHM_RDONLY"}, {0x2000, "SHM_RND"}, {0x4000, "SHM_REMAP"}, {0x8000, "SHM_EXEC"}};
constexpr Constant kShmctlCmd[] = {{0, "IPC_RMID"},   {1, "IPC_SET"},    {2, "IPC_STAT"},
                                   {3, "IPC_INFO"},   {0xb, "SHM_LOCK"}, {0xc, "SHM_UNLOCK"},
                                   {0xd, "SHM_STAT"}, {0xe, "SHM_INFO"}, {0xf, "SHM_STAT_ANY"}};
constexpr Constant kShutdownHow[] = {{0, "SHUT_RD"}, {1, "SHUT_WR"}, {2, "SHUT_RDWR"}};
constexpr Constant kSigactionFlags[] = {
    {0x4000000, "SA_RESTORER"}, {0x8000000, "SA_ONSTACK"},    {0x10000000, "SA_RESTART"},  {0x20000000, "SA_INTERRUPT"},
    {0x40000000, "SA_NODEFER"}, {0x80000000, "SA_RESETHAND"}, {4, "SA_SIGINFO"},           {1, "SA_NOCLDSTOP"},
    {2, "SA_NOCLDWAIT"},        {0x400, "SA_UNSUPPORTED"},    {0x800, "SA_EXPOSE_TAGBITS"}};
constexpr Constant kSigaltstackFlags[] = {{1, "SS_ONSTACK"}, {2, "SS_DISABLE"}, {0x80000000, "SS_AUTODISARM"}};
constexpr Constant kSigmaskHow[] = {{0, "SIG_BLOCK"}, {1, "SIG_UNBLOCK"}, {2, "SIG_SETMASK"}};
constexpr Constant kSignalfdFlags[] = {{0x80000, "SFD_CLOEXEC"}, {0x800, "SFD_NONBLOCK"}};
constexpr Constant kSocketDomain[] = {
    {0, "AF_UNSPEC"},     {1, "AF_UNIX"},          {2, "AF_INET"},       {3, "AF_AX25"},      {4, "AF_IPX"},
    {5, "AF_APPLETALK"},  {6, "AF_NETROM"},        {7, "AF_BRIDGE"},     {8, "AF_ATMPVC"},    {9, "AF_X25"},
    {0xa, "AF_INET6"},    {0xb, "AF_ROSE"},        {0xc, "AF_DECnet"},   {0xd, "AF_NETBEUI"}, {0xe, "AF_SECURITY"},
    {0xf, "AF_KEY"},      {0x10, "AF_NETLINK"},    {0x11, "AF_PACKET"},  {0x12, "AF_ASH"},    {0x13, "AF_ECONET"},
    {0x14, "AF_ATMSVC"},  {0x15, "AF_RDS"},        {0x16, "AF_SNA"},     {0x17, "AF_IRDA"},   {0x18, "AF_PPPOX"},
    {0x19, "AF_WANPIPE"}, {0x1a, "AF_LLC"},        {0x1b, "AF_IB"},      {0x1c, "AF_MPLS"},   {0x1d, "AF_CAN"},
    {0x1e, "AF_TIPC"},    {0x1f, "AF_BLUETOOTH"},  {0x20, "AF_IUCV"},    {0x21, "AF_RXRPC"},  {0x22, "AF_ISDN"},
    {0x23, "AF_PHONET"},  {0x24, "AF_IEEE802154"}, {0x25, "AF_CAIF"},    {0x26, "AF_ALG"},    {0x27, "AF_NFC"},
    {0x28, "AF_VSOCK"},   {0x29, "AF_KCM"},        {0x2a, "AF_QIPCRTR"}, {0x2b, "AF_SMC"},    {0x2c, "AF_XDP"},
    {0x2d, "AF_MCTP"}};
constexpr Constant kSocketFlags[] = {{0x80000, "SOCK_CLOEXEC"}, {0x800, "SOCK_NONBLOCK"}};
constexpr Constant kSocketType[] = {{1, "SOCK_STREAM"},    {2, "SOCK_DGRAM"}, {3, "SOCK_RAW"},     {4, "SOCK_RDM"},
                                    {5, "SOCK_SEQPACKET"}, {6, "SOCK_DCCP"},  {0xa, "SOCK_PACKET"}};
constexpr Constant kSockoptLevel[] = {
    {0, "SOL_IP"},         {1, "SOL_SOCKET"},       {6, "SOL_TCP"},           {0x11, "SOL_UDP"},
    {0x28, "AF_VSOCK"},    {0x29, "SOL_IPV6"},      {0x3a, "SOL_ICMPV6"},     {0x64, "SOL_CAN_BASE"},
    {0x65, "SOL_CAN_RAW"}, {0x84, "SOL_SCTP"},      {0x88, "SOL_UDPLITE"},    {0xff, "SOL_RAW"},
    {0x100, "SOL_IPX"},    {0x101, "SOL_AX25"},     {0x102, "SOL_ATALK"},     {0x103, "SOL_NETROM"},
    {0x104, "SOL_ROSE"},   {0x105, "SOL_DECNET"},   {0x106, "SOL_X25"},       {0x107, "SOL_PACKET"},
    {0x108, "SOL_ATM"},    {0x109, "SOL_AAL"},      {0x10a, "SOL_IRDA"},      {0x10b, "SOL_NETBEUI"},
    {0x10c, "SOL_LLC"},    {0x10d, "SOL_DCCP"},     {0x10e, "SOL_NETLINK"},   {0x10f, "SOL_TIPC"},
    {0x110, "SOL_RXRPC"},  {0x111, "SOL_PPPOL2TP"}, {0x112, "SOL_BLUETOOTH"}, {0x113, "SOL_PNPIPE"},
    {0x114, "SOL_RDS"},    {0x115, "SOL_IUCV"},     {0x116, "SOL_CAIF"},      {0x117, "SOL_ALG"},
    {0x118, "SOL_NFC"},    {0x119, "SOL_KCM"},      {0x11a, "SOL_TLS"},       {0x11b, "SOL_XDP"},
    {0x11c, "SOL_MPTCP"},  {0x11d, "SOL_MCTP"},     {0x11e, "SOL_SMC"},       {0x11f, "SOL_VSOCK"}};
constexpr Constant kSpeculation[] = {
    {0, "PR_SPEC_STORE_BYPASS"}, {1, "PR_SPEC_INDIRECT_BRANCH"}, {2, "PR_SPEC_L1D_FLUSH"}};
constexpr Constant kSpeculationControl[] = {{1, "PR_SPEC_PRCTL"},
                                            {2, "PR_SPEC_ENABLE"},
                                            {4, "PR_SPEC_DISABLE"},
                                            {8, "PR_SPEC_FORCE_DISABLE"},
                                            {0x10, "PR_SPEC_DISABLE_NOEXEC"}};
constexpr Constant kSpliceFlags[] = {
    {1, "SPLICE_F_MOVE"}, {2, "SPLICE_F_NONBLOCK"}, {4, "SPLICE_F_MORE"}, {8, "SPLICE_F_GIFT"}};
constexpr Constant kStatxMask[] = {{0xfff, "STATX_ALL"},
                                   {0x7ff, "STATX_BASIC_STATS"},
                                   {1, "STATX_TYPE"},
                                   {2, "STATX_MODE"},
                                   {4, "STATX_NLINK"},
                                   {8, "STATX_UID"},
                                   {0x10, "STATX_GID"},
                                   {0x20, "STATX_ATIME"},
                                   {0x40, "STATX_MTIME"},
                                   {0x80, "STATX_CTIME"},
                                   {0x100, "STATX_INO"},
                                   {0x200, "STATX_SIZE"},
                                   {0x400, "STATX_BLOCKS"},
                                   {0x800, "STATX_BTIME"},
                                   {0x1000, "STATX_MNT_ID"},
                                   {0x2000, "STATX_DIOALIGN"},
                                   {0x4000, "STATX_MNT_ID_UNIQUE"},
                                   {0x8000, "STATX_SUBVOL"},
                                   {0x10000, "STATX_WRITE_ATOMIC"},
                                   {0x20000, "STATX_DIO_READ_ALIGN"}};
constexpr Constant kStatxSync[] = {
    {0, "AT_STATX_SYNC_AS_STAT"}, {0x2000, "AT_STATX_FORCE_SYNC"}, {0x4000, "AT_STATX_DONT_SYNC"}};
constexpr Constant kSwapFlags[] = {{0x8000, "SWAP_FLAG_PREFER"},
                                   {0x10000, "SWAP_FLAG_DISCARD"},
                                   {0x20000, "SWAP_FLAG_DISCARD_ONCE"},
                                   {0x40000, "SWAP_FLAG_DISCARD_PAGES"}};
constexpr Constant kSyncFileRangeFlags[] = {
    {1, "SYNC_FILE_RANGE_WAIT_BEFORE"}, {2, "SYNC_FILE_RANGE_WRITE"}, {4, "SYNC_FILE_RANGE_WAIT_AFTER"}};
constexpr Constant kSyslogType[] = {
    {0, "SYSLOG_ACTION_CLOSE"},       {1, "SYSLOG_ACTION_OPEN"},         {2, "SYSLOG_ACTION_READ"},
    {3, "SYSLOG_ACTION_READ_ALL"},    {4, "SYSLOG_ACTION_READ_CLEAR"},   {5, "SYSLOG_ACTION_CLEAR"},
    {6, "SYSLOG_ACTION_CONSOLE_OFF"}, {7, "SYSLOG_ACTION_CONSOLE_ON"},   {8, "SYSLOG_ACTION_CONSOLE_LEVEL"},
    {9, "SYSLOG_ACTION_SIZE_UNREAD"}, {0xa, "SYSLOG_ACTION_SIZE_BUFFER"}};
constexpr Constant kTimerFlags[] = {{1, "TIMER_ABSTIME"}};
constexpr Constant kTimerfdFlags[] = {
    {1, "TFD_TIMER_ABSTIME"}, {2, "TFD_TIMER_CANCEL_ON_SET"}, {0x80000, "TFD_CLOEXEC"}, {0x800, "TFD_NONBLOCK"}};
constexpr Constant kTscMode[] = {{1, "PR_TSC_ENABLE"}, {2, "PR_TSC_SIGSEGV"}};
constexpr Constant kUmountFlags[] = {{1, "MNT_FORCE"}, {2, "MNT_DETACH"}, {4, "MNT_EXPIRE"}, {8, "UMOUNT_NOFOLLOW"}};
constexpr Constant kUnalign[] = {{1, "PR_UNALIGN_NOPRINT"}, {2, "PR_UNALIGN_SIGBUS"}};
constexpr Constant kUnshareFlags[] = {
    {0x80, "CLONE_NEWTIME"},      {0x100, "CLONE_VM"},         {0x200, "CLONE_FS"},
    {0x400, "CLONE_FILES"},       {0x800, "CLONE_SIGHAND"},    {0x10000, "CLONE_THREAD"},
    {0x20000, "CLONE_NEWNS"},     {0x40000, "CLONE_SYSVSEM"},  {0x2000000, "CLONE_NEWCGROUP"},
    {0x4000000, "CLONE_NEWUTS"},  {0x8000000, "CLONE_NEWIPC"}, {0x10000000, "CLONE_NEWUSER"},
    {0x20000000, "CLONE_NEWPID"}, {0x40000000, "CLONE_NEWNET"}};
constexpr Constant kUserfaultfdFlags[] = {{1, "UFFD_USER_MODE_ONLY"}, {0x800, "O_NONBLOCK"}, {0x80000, "O_CLOEXEC"}};
constexpr Constant kWaitOptions[] = {
    {1, "WNOHANG"},         {4, "WEXITED"},           {2, "WSTOPPED"},        {8, "WCONTINUED"},
    {0x1000000, "WNOWAIT"}, {0x80000000, "__WCLONE"}, {0x40000000, "__WALL"}, {0x20000000, "__WNOTHREAD"}};
constexpr Constant kWaitidWhich[] = {{0, "P_ALL"}, {1, "P_PID"}, {2, "P_PGID"}, {3, "P_PIDFD"}};
constexpr Constant kWhence[] = {{0, "SEEK_SET"}, {1, "SEEK_CUR"}, {2, "SEEK_END"}, {3, "SEEK_DATA"}, {4, "SEEK_HOLE"}};
constexpr Constant kXattrFlags[] = {{1, "XATTR_CREATE"}, {2, "XATTR_REPLACE"}};

}  // namespace

namespace sets {
constinit const ConstantSet access_type{kAccessType, "O_???", false, 32};
constinit const ConstantSet open_flags{kOpenFlags, "O_???", true, 32};
constinit const ConstantSet open_flags_arm64{kOpenFlagsArm64, "O_???", true, 32};
constinit const ConstantSet fd_flags{kFdFlags, "", true, 32};
constinit const ConstantSet lock_type{kLockType, "F_???", false, 32};
constinit const ConstantSet seals{kSealFlags, "F_SEAL_???", true, 32};
constinit const ConstantSet notify{kNotifyFlags, "DN_???", true, 32};
constinit const ConstantSet capability{kCapability, "CAP_???", false, 32};
constinit const ConstantSet at_flags{kAtFlags, "AT_???", true, 32};
constinit const ConstantSet statx_sync{kStatxSync, "AT_STATX_???", false, 32};
constinit const ConstantSet mmap_type{kMmapType, "MAP_???", false, 32};
constinit const ConstantSet mmap_flags{kMmapFlags, "", true, 32};
constinit const ConstantSet mmap_flags_arm64{kMmapFlagsArm64, "", true, 32};
constinit const ConstantSet mempolicy_mode{kMempolicyMode, "MPOL_???", false, 32};
constinit const ConstantSet mempolicy_flags{kMempolicyFlags, "MPOL_???", true, 64};
constinit const ConstantSet socket_type{kSocketType, "SOCK_???", false, 32};
constinit const ConstantSet socket_flags{kSocketFlags, "SOCK_???", true, 32};
constinit const ConstantSet fanotify_class{kFanotifyClass, "FAN_CLASS_???", false, 32};
constinit const ConstantSet fanotify_init_flags{kFanotifyInitFlags, "FAN_???", true, 32};
constinit const ConstantSet kexec_arch{kKexecArch, "KEXEC_ARCH_???", false, 32};
constinit const ConstantSet kexec_flags{kKexecFlags, "KEXEC_???", true, 64};
constinit const ConstantSet personality{kPersonality, "PER_???", false, 32};
constinit const ConstantSet personality_flags{kPersonalityFlags, "", true, 32};
constinit const ConstantSet swap_flags{kSwapFlags, "SWAP_FLAG_???", true, 32};
constinit const ConstantSet ipc_get_flags{kIpcGetFlags, "", true, 32};
constinit const ConstantSet shm_get_flags{kShmGetFlags, "", true, 32};
constinit const ConstantSet clone_flags{kCloneFlags, "CLONE_???", true, 64};
constinit const ConstantSet clone3_flags{kClone3Flags, "CLONE_???", true, 64};
constinit const ConstantSet seccomp_flags{kSeccompFlags, "SECCOMP_FILTER_FLAG_???", true, 32};
constinit const ConstantSet quota_cmd{kQuotaCmd, "Q_???", false, 32};
constinit const ConstantSet quota_type{kQuotaType, "???QUOTA", false, 32};
constinit const ConstantSet ioprio_class{kIoprioClass, "IOPRIO_CLASS_???", false, 32};
constinit const ConstantSet sigaction_flags{kSigactionFlags, "SA_???", true, 64};
constinit const ConstantSet sigaltstack_flags{kSigaltstackFlags, "SS_???", true, 32};
constinit const ConstantSet poll_events{kPollFlags, "POLL???", true, 32};
constinit const ConstantSet epoll_events{kEpollEvents, "EPOLL???", true, 32};
constinit const ConstantSet resolve_flags{kResolveFlags, "RESOLVE_???", true, 64};
constinit const ConstantSet ptrace_options{kPtraceOptions, "PTRACE_O_???", true, 32};
constinit const ConstantSet regset{kRegset, "NT_???", false, 32};
constinit const ConstantSet syslog_type{kSyslogType, "SYSLOG_ACTION_???", false, 32};
constinit const ConstantSet dumpable{kDumpable, "SUID_DUMP_???", false, 32};
constinit const ConstantSet seccomp_mode{kSeccompMode, "SECCOMP_MODE_???", false, 32};
constinit const ConstantSet cap_ambient{kCapAmbient, "PR_CAP_AMBIENT_???", false, 32};
constinit const ConstantSet mce_kill{kMceKill, "PR_MCE_KILL_???", false, 32};
constinit const ConstantSet prctl_mm{kPrctlMm, "PR_SET_MM_???", false, 32};
constinit const ConstantSet speculation{kSpeculation, "PR_SPEC_???", false, 32};
constinit const ConstantSet speculation_control{kSpeculationControl, "PR_SPEC_???", true, 32};
constinit const ConstantSet tsc_mode{kTscMode, "PR_TSC_???", false, 32};
constinit const ConstantSet unalign{kUnalign, "PR_UNALIGN_???", true, 32};
constinit const ConstantSet securebits{kSecurebits, "SECBIT_???", true, 32};
constinit const ConstantSet futex_op{kFutexOp, "FUTEX_???", false, 32};
constinit const ConstantSet futex_wake_op{kFutexWakeOp, "FUTEX_OP_???", false, 32};
constinit const ConstantSet futex_wake_compare{kFutexWakeCmp, "FUTEX_OP_CMP_???", false, 32};
constinit const ConstantSet futex2_size{kFutex2Size, "FUTEX2_SIZE_???", false, 32};
constinit const ConstantSet futex2_flags{kFutex2Flags, "", true, 32};
constinit const ConstantSet sched_policy{kSchedPolicy, "SCHED_???", false, 32};
constinit const ConstantSet sched_flags{kSchedFlags, "SCHED_FLAG_???", true, 64};
constinit const ConstantSet memfd_flags{kMemfdFlags, "MFD_???", true, 32};
constinit const ConstantSet whence{kWhence, "SEEK_???", false, 32};
constinit const ConstantSet membarrier_cmd{kMembarrierCmd, "MEMBARRIER_CMD_???", false, 32};
constinit const ConstantSet keyring{kKeyring, "", false, 32};
constinit const ConstantSet socket_domain{kSocketDomain, "AF_???", false, 32};
}  // namespace sets

namespace {

constinit const ConstantSet k_access_mode{kAccessMode, "?_OK", true, 32};
constinit const ConstantSet k_arch_prctl_code{kArchPrctlCode, "ARCH_???", false, 32};
constinit const ConstantSet k_at_flags{kAtFlags, "AT_???", true, 32};
constinit const ConstantSet k_at_flags_access{kAtFlagsAccess, "AT_???", true, 32};
constinit const ConstantSet k_at_flags_unlink{kAtFlags, "AT_???", true, 32};
constinit const ConstantSet k_bpf_cmd{kBpfCmd, "BPF_???", false, 32};
constinit const ConstantSet k_clock_id{kClockId, "CLOCK_???", false, 32};
constinit const ConstantSet k_close_range_flags{kCloseRangeFlags, "CLOSE_RANGE_???", true, 32};
constinit const ConstantSet k_delete_module_flags{kDeleteModuleFlags, "O_???", true, 32};
constinit const ConstantSet k_epoll_create_flags{kEpollCreateFlags, "EPOLL_???", true, 32};
constinit const ConstantSet k_epoll_op{kEpollOp, "EPOLL_CTL_???", false, 32};
constinit const ConstantSet k_eventfd_flags{kEventfdFlags, "EFD_???", true, 32};
constinit const ConstantSet k_fadvise{kFadvise, "POSIX_FADV_???", false, 32};
constinit const ConstantSet k_fallocate_mode{kFallocateMode, "FALLOC_FL_???", true, 32};
constinit const ConstantSet k_fanotify_mark_flags{kFanotifyMarkFlags, "FAN_MARK_???", true, 32};
constinit const ConstantSet k_fanotify_mask{kFanotifyMask, "FAN_???", true, 64};
constinit const ConstantSet k_fcntl_cmd{kFcntlCmd, "F_???", false, 32};
constinit const ConstantSet k_fd_flags{kOpenFlags, "O_???", true, 32};
constinit const ConstantSet k_finit_module_flags{kFinitModuleFlags, "MODULE_INIT_???", true, 32};
constinit const ConstantSet k_flock_op{kFlockOp, "LOCK_???", true, 32};
constinit const ConstantSet k_fsconfig_cmd{kFsconfigCmd, "FSCONFIG_???", false, 32};
constinit const ConstantSet k_fsmount_flags{kFsmountFlags, "FSMOUNT_???", true, 32};
constinit const ConstantSet k_fsopen_flags{kFsopenFlags, "FSOPEN_???", true, 32};
constinit const ConstantSet k_fspick_flags{kFspickFlags, "FSPICK_???", true, 32};
constinit const ConstantSet k_futex_op{kFutexOp, "FUTEX_???", false, 32};
constinit const ConstantSet k_get_mempolicy_flags{kGetMempolicyFlags, "MPOL_???", true, 64};
constinit const ConstantSet k_getrandom_flags{kGetrandomFlags, "GRND_???", true, 32};
constinit const ConstantSet k_inotify_init_flags{kInotifyInitFlags, "IN_???", true, 32};
constinit const ConstantSet k_inotify_mask{kInotifyMask, "IN_???", true, 32};
constinit const ConstantSet k_io_uring_enter_flags{kIoUringEnterFlags, "IORING_ENTER_???", true, 32};
constinit const ConstantSet k_io_uring_register_op{kIoUringRegisterOp, "IORING_REGISTER_???", false, 32};
constinit const ConstantSet k_ioprio_which{kIoprioWhich, "IOPRIO_WHO_???", false, 32};
constinit const ConstantSet k_ipc_msg_flags{kIpcMsgFlags, "MSG_???", true, 32};
constinit const ConstantSet k_itimer_which{kItimerWhich, "ITIMER_???", false, 32};
constinit const ConstantSet k_kcmp_type{kKcmpType, "KCMP_???", false, 32};
constinit const ConstantSet k_kexec_file_flags{kKexecFileFlags, "KEXEC_FILE_???", true, 64};
constinit const ConstantSet k_keyctl_op{kKeyctlOp, "KEYCTL_???", false, 32};
constinit const ConstantSet k_landlock_create_flags{kLandlockCreateFlags, "LANDLOCK_CREATE_RULESET_???", true, 32};
constinit const ConstantSet k_landlock_rule_type{kLandlockRuleType, "LANDLOCK_RULE_???", false, 32};
constinit const ConstantSet k_lsm_attr{kLsmAttr, "LSM_ATTR_???", false, 32};
constinit const ConstantSet k_madvice{kMadvice, "MADV_???", false, 32};
constinit const ConstantSet k_mbind_flags{kMbindFlags, "MPOL_???", true, 32};
constinit const ConstantSet k_membarrier_cmd{kMembarrierCmd, "MEMBARRIER_CMD_???", false, 32};
constinit const ConstantSet k_membarrier_flags{kMembarrierFlags, "MEMBARRIER_CMD_FLAG_???", true, 32};
constinit const ConstantSet k_memfd_flags{kMemfdFlags, "MFD_???", true, 32};
constinit const ConstantSet k_memfd_secret_flags{kMemfdSecretFlags, "", true, 32};
constinit const ConstantSet k_mlock2_flags{kMlock2Flags, "MLOCK_???", true, 32};
constinit const ConstantSet k_mlockall_flags{kMlockallFlags, "MCL_???", true, 32};
constinit const ConstantSet k_mmap_prot{kMmapProt, "PROT_???", true, 64};
constinit const ConstantSet k_mount_attrs{kMountAttrs, "MOUNT_ATTR_???", true, 32};
constinit const ConstantSet k_mount_flags{kMountFlags, "MS_???", true, 64};
constinit const ConstantSet k_mount_setattr_flags{kMountSetattrFlags, "AT_???", true, 32};
constinit const ConstantSet k_move_mount_flags{kMoveMountFlags, "MOVE_MOUNT_???", true, 32};
constinit const ConstantSet k_mremap_flags{kMremapFlags, "MREMAP_???", true, 64};
constinit const ConstantSet k_msg_flags{kMsgFlags, "MSG_???", true, 32};
constinit const ConstantSet k_msync_flags{kMsyncFlags, "MS_???", true, 32};
constinit const ConstantSet k_open_tree_flags{kOpenTreeFlags, "OPEN_TREE_???", true, 32};
constinit const ConstantSet k_perf_flags{kPerfFlags, "PERF_FLAG_???", true, 64};
constinit const ConstantSet k_pidfd_open_flags{kPidfdOpenFlags, "PIDFD_???", true, 32};
constinit const ConstantSet k_pkey_rights{kPkeyRights, "PKEY_???", true, 64};
constinit const ConstantSet k_prctl_op{kPrctlOp, "PR_???", false, 32};
constinit const ConstantSet k_priority_which{kPriorityWhich, "PRIO_???", false, 32};
constinit const ConstantSet k_ptrace_request{kPtraceRequest, "PTRACE_???", false, 64};
constinit const ConstantSet k_reboot_cmd{kRebootCmd, "LINUX_REBOOT_CMD_???", false, 32};
constinit const ConstantSet k_reboot_magic1{kRebootMagic1, "LINUX_REBOOT_MAGIC_???", false, 32};
constinit const ConstantSet k_reboot_magic2{kRebootMagic2, "LINUX_REBOOT_MAGIC_???", false, 32};
constinit const ConstantSet k_rename_flags{kRenameFlags, "RENAME_??", true, 32};
constinit const ConstantSet k_rlimit_resource{kRlimitResource, "RLIMIT_???", false, 32};
constinit const ConstantSet k_rusage_who{kRusageWho, "RUSAGE_???", false, 32};
constinit const ConstantSet k_rwf_flags{kRwfFlags, "RWF_???", true, 32};
constinit const ConstantSet k_sched_policy{kSchedPolicy, "SCHED_???", false, 32};
constinit const ConstantSet k_seccomp_op{kSeccompOp, "SECCOMP_SET_MODE_???", false, 32};
constinit const ConstantSet k_setns_flags{kSetnsFlags, "CLONE_NEW???", true, 32};
constinit const ConstantSet k_shadow_stack_flags{kShadowStackFlags, "SHADOW_STACK_???", true, 32};
constinit const ConstantSet k_shmat_flags{kShmatFlags, "SHM_???", true, 32};
constinit const ConstantSet k_shutdown_how{kShutdownHow, "SHUT_???", false, 32};
constinit const ConstantSet k_sigmask_how{kSigmaskHow, "SIG_???", false, 32};
constinit const ConstantSet k_signalfd_flags{kSignalfdFlags, "SFD_???", true, 32};
constinit const ConstantSet k_socket_domain{kSocketDomain, "AF_???", false, 32};
constinit const ConstantSet k_socket_flags{kSocketFlags, "SOCK_???", true, 32};
constinit const ConstantSet k_sockopt_level{kSockoptLevel, "SOL_??", false, 32};
constinit const ConstantSet k_splice_flags{kSpliceFlags, "SPLICE_F_???", true, 32};
constinit const ConstantSet k_statx_mask{kStatxMask, "STATX_???", true, 32};
constinit const ConstantSet k_sync_file_range_flags{kSyncFileRangeFlags, "SYNC_FILE_RANGE_???", true, 32};
constinit const ConstantSet k_timer_flags{kTimerFlags, "TIMER_???", true, 32};
constinit const ConstantSet k_timerfd_flags{kTimerfdFlags, "TFD_???", true, 32};
constinit const ConstantSet k_timerfd_settime_flags{kTimerfdFlags, "TFD_???", true, 32};
constinit const ConstantSet k_umount_flags{kUmountFlags, "MNT_???", true, 32};
constinit const ConstantSet k_unshare_flags{kUnshareFlags, "CLONE_???", true, 64};
constinit const ConstantSet k_userfaultfd_flags{kUserfaultfdFlags, "UFFD_???", true, 32};
constinit const ConstantSet k_wait_options{kWaitOptions, "W???", true, 32};
constinit const ConstantSet k_waitid_which{kWaitidWhich, "P_???", false, 32};
constinit const ConstantSet k_whence{kWhence, "SEEK_???", false, 32};
constinit const ConstantSet k_xattr_flags{kXattrFlags, "XATTR_???", true, 32};
constinit const ConstantSet k_msgctl_cmd{kMsgctlCmd, "MSG_???", false, 32};
constinit const ConstantSet k_semctl_cmd{kSemctlCmd, "SEM_???", false, 32};
constinit const ConstantSet k_shmctl_cmd{kShmctlCmd, "SHM_???", false, 32};
constinit const ConstantSet k_at_flags_handle{kAtFlagsHandle, "AT_???", true, 32};
constinit const ConstantSet k_move_pages_flags{kMovePagesFlags, "MPOL_???", true, 32};
constinit const ConstantSet k_mmap_prot_arm64{kMmapProtArm64, "PROT_???", true, 64};
constinit const ConstantSet k_fd_flags_arm64{kOpenFlagsArm64, "O_???", true, 32};

}  // namespace

const ConstantSet* constants_of(schemas::ArgKind kind, schemas::Arch arch) {
    using enum schemas::ArgKind;
    const bool arm64 = arch == schemas::Arch::arm64;
    switch (kind) {  // a table: one line a kind
        case mmap_prot: return arm64 ? &k_mmap_prot_arm64 : &k_mmap_prot;
        case fd_flags: return arm64 ? &k_fd_flags_arm64 : &k_fd_flags;
        case msgctl_cmd: return &k_msgctl_cmd;
        case semctl_cmd: return &k_semctl_cmd;
        case shmctl_cmd: return &k_shmctl_cmd;
        case at_flags_handle: return &k_at_flags_handle;
        case move_pages_flags: return &k_move_pages_flags;
        case access_mode: return &k_access_mode;
        case arch_prctl_code: return &k_arch_prctl_code;
        case at_flags: return &k_at_flags;
        case at_flags_access: return &k_at_flags_access;
        case at_flags_unlink: return &k_at_flags_unlink;
        case bpf_cmd: return &k_bpf_cmd;
        case clock_id: return &k_clock_id;
        case close_range_flags: return &k_close_range_flags;
        case delete_module_flags: return &k_delete_module_flags;
        case epoll_create_flags: return &k_epoll_create_flags;
        case epoll_op: return &k_epoll_op;
        case eventfd_flags: return &k_eventfd_flags;
        case fadvise: return &k_fadvise;
        case fallocate_mode: return &k_fallocate_mode;
        case fanotify_mark_flags: return &k_fanotify_mark_flags;
        case fanotify_mask: return &k_fanotify_mask;
        case fcntl_cmd: return &k_fcntl_cmd;
        case finit_module_flags: return &k_finit_module_flags;
        case flock_op: return &k_flock_op;
        case fsconfig_cmd: return &k_fsconfig_cmd;
        case fsmount_flags: return &k_fsmount_flags;
        case fsopen_flags: return &k_fsopen_flags;
        case fspick_flags: return &k_fspick_flags;
        case futex_op: return &k_futex_op;
        case get_mempolicy_flags: return &k_get_mempolicy_flags;
        case getrandom_flags: return &k_getrandom_flags;
        case inotify_init_flags: return &k_inotify_init_flags;
        case inotify_mask: return &k_inotify_mask;
        case io_uring_enter_flags: return &k_io_uring_enter_flags;
        case io_uring_register_op: return &k_io_uring_register_op;
        case ioprio_which: return &k_ioprio_which;
        case ipc_msg_flags: return &k_ipc_msg_flags;
        case itimer_which: return &k_itimer_which;
        case kcmp_type: return &k_kcmp_type;
        case kexec_file_flags: return &k_kexec_file_flags;
        case keyctl_op: return &k_keyctl_op;
        case landlock_create_flags: return &k_landlock_create_flags;
        case landlock_rule_type: return &k_landlock_rule_type;
        case lsm_attr: return &k_lsm_attr;
        case madvice: return &k_madvice;
        case mbind_flags: return &k_mbind_flags;
        case membarrier_cmd: return &k_membarrier_cmd;
        case membarrier_flags: return &k_membarrier_flags;
        case memfd_flags: return &k_memfd_flags;
        case memfd_secret_flags: return &k_memfd_secret_flags;
        case mlock2_flags: return &k_mlock2_flags;
        case mlockall_flags: return &k_mlockall_flags;
        case mount_attrs: return &k_mount_attrs;
        case mount_flags: return &k_mount_flags;
        case mount_setattr_flags: return &k_mount_setattr_flags;
        case move_mount_flags: return &k_move_mount_flags;
        case mremap_flags: return &k_mremap_flags;
        case msg_flags: return &k_msg_flags;
        case msync_flags: return &k_msync_flags;
        case open_tree_flags: return &k_open_tree_flags;
        case perf_flags: return &k_perf_flags;
        case pidfd_open_flags: return &k_pidfd_open_flags;
        case pkey_rights: return &k_pkey_rights;
        case prctl_op: return &k_prctl_op;
        case priority_which: return &k_priority_which;
        case ptrace_request: return &k_ptrace_request;
        case reboot_cmd: return &k_reboot_cmd;
        case reboot_magic1: return &k_reboot_magic1;
        case reboot_magic2: return &k_reboot_magic2;
        case rename_flags: return &k_rename_flags;
        case rlimit_resource: return &k_rlimit_resource;
        case rusage_who: return &k_rusage_who;
        case rwf_flags: return &k_rwf_flags;
        case sched_policy: return &k_sched_policy;
        case seccomp_op: return &k_seccomp_op;
        case setns_flags: return &k_setns_flags;
        case shadow_stack_flags: return &k_shadow_stack_flags;
        case shmat_flags: return &k_shmat_flags;
        case shutdown_how: return &k_shutdown_how;
        case sigmask_how: return &k_sigmask_how;
        case signalfd_flags: return &k_signalfd_flags;
        case socket_domain: return &k_socket_domain;
        case socket_flags: return &k_socket_flags;
        case sockopt_level: return &k_sockopt_level;
        case splice_flags: return &k_splice_flags;
        case statx_mask: return &k_statx_mask;
        case sync_file_range_flags: return &k_sync_file_range_flags;
        case timer_flags: return &k_timer_flags;
        case timerfd_flags: return &k_timerfd_flags;
        case timerfd_settime_flags: return &k_timerfd_settime_flags;
        case umount_flags: return &k_umount_flags;
        case unshare_flags: return &k_unshare_flags;
        case userfaultfd_flags: return &k_userfaultfd_flags;
        case wait_options: return &k_wait_options;
        case waitid_which: return &k_waitid_which;
        case whence: return &k_whence;
        case xattr_flags: return &k_xattr_flags;
        default: return nullptr;
    }
}

std::string_view name_in(std::span<const Constant> list, uint64_t value) {
    for (const Constant& constant : list)
        if (constant.value == value) return constant.name;
    return {};
}

namespace {
uint64_t masked(const ConstantSet& set, uint64_t value) { return set.bits == 32 ? value & 0xffffffff : value; }

void append_unknown(std::string& out, const ConstantSet& set, uint64_t value) {
    if (value == 0)
        out += '0';
    else
        fmt::format_to(std::back_inserter(out), "{:#x}", value);
    if (set.unknown.empty()) return;
    out += " /* ";
    out += set.unknown;
    out += " */";
}
}  // namespace

void append_choice(std::string& out, const ConstantSet& set, uint64_t value) {
    const uint64_t known = masked(set, value);
    const std::string_view name = name_in(set.list, known);
    if (name.empty())
        append_unknown(out, set, known);
    else
        out += name;
}

void append_flags(std::string& out, const ConstantSet& set, uint64_t value) {
    uint64_t rest = masked(set, value);
    if (rest == 0) {
        const std::string_view none = name_in(set.list, 0);
        out += none.empty() ? "0" : none;
        return;
    }
    bool any = false;
    for (const Constant& constant : set.list) {
        if (constant.value == 0 || (rest & constant.value) != constant.value) continue;
        if (any) out += '|';
        out += constant.name;
        rest &= ~constant.value;
        any = true;
        if (rest == 0) return;
    }
    if (!any) return append_unknown(out, set, rest);
    fmt::format_to(std::back_inserter(out), "|{:#x}", rest);
}

void append_constant(std::string& out, const ConstantSet& set, uint64_t value) {
    if (set.flags)
        append_flags(out, set, value);
    else
        append_choice(out, set, value);
}

}  // namespace flightrec::replay
