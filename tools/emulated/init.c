// The init of emulated hosts.
//
// It loads the modules and runs /prepare, if there is one; says that it is ready, receives files and
// a command line from the machine outside, runs it, and passes input and output through:
// tools/parvuslib/emulated.py is the partner and explains the whole. One command per boot; what is
// outside then ends this machine.
//
// Everything goes through one virtio-serial port, in frames, so that it arrives in order.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT "/dev/vport0p1"
#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define NS_PER_SECOND 1000000000ull
#define POLL_NS 10000000
#define ALIVE_MS 1000
#define CHUNK_BYTES 16384
#define MAX_FRAME_BYTES (64u << 20)
#define MAX_ARGUMENTS 256
#define MAX_OUTPUTS 8

// A frame is this header, little-endian, and then `bytes` bytes.
struct frame {
    uint32_t kind;
    uint32_t value;
    uint32_t bytes;
};

enum {
    // To this machine.
    FRAME_FILE = 1,  // path, 0, contents
    FRAME_RUN = 2,   // time of day in ns, folder, program, arguments, with a 0 after each
    FRAME_INPUT = 3, // for standard input; an empty one ends it
    // From this machine.
    FRAME_READY = 16,  // the host is prepared; later: the file is there
    FRAME_ALIVE = 17,  // sent every second
    FRAME_OUTPUT = 18, // value: file descriptor of the command
    FRAME_END = 19,    // value: as waitpid() gave it
};

// What the command writes to one of its file descriptors: our end of the pipe, -1 at its end.
struct output {
    int pipe;
    int fd;
};

static int port;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
    // The end of init is a panic of the kernel, which nobody overlooks.
    exit(1);
}

static void check(bool is_good, const char *what)
{
    if (!is_good)
        die(what);
}

static void pause_ns(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

static void read_all(void *buffer, size_t bytes)
{
    for (char *at = buffer; bytes > 0;) {
        ssize_t got = read(port, at, bytes);
        check(got >= 0, "read " PORT);
        if (got == 0) // nobody is connected outside yet
            pause_ns(POLL_NS);
        at += got;
        bytes -= (size_t)got;
    }
}

static void write_all(const void *buffer, size_t bytes)
{
    for (const char *at = buffer; bytes > 0;) {
        ssize_t put = write(port, at, bytes);
        check(put >= 0, "write " PORT);
        at += put;
        bytes -= (size_t)put;
    }
}

// In one piece, as each write leaves this machine. At most CHUNK_BYTES.
static void send_frame(uint32_t kind, uint32_t value, const void *data, uint32_t bytes)
{
    static char buffer[sizeof(struct frame) + CHUNK_BYTES];
    struct frame frame = {kind, value, bytes};
    memcpy(buffer, &frame, sizeof frame);
    if (bytes > 0)
        memcpy(buffer + sizeof frame, data, bytes);
    write_all(buffer, sizeof frame + bytes);
}

// The caller frees *data, which has a 0 after its end.
static struct frame receive_frame(char **data)
{
    struct frame frame;
    read_all(&frame, sizeof frame);
    check(frame.bytes <= MAX_FRAME_BYTES, "frame too long");
    *data = malloc(frame.bytes + 1);
    check(*data != NULL, "malloc");
    read_all(*data, frame.bytes);
    (*data)[frame.bytes] = 0;
    return frame;
}

static void mount_all(void)
{
    check(mount("dev", "/dev", "devtmpfs", 0, NULL) == 0, "mount /dev");
    check(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount /proc");
    check(mount("sys", "/sys", "sysfs", 0, NULL) == 0, "mount /sys");
    check(symlink("/proc/self/fd", "/dev/fd") == 0, "symlink /dev/fd");
    int console = open("/dev/console", O_RDWR);
    for (int fd = 0; fd <= 2; fd++)
        dup2(console, fd);
    if (console > 2)
        close(console);
}

static void load_modules(void)
{
    for (int number = 0;; number++) {
        char path[32];
        snprintf(path, sizeof path, "/modules/%d", number);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            return;
        check(fd >= 0 && syscall(SYS_finit_module, fd, "", 0) == 0, path);
        close(fd);
    }
}

// What the kind of host needs beside modules.
static void prepare(void)
{
    int status;
    if (access("/prepare", X_OK) != 0)
        return;
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        execl("/prepare", "/prepare", NULL);
        die("/prepare");
    }
    check(waitpid(child, &status, 0) == child && status == 0, "/prepare");
}

// Waits for the kernel's final choice: until then it still measures the TSC, and until it has
// settled on the TSC, KVM's clock is not stable.
static void wait_for_clocksource(const char *name)
{
    char found[32];
    do {
        pause_ns(POLL_NS);
        int fd = open(CLOCKSOURCE, O_RDONLY | O_CLOEXEC);
        ssize_t got = read(fd, found, sizeof found - 1);
        check(got > 0, CLOCKSOURCE);
        found[got - 1] = 0; // in place of the new line
        close(fd);
    } while (strcmp(found, name) != 0);
}

static void make_folders(const char *path)
{
    char folder[4096];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        check(mkdir(folder, 0755) == 0 || errno == EEXIST, folder);
    }
}

static void store_file(const char *data, size_t bytes)
{
    const char *contents = data + strlen(data) + 1;
    make_folders(data);
    FILE *file = fopen(data, "we");
    check(file &&
              fwrite(contents, 1, bytes - (contents - data), file) == bytes - (contents - data) &&
              fclose(file) == 0,
          data);
}

// KVM's own figure: what it is asked for may differ from it by 250 ppm only.
static uint64_t tsc_hz(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    int khz = ioctl(vm, KVM_GET_TSC_KHZ, 0);
    check(khz > 0, "KVM_GET_TSC_KHZ");
    close(vm);
    close(kvm);
    return (uint64_t)khz * 1000;
}

// An argument with @TSC_HZ@ replaced.
static char *expand(char *argument)
{
    static const char marker[] = "@TSC_HZ@";
    char *found = strstr(argument, marker);
    char *text = argument;
    if (found)
        check(asprintf(&text, "%.*s%" PRIu64 "%s", (int)(found - argument), argument, tsc_hz(),
                       found + sizeof marker - 1) > 0,
              "asprintf");
    return text;
}

// Adds a pipe whose writing end is the command's file descriptor `fd`; it lies far above those
// until the child moves it there.
static void add_output(struct output *outputs, size_t *number, int *ends, int fd)
{
    int ends_of_pipe[2];
    check(*number < MAX_OUTPUTS, "too many outputs");
    check(pipe2(ends_of_pipe, O_CLOEXEC) == 0, "pipe");
    ends[*number] = fcntl(ends_of_pipe[1], F_DUPFD_CLOEXEC, 512);
    check(ends[*number] >= 0, "fcntl");
    close(ends_of_pipe[1]);
    outputs[(*number)++] = (struct output){.pipe = ends_of_pipe[0], .fd = fd};
}

// Starts the command; returns our end of its standard input. Whatever an argument names as /dev/fd/N is an
// output too, beside 1 and 2.
static int start(char *data, size_t bytes, pid_t *child, struct output *outputs, size_t *number)
{
    char *words[MAX_ARGUMENTS], *end = data + bytes;
    int ends[MAX_OUTPUTS], input[2];
    size_t count = 0;

    uint64_t now_ns = strtoull(data, NULL, 10);
    struct timespec now = {.tv_sec = now_ns / NS_PER_SECOND, .tv_nsec = now_ns % NS_PER_SECOND};
    check(clock_settime(CLOCK_REALTIME, &now) == 0, "clock_settime");
    char *folder = data + strlen(data) + 1;
    make_folders(folder);
    check((mkdir(folder, 0755) == 0 || errno == EEXIST) && chdir(folder) == 0, folder);

    add_output(outputs, number, ends, 1);
    add_output(outputs, number, ends, 2);
    for (char *word = folder + strlen(folder) + 1; word < end; word += strlen(word) + 1) {
        check(count < MAX_ARGUMENTS - 1, "too many arguments");
        words[count++] = expand(word);
        const char *device = strstr(word, "/dev/fd/");
        if (device)
            add_output(outputs, number, ends, atoi(device + strlen("/dev/fd/")));
    }
    words[count] = NULL;
    check(pipe2(input, O_CLOEXEC) == 0, "pipe");

    *child = fork();
    check(*child >= 0, "fork");
    if (*child == 0) {
        dup2(input[0], 0);
        for (size_t i = 0; i < *number; i++)
            dup2(ends[i], outputs[i].fd);
        execv(words[0], words);
        die(words[0]);
    }
    close(input[0]);
    for (size_t i = 0; i < *number; i++)
        close(ends[i]);
    fcntl(input[1], F_SETFL, O_NONBLOCK);
    return input[1];
}

static uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// Passes input and output through until the command has closed its outputs. Input that the command
// does not take yet keeps us from reading more, never from passing its output on.
static void relay(int input, struct output *outputs, size_t number)
{
    static char buffer[CHUNK_BYTES];
    char *pending = NULL;
    size_t pending_at = 0, pending_bytes = 0, open_outputs = number;
    uint64_t said_ms = monotonic_ms();

    while (open_outputs > 0) {
        struct pollfd polls[MAX_OUTPUTS + 1];
        for (size_t i = 0; i < number; i++)
            polls[i] = (struct pollfd){.fd = outputs[i].pipe, .events = POLLIN};
        polls[number] = pending ? (struct pollfd){.fd = input, .events = POLLOUT}
                                : (struct pollfd){.fd = input < 0 ? -1 : port, .events = POLLIN};
        poll(polls, number + 1, ALIVE_MS);
        if (monotonic_ms() - said_ms >= ALIVE_MS) {
            send_frame(FRAME_ALIVE, 0, NULL, 0);
            said_ms = monotonic_ms();
        }

        for (size_t i = 0; i < number; i++) {
            if (!polls[i].revents)
                continue;
            ssize_t got = read(outputs[i].pipe, buffer, sizeof buffer);
            if (got > 0) {
                send_frame(FRAME_OUTPUT, (uint32_t)outputs[i].fd, buffer, (uint32_t)got);
            } else {
                close(outputs[i].pipe);
                outputs[i].pipe = -1; // poll() skips it
                open_outputs--;
            }
        }
        if (polls[number].revents && !pending) {
            struct frame frame = receive_frame(&pending);
            check(frame.kind == FRAME_INPUT, "unexpected frame");
            pending_at = 0;
            pending_bytes = frame.bytes;
        } else if (polls[number].revents) {
            ssize_t put = write(input, pending + pending_at, pending_bytes - pending_at);
            pending_at = put >= 0 ? pending_at + (size_t)put : pending_bytes; // EPIPE: drop it
        }
        bool is_end = pending && pending_bytes == 0;
        if (pending && pending_at == pending_bytes) {
            free(pending);
            pending = NULL;
        }
        if (is_end) {
            close(input);
            input = -1;
        }
    }
}

int main(void)
{
    struct output outputs[MAX_OUTPUTS];
    size_t number = 0;
    struct frame frame;
    char *data;
    pid_t child;
    int status;

    mount_all();
    load_modules();
    prepare();
    if (getenv("CLOCKSOURCE"))
        wait_for_clocksource(getenv("CLOCKSOURCE"));
    port = open(PORT, O_RDWR | O_CLOEXEC);
    check(port >= 0, PORT);
    signal(SIGPIPE, SIG_IGN);
    send_frame(FRAME_READY, 0, NULL, 0);

    while (frame = receive_frame(&data), frame.kind == FRAME_FILE) {
        store_file(data, frame.bytes);
        free(data);
        send_frame(FRAME_READY, 0, NULL, 0);
    }
    check(frame.kind == FRAME_RUN, "unexpected frame");
    int input = start(data, frame.bytes, &child, outputs, &number);
    relay(input, outputs, number);
    check(waitpid(child, &status, 0) == child, "waitpid");
    send_frame(FRAME_END, (uint32_t)status, NULL, 0);
    for (;;)
        pause();
}
