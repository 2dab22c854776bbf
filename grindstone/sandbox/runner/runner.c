/* The one program Grindstone brings into a sandbox; static, so that nothing inside can bend it.
 *
 *   runner init [--filter]                      process 1: waits for orphans
 *   runner enter [--group FILE]… [--namespace FD]… --program FD -- args…
 *                                               outside: become the runner inside a sandbox
 *   runner exec [options] -- program args…      run, with a time limit that ends everything
 *   runner seal [options] LOG_DIR INPUT… -- …   the same in a mount namespace of its own
 *   runner put                                  records on standard input become files
 *   runner cat MAX PATH                         a regular file becomes records
 *   runner tree MAX PATH                        a folder's folders and regular files become records
 *   runner listen PORT [SOCKET]                 open 127.0.0.1:PORT in here and hand the listening
 *                                               socket out: over the Unix socket, else over descriptor 0
 *   runner sweep                                end everything but process 1
 *   runner reach MS ADDRESS PORT …              which of these take a connection within the time:
 *                                               a line each, for who must know that none does
 *   runner source                               the digest of the source it was made from
 *
 * Options: --timeout MS, --max BYTES (of output kept), --cwd DIR, --stdin (give it to the
 * command), --filter (refuse system calls that only a kernel's administrator needs; for
 * sandboxes whose engine brings no filter), --nproc N (processes of this user namespace), --fsize BYTES (of one file),
 * --keep (a sealed run leaves alive what runs already), --keep-listening (only if some of it
 * listens on a socket),
 * --env (the environment is what is passed as SANDBOX_ENV_NAME=value, and nothing else: the
 * program that got us here ran outside, where a task's LD_PRELOAD must mean nothing),
 * --read-env (variables come first on standard input, for engines that pass none: a command line is
 * every process's to read, an environment is not).
 *
 * What it says is a stream of records on standard output:
 *   type (1 byte), mode (4), path length (4), data length (8), path, data; big-endian
 *   'O' bytes of the command's output, or of the file begun last     'F' a file begins
 *   'D' a folder   'L' a link (its data is the target)   'E' the end of standard input's records
 *   'V' a variable, before all others: its name is the path, its value the data
 *   'N' a note: on a sealed run, what ran already and what was done with it; on any other,
 *       that some of what it started could not be ended
 *   'T' the end: "exit timed_out total problem"
 *
 * Nothing in here is the agent's to look into or to steer: no runner is dumpable, so neither ptrace
 * nor /proc/PID/{mem,fd,root,ns} of it opens to a process without CAP_SYS_PTRACE, and the filter is
 * on before process 1 waits and before a command's process is made.
 *
 * Privileges. exec, put, cat and tree first give up every capability that the agent has not.
 * Only seal keeps them, and until the command has its own, weaker set, it runs and follows
 * nothing that the agent could have made: no library, no program, no link.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NEW_ROOT "/.grindstone/root" /* on a read-only mount: the agent cannot take it away */
#define LOG_BYTES (64 << 20)         /* of the files a sealed command may hand back */
#define LOG_FILE_BYTES (16 << 20)
#define LEFT "left" /* as in wire.py */
#define TREE_DEPTH 256
#define TREE_ENTRIES 100000
#define KEPT_CAPS 0xEBull /* CHOWN DAC_OVERRIDE FOWNER KILL SETGID SETUID */
#define SEAL_CAP 36       /* BLOCK_SUSPEND: worth nothing, but the agent lacks it, and the
                             kernel lets no one look into a process that holds more */

#ifndef SOURCE
#define SOURCE "unknown" /* build.sh: the digest of this file */
#endif

struct options {
    long timeout_ms;
    size_t max;
    const char *cwd;
    int stdin_on, filter, keep; /* keep: 0 nothing, 1 if something listens, 2 all */
    long nproc; /* 0: as it is */
    long fsize; /* bytes of one file, 0: as it is */
};

/* ---- records ---- */

static void write_all(const void *data, size_t n) {
    const char *p = data;
    while (n) {
        ssize_t done = write(1, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) _exit(97);
        p += done;
        n -= (size_t)done;
    }
}

static void record(char type, unsigned mode, const char *path, const void *data, size_t n) {
    unsigned char h[17];
    size_t len = strlen(path);
    h[0] = (unsigned char)type;
    for (int i = 0; i < 4; i++) h[1 + i] = (unsigned char)(mode >> (24 - 8 * i));
    for (int i = 0; i < 4; i++) h[5 + i] = (unsigned char)(len >> (24 - 8 * i));
    for (int i = 0; i < 8; i++) h[9 + i] = (unsigned char)((uint64_t)n >> (56 - 8 * i));
    write_all(h, sizeof h);
    write_all(path, len);
    write_all(data, n);
}

static void finish(int code, int timed_out, unsigned long long total, const char *problem) {
    char text[512];
    int n = snprintf(text, sizeof text, "%d %d %llu %s", code, timed_out, total, problem);
    record('T', 0, "", text, (size_t)(n < (int)sizeof text ? n : (int)sizeof text - 1));
    _exit(0);
}

static void die(const char *what) {
    char text[400];
    snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
    finish(126, 0, 0, text);
}

static void read_all(void *data, size_t n) {
    char *p = data;
    while (n) {
        ssize_t got = read(0, p, n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) die("standard input");
        if (got == 0) {
            errno = EPIPE;
            die("standard input ended early");
        }
        p += got;
        n -= (size_t)got;
    }
}

/* ---- privileges ---- */

/* Where it `stays`, SEAL_CAP is with programs that change their user too: what runs beside them can
 * become that user, and would look into them. A change of user takes no capability
 * away then; the next program that is executed has this one alone. */
static void drop_caps(uint64_t keep, int stays) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    int fixed = SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED;
    if (stays && prctl(PR_SET_SECUREBITS, fixed, 0, 0, 0) != 0) die("the rules of capabilities");
    for (int cap = 0; cap < 64; cap++)
        if (!(keep >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            die("dropping a capability");
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capget, &head, data) != 0) die("reading capabilities");
    for (int i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(keep >> (32 * i));
        data[i].effective = data[i].permitted;
        data[i].inheritable = stays && i == SEAL_CAP / 32 ? 1u << (SEAL_CAP % 32) : 0;
    }
    if (syscall(SYS_capset, &head, data) != 0) die("giving up capabilities");
    if (stays && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, SEAL_CAP, 0, 0) != 0)
        die("a capability that stays");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("no_new_privs");
}

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#error "no system call filter for this processor"
#endif

static void filter_calls(void) {
    static const int refused[] = {
        SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
        428 /* open_tree */, 429 /* move_mount */, 430 /* fsopen */, 431 /* fsconfig */,
        432 /* fsmount */, 433 /* fspick */, 442 /* mount_setattr */,
        SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_add_key, SYS_request_key, SYS_keyctl,
        SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot,
        SYS_swapon, SYS_swapoff, SYS_acct, SYS_quotactl, SYS_name_to_handle_at,
        SYS_open_by_handle_at, SYS_syslog, SYS_settimeofday, SYS_clock_settime,
        425 /* io_uring_setup */, 426, 427,
        /* One process of the sandbox is no other's to change: */
        SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
        438 /* pidfd_getfd */, 440 /* process_madvise */,
    };
    enum { N = sizeof refused / sizeof *refused };
    struct sock_filter code[N * 2 + 24];
    unsigned n = 0;
#define STMT(c, k) code[n++] = (struct sock_filter)BPF_STMT(c, k)
#define JUMP(c, k, t, f) code[n++] = (struct sock_filter)BPF_JUMP(c, k, t, f)
    STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0);
    STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1); /* x32 */
    STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, 435 /* clone3: its flags cannot be seen */, 0, 1);
    STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    for (int i = 0; i < N; i++) {
        JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)refused[i], 0, 1);
        STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    /* Another's limits: a second of processor time for process 1 would end the sandbox. */
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, 4);
    STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3);
    STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
    JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x7E020000 /* any CLONE_NEW… */, 0, 1);
    STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)n, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("no_new_privs");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) die("the call filter");
}

/* ---- ending everything a command started ---- */

static long long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

struct row {
    int pid, parent, ours;
};

/* Everything below this process. As sub-reaper it stays the ancestor of all that was started,
 * new sessions and double forks included. */
static int descendants(struct row **rows) {
    static struct row *all;
    static int room;
    int n = 0, changed = 1, kept = 0, self = getpid();
    DIR *proc = opendir("/proc");
    if (!proc) return 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        char path[64], text[600], *end, state;
        int pid = atoi(entry->d_name), parent, fd;
        if (pid <= 0) continue;
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) continue;
        ssize_t got = read(fd, text, sizeof text - 1);
        close(fd);
        if (got <= 0) continue;
        text[got] = 0;
        if (!(end = strrchr(text, ')')) || sscanf(end + 1, " %c %d", &state, &parent) != 2) continue;
        if (state == 'Z' || state == 'X') continue;
        if (n == room) {
            room = room ? room * 2 : 512;
            if (!(all = realloc(all, (size_t)room * sizeof *all))) _exit(98);
        }
        all[n++] = (struct row){pid, parent, parent == self};
    }
    closedir(proc);
    while (changed) {
        changed = 0;
        for (int i = 0; i < n; i++)
            for (int j = 0; !all[i].ours && j < n; j++)
                if (all[j].ours && all[j].pid == all[i].parent) all[i].ours = changed = 1;
    }
    for (int i = 0; i < n; i++)
        if (all[i].ours) all[kept++] = all[i];
    *rows = all;
    return kept;
}

/* Returns how many it could not end in time. */
static int end_everything(void) {
    struct row *rows;
    int n, before = -1;
    long long stop_at = now_ms() + 5000;
    /* First still, then dead: what is killed one by one can fork faster than it dies. */
    for (int pass = 0; pass < 40 && (n = descendants(&rows)) && n != before; pass++) {
        for (int i = 0; i < n; i++) kill(rows[i].pid, SIGSTOP);
        before = n;
    }
    while ((n = descendants(&rows)) && now_ms() < stop_at) {
        for (int i = 0; i < n; i++) kill(rows[i].pid, SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        usleep(1000);
    }
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
    return n;
}

/* ---- running ---- */

static int beside; /* whether something was kept that the command runs beside of */

static void start(char **argv, const struct options *o, int out, uint64_t caps) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    if (!o->stdin_on) {
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null > 0) dup2(null, 0);
    }
    dup2(out, 1);
    dup2(out, 2);
    if (o->nproc > 0) {
        struct rlimit limit = {(rlim_t)o->nproc, (rlim_t)o->nproc};
        setrlimit(RLIMIT_NPROC, &limit);
    }
    if (o->fsize > 0) {
        struct rlimit limit = {(rlim_t)o->fsize, (rlim_t)o->fsize};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    drop_caps(caps, beside);
    if (o->cwd && chdir(o->cwd) != 0) {
        dprintf(2, "cannot enter %s: %s\n", o->cwd, strerror(errno));
        _exit(126);
    }
    execvp(argv[0], argv);
    if (errno == ENOENT && strcmp(argv[0], "bash") == 0) {
        argv[0] = "sh";
        execvp(argv[0], argv);
    }
    dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static char *ring;
static size_t head_left, ring_size, ring_used, ring_at;
static unsigned long long total;

static void keep(const char *data, size_t n) {
    total += n;
    size_t first = n < head_left ? n : head_left;
    if (first) record('O', 0, "", data, first);
    head_left -= first;
    data += first;
    n -= first;
    if (n > ring_size) {
        data += n - ring_size;
        n = ring_size;
    }
    while (n) {
        size_t part = ring_size - ring_at < n ? ring_size - ring_at : n;
        memcpy(ring + ring_at, data, part);
        ring_at = (ring_at + part) % ring_size;
        ring_used = ring_used + part > ring_size ? ring_size : ring_used + part;
        data += part;
        n -= part;
    }
}

/* Returns 1 at the end of the stream. */
static int take(int fd, int at_most) {
    static char buffer[65536];
    while (at_most > 0) {
        ssize_t got = read(fd, buffer, (size_t)at_most < sizeof buffer ? (size_t)at_most : sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return 0;
        if (got == 0) return 1;
        keep(buffer, (size_t)got);
        at_most -= (int)got;
    }
    return 0;
}

/* A service left running keeps writing into the pipe it inherited: someone must read on, or the
 * next line it logs would end it. */
static void drain_for_ever(int fd) {
    if (fork() != 0) return;
    setsid();
    close(0);
    close(1);
    close(2);
    fcntl(fd, F_SETFL, 0);
    static char buffer[65536];
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got == 0 || (got < 0 && errno != EINTR)) _exit(0);
    }
}

static void run(char **argv, const struct options *o, uint64_t caps, int sealed, int *code,
                int *timed_out) {
    int pipes[2], status = 0, ended = 0, closed = 0;
    long long deadline = now_ms() + o->timeout_ms;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || pipe2(pipes, O_CLOEXEC) != 0) die("pipes");
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    head_left = o->max / 2;
    ring_size = o->max - head_left ? o->max - head_left : 1;
    if (!(ring = malloc(ring_size))) die("memory for output");
    pid_t pid = fork();
    if (pid < 0) die("cannot start a process");
    if (pid == 0) start(argv, o, pipes[1], caps);
    close(pipes[1]);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    while (!ended) {
        long long left = deadline - now_ms();
        if (left <= 0) break;
        struct pollfd fds[2] = {{signals, POLLIN, 0}, {closed ? -1 : pipes[0], POLLIN, 0}};
        if (poll(fds, 2, left > INT_MAX ? INT_MAX : (int)left) < 0 && errno != EINTR) die("poll");
        struct signalfd_siginfo info;
        while (read(signals, &info, sizeof info) > 0) {}
        if (fds[1].revents) closed = take(pipes[0], 65536);
        int one;
        for (pid_t who; (who = waitpid(-1, &one, WNOHANG)) > 0;)
            if (who == pid) {
                ended = 1;
                status = one;
            }
    }
    *timed_out = !ended;
    if ((!ended || sealed) && end_everything() && !sealed)
        record('N', 0, "", LEFT, sizeof LEFT - 1);
    int waiting = 0;
    if (!closed && ioctl(pipes[0], FIONREAD, &waiting) == 0) closed = take(pipes[0], waiting);
    struct pollfd more = {pipes[0], POLLIN, 0};
    if (ended && !sealed && !closed && !(poll(&more, 1, 0) == 1 && more.revents & POLLHUP))
        drain_for_ever(pipes[0]);
    if (ring_used) {
        size_t from = (ring_at + ring_size - ring_used) % ring_size;
        size_t part = ring_size - from < ring_used ? ring_size - from : ring_used;
        record('O', 0, "", ring + from, part);
        record('O', 0, "", ring, ring_used - part);
    }
    *code = !ended ? 124 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- files ---- */

static void parents(char *path, size_t fixed) {
    for (char *p = path + fixed + 1; (p = strchr(p, '/')); p++) {
        struct stat info;
        *p = 0;
        if (mkdir(path, 0755) != 0 && (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))) {
            unlink(path); /* a file, or a link to nothing, where a folder must be */
            if (mkdir(path, 0755) != 0) die(path);
        }
        *p = '/';
    }
}

static void unpack(const char *root) {
    for (;;) {
        unsigned char h[17];
        char path[PATH_MAX * 2], target[PATH_MAX];
        unsigned mode = 0;
        size_t len = 0, prefix = strlen(root);
        uint64_t size = 0;
        struct stat info;
        read_all(h, sizeof h);
        for (int i = 0; i < 4; i++) mode = mode << 8 | h[1 + i];
        for (int i = 0; i < 4; i++) len = len << 8 | h[5 + i];
        for (int i = 0; i < 8; i++) size = size << 8 | h[9 + i];
        if (h[0] == 'E') return;
        errno = ENAMETOOLONG;
        if (len >= PATH_MAX || (h[0] == 'L' && size >= sizeof target)) die("a path");
        strcpy(path, root);
        read_all(path + prefix, len);
        path[prefix + len] = 0;
        parents(path, prefix);
        if (h[0] == 'D') {
            if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
                unlink(path);
                if (mkdir(path, 0700) != 0 || chmod(path, mode) != 0) die(path);
            }
            continue;
        }
        if (unlink(path) != 0 && errno != ENOENT) die(path);
        if (h[0] == 'L') {
            read_all(target, size);
            target[size] = 0;
            if (symlink(target, path) != 0) die(path);
            continue;
        }
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0) die(path);
        static char buffer[65536];
        while (size) {
            size_t part = size < sizeof buffer ? size : sizeof buffer;
            read_all(buffer, part);
            for (size_t done = 0; done < part;) {
                ssize_t wrote = write(fd, buffer + done, part - done);
                if (wrote <= 0) die(path);
                done += (size_t)wrote;
            }
            size -= part;
        }
        if (fchmod(fd, mode) != 0) die(path);
        close(fd);
    }
}

/* Sends what is left of a file, at most `max` bytes; returns how many. */
static size_t send_file(int fd, size_t max) {
    static char buffer[65536];
    size_t sent = 0;
    while (sent < max) {
        size_t part = max - sent < sizeof buffer ? max - sent : sizeof buffer;
        ssize_t got = read(fd, buffer, part);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        record('O', 0, "", buffer, (size_t)got);
        sent += (size_t)got;
    }
    return sent;
}

/* Sends a folder's folders and regular files. Returns 0 when `room`, the depth or the
 * number of entries did not do; with `file_max`, what is too large or deep is left out instead. Takes over `folder`. */
static int send_tree(int folder, const char *name, size_t *room, size_t file_max, int depth) {
    static int entries;
    DIR *dir = depth < TREE_DEPTH ? fdopendir(folder) : NULL;
    if (!dir) {
        close(folder);
        return depth < TREE_DEPTH || file_max;
    }
    int fine = 1;
    for (struct dirent *entry; fine && (entry = readdir(dir));) {
        char path[PATH_MAX];
        struct stat info;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (snprintf(path, sizeof path, "%s%s%s", name, *name ? "/" : "", entry->d_name) >=
            (int)sizeof path)
            continue;
        if (++entries > TREE_ENTRIES) {
            fine = 0;
            break;
        }
        int fd = openat(folder, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) continue;
        if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
            record('D', info.st_mode & 07777, path, "", 0);
            fine = send_tree(fd, path, room, file_max, depth + 1);
            continue;
        }
        if (S_ISREG(info.st_mode)) {
            size_t size = (size_t)info.st_size;
            if (size <= *room && (!file_max || size <= file_max)) {
                record('F', info.st_mode & 07777, path, "", 0);
                *room -= send_file(fd, size);
            } else if (!file_max)
                fine = 0;
        }
        close(fd);
    }
    closedir(dir);
    return fine;
}

/* ---- what ran before a sealed run ---- */

static int is_running(int pid, char *name) {
    char path[64], text[600], *end;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0) return 0;
    text[got] = 0;
    char *begin = strchr(text, '(');
    if (!begin || !(end = strrchr(text, ')')) || end[1] != ' ') return 0;
    if (end[2] == 'Z' || end[2] == 'X') return 0;
    *end = 0;
    snprintf(name, 16, "%s", begin + 1);
    for (char *c = name; *c; c++)
        if (*c < 33 || *c > 126) *c = '?';
    return 1;
}

/* Adds the inodes of sockets that wait for others: TCP and Unix ones that listen, UDP ones that
 * are bound. */
static int waiting_sockets(const char *table, int inode, const char *wanted, unsigned long *inodes,
                           int n, int room) {
    char line[512];
    FILE *file = fopen(table, "re");
    if (!file) return n;
    while (n < room && fgets(line, sizeof line, file)) {
        char *words[12] = {0}, *rest = line;
        int count = 0;
        while (count < 12 && (words[count] = strtok_r(rest, " \n", &rest))) count++;
        if (count > inode && !strcmp(words[3], wanted)) /* the state in every table */
            inodes[n++] = strtoul(words[inode], NULL, 10);
    }
    fclose(file);
    return n;
}

static int holds_one_of(int pid, const unsigned long *inodes, int n) {
    char path[64], link[64];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *fds = opendir(path);
    if (!fds) return 0;
    for (struct dirent *entry; !found && (entry = readdir(fds));) {
        ssize_t size = readlinkat(dirfd(fds), entry->d_name, link, sizeof link - 1);
        if (size <= 8 || strncmp(link, "socket:[", 8)) continue;
        link[size] = 0;
        unsigned long inode = strtoul(link + 8, NULL, 10);
        for (int i = 0; !found && i < n; i++) found = inodes[i] == inode;
    }
    closedir(fds);
    return found;
}

/* How many processes there are beside the first and this one; their names, or with `inodes` the
 * names of those that hold such a socket, are put into `names`. */
static int others(char *names, size_t room, const unsigned long *inodes, int n) {
    int count = 0, self = getpid();
    size_t used = 0;
    DIR *proc = opendir("/proc");
    if (!proc) die("/proc");
    names[0] = 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        char name[16];
        int pid = atoi(entry->d_name);
        if (pid <= 1 || pid == self || !is_running(pid, name)) continue;
        if (inodes && !holds_one_of(pid, inodes, n)) continue;
        if (count++ < 20 && used + 20 < room)
            used += (size_t)snprintf(names + used, room - used, "%s%s", count > 1 ? ", " : "", name);
    }
    closedir(proc);
    return count;
}

/* Ends what the sandbox's user left running, or says why it may go on. */
static void clear_the_field(int keep) {
    static unsigned long inodes[16384];
    char names[512], note[640];
    int n = 0, room = sizeof inodes / sizeof *inodes;
    int count = others(names, sizeof names, NULL, 0);
    if (!count) return;
    if (keep == 1) {
        n = waiting_sockets("/proc/net/tcp", 9, "0A", inodes, n, room);
        n = waiting_sockets("/proc/net/tcp6", 9, "0A", inodes, n, room);
        n = waiting_sockets("/proc/net/udp", 9, "07", inodes, n, room);
        n = waiting_sockets("/proc/net/udp6", 9, "07", inodes, n, room);
        n = waiting_sockets("/proc/net/unix", 6, "00010000", inodes, n, room);
    }
    char listening[512];
    int listeners = keep == 1 ? others(listening, sizeof listening, inodes, n) : 0;
    if (keep == 2 || listeners) {
        snprintf(note, sizeof note, "kept %d %s", count, listeners ? listening : names);
        record('N', 0, "", note, strlen(note));
        beside = 1;
        return;
    }
    /* One call: nothing can fork while it is made. */
    kill(-1, SIGKILL);
    long long stop_at = now_ms() + 10000;
    char still[512];
    while (others(still, sizeof still, NULL, 0)) {
        if (now_ms() > stop_at) {
            errno = EBUSY;
            die("ending what was left running");
        }
        kill(-1, SIGKILL);
        usleep(1000);
    }
    snprintf(note, sizeof note, "ended %d %s", count, names);
    record('N', 0, "", note, strlen(note));
}

/* ---- the sealed view ---- */

/* Makes `to` a private copy of the folder `from` in which `paths` (relative, "" for the folder
 * itself) are fresh, and everything else is the sandbox's own, bound by what it is and not by
 * its name: names can be changed under us. Takes over `from`. */
static void lay(int from, const char *to, char **paths, int n) {
    DIR *dir = fdopendir(from);
    if (!dir) die("reading a folder");
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        char path[PATH_MAX], link[PATH_MAX], source[64];
        char *inner[64];
        int inside = 0, fresh = 0;
        struct stat info;
        if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, ".grindstone")) continue;
        size_t len = strlen(name);
        for (int i = 0; i < n; i++)
            if (!strncmp(paths[i], name, len) && (paths[i][len] == '/' || !paths[i][len])) {
                if (paths[i][len])
                    inner[inside++] = paths[i] + len + 1;
                else
                    fresh = 1;
            }
        if (fresh) continue;
        if (snprintf(path, sizeof path, "%s/%s", to, name) >= (int)sizeof path) continue;
        int fd = openat(from, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &info) != 0) continue; /* gone since it was listed */
        snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
        if (inside) {
            int below = S_ISDIR(info.st_mode)
                            ? openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                            : -1;
            if (mkdir(path, 0755) != 0) die(path);
            if (below >= 0) lay(below, path, inner, inside);
        } else if (S_ISLNK(info.st_mode)) {
            ssize_t size = readlinkat(fd, "", link, sizeof link - 1);
            if (size >= 0) {
                link[size] = 0;
                if (symlink(link, path) != 0) die(path);
            }
        } else {
            int made = S_ISDIR(info.st_mode)
                           ? mkdir(path, 0755)
                           : mknod(path, S_IFREG | 0600, 0);
            if (made != 0) die(path);
            if (mount(source, path, NULL, MS_BIND | MS_REC, NULL) != 0) die(path);
        }
        close(fd);
    }
    closedir(dir);
}

static void seal(char **argv, const struct options *o, char **paths, int n) {
    char folder[PATH_MAX], *relative[64];
    if (n < 1 || n > 64) {
        errno = EINVAL;
        die("the number of inputs");
    }
    clear_the_field(o->keep);
    if (unshare(CLONE_NEWNS) != 0) die("a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) die("making mounts private");
    if (mount("sealed", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0)
        die("a private file system");
    umask(022);
    for (int i = 0; i < n; i++) relative[i] = paths[i] + 1;
    int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0) die("/");
    lay(top, NEW_ROOT, relative, n);
    for (int i = 0; i < n; i++) {
        snprintf(folder, sizeof folder, NEW_ROOT "%s/", paths[i]);
        parents(folder, strlen(NEW_ROOT));
    }
    unpack(NEW_ROOT);
    for (int i = 0; i < n; i++) {
        snprintf(folder, sizeof folder, NEW_ROOT "%s", paths[i]);
        if (chmod(folder, 0700) != 0) die(folder);
    }
    if (chdir(NEW_ROOT) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) die("pivot_root");
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) die("leaving the shared root");
    int code, timed_out;
    if (o->filter) filter_calls();
    run(argv, o, KEPT_CAPS | 1ull << SEAL_CAP, 1, &code, &timed_out);
    size_t room = LOG_BYTES;
    int logs = open(paths[0], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (logs >= 0) send_tree(logs, "", &room, LOG_FILE_BYTES, 0);
    finish(code, timed_out, total, "");
}

/* A socket belongs to the network namespace it was made in, whoever accepts on it: this one is the
 * sandbox's door, and outside is who decides what goes through. */
static void open_door(int port, const char *path) {
    struct sockaddr_in here = {AF_INET, htons((uint16_t)port), {htonl(INADDR_LOOPBACK)}, {0}};
    struct sockaddr_un there = {AF_UNIX, ""};
    int to = 0, one = 1, door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (door < 0 || bind(door, (struct sockaddr *)&here, sizeof here) != 0 || listen(door, 64) != 0)
        die("the door");
    if (path) {
        if (snprintf(there.sun_path, sizeof there.sun_path, "%s", path) >= (int)sizeof there.sun_path)
            die("the path of the door");
        to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (to < 0 || connect(to, (struct sockaddr *)&there, sizeof there) != 0) die("handing out");
    }
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec byte = {"d", 1};
    struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.head), &door, sizeof door);
    if (sendmsg(to, &message, 0) != 1) die("handing out");
    finish(0, 0, 0, "");
}

static void clean_environment(void) {
    static const char prefix[] = "SANDBOX_ENV_";
    char **next = environ;
    for (char **one = environ; *one; one++)
        if (!strncmp(*one, prefix, sizeof prefix - 1)) *next++ = *one + sizeof prefix - 1;
    *next = NULL;
}

static void read_environment(void) {
    static char text[1 << 20];
    for (;;) {
        unsigned char h[17];
        uint64_t name = 0, value = 0;
        read_all(h, sizeof h);
        if (h[0] == 'E') return;
        for (int i = 0; i < 4; i++) name = name << 8 | h[5 + i];
        for (int i = 0; i < 8; i++) value = value << 8 | h[9 + i];
        errno = EINVAL;
        if (h[0] != 'V' || !name || name >= sizeof text || value >= sizeof text - name - 1)
            die("a variable");
        read_all(text, name);
        text[name] = 0;
        read_all(text + name + 1, value);
        text[name + 1 + value] = 0;
        if (setenv(text, text + name + 1, 1) != 0) die("a variable");
    }
}

/* Asks all at once; who answers with a refusal was not let through to a service, and is not told. */
static void reach(long wait_ms, char **pairs, int n) {
    struct pollfd asked[32];
    char line[128];
    long long stop_at = now_ms() + wait_ms;
    for (int i = 0; i < n; i++) {
        struct sockaddr_in four = {AF_INET, htons((uint16_t)atoi(pairs[2 * i + 1])), {0}, {0}};
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = four.sin_port};
        int is_six = inet_pton(AF_INET6, pairs[2 * i], &six.sin6_addr) == 1;
        errno = EINVAL;
        if (!is_six && inet_pton(AF_INET, pairs[2 * i], &four.sin_addr) != 1)
            die("an address");
        asked[i].events = POLLOUT;
        asked[i].fd = socket(is_six ? AF_INET6 : AF_INET,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (asked[i].fd < 0) continue; /* poll leaves it out */
        const void *to = is_six ? (void *)&six : (void *)&four;
        if (connect(asked[i].fd, to, is_six ? sizeof six : sizeof four) != 0 &&
            errno != EINPROGRESS) {
            close(asked[i].fd);
            asked[i].fd = -1;
        }
    }
    for (long long left; (left = stop_at - now_ms()) > 0;) {
        int waiting = 0;
        for (int i = 0; i < n; i++) waiting += asked[i].fd >= 0;
        if (!waiting || poll(asked, (nfds_t)n, (int)left) <= 0) break;
        for (int i = 0; i < n; i++) {
            int problem = 0;
            socklen_t size = sizeof problem;
            if (asked[i].fd < 0 || !asked[i].revents) continue;
            getsockopt(asked[i].fd, SOL_SOCKET, SO_ERROR, &problem, &size);
            if (!problem) {
                snprintf(line, sizeof line, "%s %s\n", pairs[2 * i], pairs[2 * i + 1]);
                record('O', 0, "", line, strlen(line));
            }
            close(asked[i].fd);
            asked[i].fd = -1;
        }
    }
    finish(0, 0, 0, "");
}

/* Namespaces, control groups and program come as descriptors (groups as files outside) that were
 * opened before anything of the agent's ran: no name is looked up where it could have laid
 * something, and what process 1 is made to do later changes nothing. */
static void enter(int argc, char **argv) {
    const char *failed = "usage";
    int program = -1, status, i = 2;
    errno = EINVAL;
    for (; i + 1 < argc && strcmp(argv[i], "--"); i += 2) {
        int fd = atoi(argv[i + 1]);
        failed = argv[i];
        if (!strcmp(argv[i], "--group")) {
            if ((fd = open(argv[i + 1], O_WRONLY | O_CLOEXEC)) < 0 || write(fd, "0", 1) != 1)
                goto wrong;
            close(fd);
        } else if (!strcmp(argv[i], "--namespace")) {
            if (setns(fd, 0) != 0) goto wrong;
            close(fd);
        } else if (!strcmp(argv[i], "--program") && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
            program = fd;
        else
            goto wrong;
    }
    if (i >= argc || program < 0) goto wrong;
    failed = "a process";
    pid_t pid = fork(); /* a PID namespace is entered by children only */
    if (pid < 0) goto wrong;
    if (pid == 0) {
        argv[i] = "runner";
        syscall(SYS_execveat, program, "", argv + i, environ, AT_EMPTY_PATH);
        dprintf(2, "the runner: %s\n", strerror(errno));
        _exit(125);
    }
    close(0);
    close(1);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
wrong:
    dprintf(2, "entering: %s: %s\n", failed, strerror(errno));
    _exit(125);
}

static void init(int filter) {
    sigset_t all;
    if (filter) filter_calls();
    write_all("ready\n", 6);
    for (int fd = 0, null = open("/dev/null", O_RDWR); fd < 3 && null >= 0; fd++) dup2(null, fd);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        int which;
        sigwait(&all, &which);
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
    }
}

int main(int argc, char **argv) {
    struct options o = {LONG_MAX / 4, 1 << 20, NULL, 0, 0, 0, 0, 0};
    const char *what = argc > 1 ? argv[1] : "";
    int i = 2, first;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (!strcmp(what, "enter")) enter(argc, argv);
    if (!strcmp(what, "source")) return puts(SOURCE) < 0;
    for (; i < argc && !strncmp(argv[i], "--", 2) && argv[i][2]; i++) {
        if (!strcmp(argv[i], "--stdin")) o.stdin_on = 1;
        else if (!strcmp(argv[i], "--filter")) o.filter = 1;
        else if (!strcmp(argv[i], "--keep-listening")) o.keep = 1;
        else if (!strcmp(argv[i], "--keep")) o.keep = 2;
        else if (!strcmp(argv[i], "--env")) clean_environment();
        else if (!strcmp(argv[i], "--read-env")) read_environment();
        else if (i + 1 < argc && !strcmp(argv[i], "--timeout")) o.timeout_ms = atol(argv[++i]);
        else if (i + 1 < argc && !strcmp(argv[i], "--max")) o.max = (size_t)atol(argv[++i]);
        else if (i + 1 < argc && !strcmp(argv[i], "--cwd")) o.cwd = argv[++i];
        else if (i + 1 < argc && !strcmp(argv[i], "--fsize")) o.fsize = atol(argv[++i]);
        else if (i + 1 < argc && !strcmp(argv[i], "--nproc")) o.nproc = atol(argv[++i]);
        else break;
    }
    if (!strcmp(what, "init")) init(o.filter);
    first = i;
    while (i < argc && strcmp(argv[i], "--")) i++;
    int given = i - first;
    char **program = argv + (i < argc ? i + 1 : argc);
    if (!strcmp(what, "seal") && *program) seal(program, &o, argv + first, given);
    drop_caps(KEPT_CAPS, 0);
    if (o.filter) filter_calls();
    if (!strcmp(what, "exec") && *program) {
        int code, timed_out;
        run(program, &o, KEPT_CAPS, 0, &code, &timed_out);
        finish(code, timed_out, total, "");
    } else if (!strcmp(what, "sweep")) {
        for (int pass = 0; pass < 20; pass++) {
            if (kill(-1, SIGKILL) != 0) break; /* all but process 1 and this one */
            usleep(1000);
        }
        finish(0, 0, 0, "");
    } else if (!strcmp(what, "reach") && given >= 3 && given <= 65 && given % 2) {
        reach(atol(argv[first]), argv + first + 1, given / 2);
    } else if (!strcmp(what, "listen") && given >= 1) {
        open_door(atoi(argv[first]), given > 1 ? argv[first + 1] : NULL);
    } else if (!strcmp(what, "put")) {
        umask(022);
        unpack("");
        finish(0, 0, 0, "");
    } else if (!strcmp(what, "cat") && given == 2) {
        struct stat info;
        int fd = open(argv[first + 1], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
            record('F', info.st_mode & 07777, "", "", 0);
            send_file(fd, (size_t)atol(argv[first]));
        }
        finish(0, 0, 0, "");
    } else if (!strcmp(what, "tree") && given == 2) {
        size_t room = (size_t)atol(argv[first]);
        int fd = open(argv[first + 1], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) die(argv[first + 1]);
        if (!send_tree(fd, "", &room, 0, 0)) finish(1, 0, 0, "larger, deeper or more than was allowed");
        finish(0, 0, 0, "");
    }
    errno = EINVAL;
    die("usage");
}
