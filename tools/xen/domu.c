// Starts a domU and stays with it: what a dom0 (tools/emulated/init.c, prepared by prepare) runs for
// `tools/parvus run --machine xen-domu`.
//
// usage: domu CONFIG END [COMMANDS]
//
// CONFIG is xl's, for a domain `guest` that is preserved when it ends; COMMANDS is a shell script that
// runs beside it. Standard input and output are the domain's console. How it ended goes to the file
// END as a line: what the guest left in xenstore (pv/report.c), unless xl sees it differently. What
// Xen has to say about a domain that it ended goes to standard error.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DOMAIN "/local/domain/1" // the first that this dom0 starts
#define NS_PER_MS 1000000l
#define POLL_MS 10
// xenconsoled looks away from a domain with too many events for RATE_LIMIT_PERIOD, 200 ms.
#define CONSOLED_PAUSE_MS 500
#define SYSCALL_POLL 7
#define TEXT_BYTES 1024
#define STATE_BYTES 8
#define INPUT_BYTES 4096

static pid_t watch; // xenstore-watch; it has our outputs open, which must end with us

static void end_watch(void)
{
    kill(watch, SIGKILL);
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "domu: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void check(bool is_good, const char *what)
{
    if (!is_good)
        die(what);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * NS_PER_MS}, NULL);
}

static void write_all(int fd, const char *at, size_t bytes)
{
    while (bytes > 0) {
        ssize_t put = write(fd, at, bytes);
        check(put > 0, "write");
        at += put;
        bytes -= (size_t)put;
    }
}

// Starts a command: its words, up to NULL.
static pid_t start(const char *const *words, int output, int errors)
{
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        dup2(open("/dev/null", O_RDONLY), 0);
        dup2(output, 1);
        dup2(errors, 2);
        execvp(words[0], (char *const *)words);
        perror(words[0]);
        _exit(127);
    }
    return child;
}

static bool succeeded(pid_t child)
{
    int status;
    check(waitpid(child, &status, 0) == child, "waitpid");
    return status == 0;
}

// Starts a command; returns where to read what it says.
static int start_piped(const char *const *words, pid_t *child)
{
    int ends[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    check(pipe2(ends, O_CLOEXEC) == 0, "pipe");
    *child = start(words, ends[1], null);
    close(ends[1]);
    close(null);
    return ends[0];
}

// What a command says, without the new line at its end; false if it fails.
static bool answer(char *text, const char *const *words)
{
    pid_t child;
    int from = start_piped(words, &child);
    size_t bytes = 0;
    for (ssize_t got; (got = read(from, text + bytes, TEXT_BYTES - 1 - bytes)) > 0;)
        bytes += (size_t)got;
    close(from);
    if (bytes > 0 && text[bytes - 1] == '\n')
        bytes--;
    text[bytes] = 0;
    return succeeded(child);
}

static bool store_read(char *text, const char *path)
{
    return answer(text, (const char *const[]){"xenstore-read", path, NULL});
}

// Whether xl started the domain; if not, what it said goes to standard error. Without xl's own process
// that would wait for the end of the domain (-e).
static bool create(const char *config)
{
    int log = open("/run/xl.log", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    check(log >= 0, "/run/xl.log");
    bool is_good =
        succeeded(start((const char *const[]){"xl", "create", "-e", "-q", config, NULL}, log, log));
    if (!is_good)
        succeeded(start((const char *const[]){"cat", "/run/xl.log", NULL}, 2, 2));
    close(log);
    return is_good;
}

// xl's view of the domain: its column of states, such as "--psc-", or "" if there is none.
static void domain_state(char state[STATE_BYTES])
{
    char text[TEXT_BYTES];
    const char *line = NULL;
    if (answer(text, (const char *const[]){"xl", "list", "guest", NULL}))
        line = strrchr(text, '\n');
    if (!line || sscanf(line, "%*s %*s %*s %*s %7s", state) != 1)
        *state = 0;
}

static int open_console(void)
{
    char path[TEXT_BYTES];
    while (!store_read(path, DOMAIN "/console/tty") || !*path)
        pause_ms(POLL_MS);
    int tty = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    check(tty >= 0, path);
    return tty;
}

// Whether there was something to pass on. If not, nothing is on its way through the terminal. One that
// xenconsoled has closed, as the domain is no more, becomes -1.
static bool pass_output(int *tty)
{
    char text[TEXT_BYTES];
    ssize_t got = read(*tty, text, sizeof text);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        close(*tty);
        *tty = -1;
    }
    if (got > 0)
        write_all(1, text, (size_t)got);
    return got > 0;
}

// Passes on what comes until xenconsoled waits, in poll(), for more: then it has nothing left, as it
// would write that.
static void pass_rest(int *tty)
{
    char pid[TEXT_BYTES], path[2 * TEXT_BYTES];
    int call = 0;
    FILE *file = fopen("/run/xenconsoled.pid", "re");
    check(file && fscanf(file, "%1023s", pid) == 1, "xenconsoled.pid");
    fclose(file);
    snprintf(path, sizeof path, "/proc/%s/syscall", pid);
    while (*tty >= 0) {
        file = fopen(path, "re");
        check(file != NULL, path);
        bool is_waiting = fscanf(file, "%d", &call) == 1 && call == SYSCALL_POLL;
        fclose(file);
        if (!pass_output(tty) && is_waiting)
            return;
        if (!is_waiting)
            pause_ms(POLL_MS);
    }
}

// Passes the console through until the domain has ended; `state` is then xl's view of it.
static void relay(int *tty, int releases, char state[STATE_BYTES])
{
    static char input[INPUT_BYTES];
    size_t at = 0, held = 0;
    bool is_open = true, has_ended = false;
    char events[TEXT_BYTES];

    while (!has_ended) {
        struct pollfd polls[] = {{.fd = *tty, .events = held ? POLLIN | POLLOUT : POLLIN},
                                 {.fd = is_open && !held ? 0 : -1, .events = POLLIN},
                                 {.fd = releases, .events = POLLIN}};
        check(poll(polls, 3, -1) > 0, "poll");
        if (polls[0].revents)
            pass_output(tty);
        if (polls[1].revents) {
            ssize_t got = read(0, input, sizeof input);
            check(got >= 0, "read the input");
            is_open = got > 0;
            at = 0;
            held = (size_t)got;
        }
        if (held && *tty >= 0 && (polls[0].revents & POLLOUT)) {
            ssize_t put = write(*tty, input + at, held);
            check(put >= 0 || errno == EAGAIN, "write the console");
            at += put > 0 ? (size_t)put : 0;
            held -= put > 0 ? (size_t)put : 0;
        }
        if (polls[2].revents) { // a domain ended, or (once) the watch began
            check(read(releases, events, sizeof events) > 0, "xenstore-watch has ended");
            domain_state(state);
            has_ended = !*state || strchr(state, 's') || strchr(state, 'c');
        }
    }
}

// The line that says how the domain ended, by what it said itself and by what xl sees.
static const char *ending(const char *said, const char *state)
{
    bool is_crash = strchr(state, 'c') != NULL;
    if (!is_crash && strncmp(said, "exit ", 5) == 0)
        return said;
    if (is_crash && strcmp(said, "oom") == 0)
        return said;
    if (is_crash)
        return "crash";
    return *state ? "shutdown without a status" : "destroyed";
}

int main(int argc, char **argv)
{
    char said[TEXT_BYTES], state[STATE_BYTES] = "";
    pid_t commands = -1;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: domu CONFIG END [COMMANDS]\n");
        return 2;
    }
    int end = open(argv[2], O_WRONLY | O_CLOEXEC);
    check(end >= 0, argv[2]);
    setenv("PATH", "/bin", true);
    setenv("CONFIG", argv[1], true); // for the commands
    int releases =
        start_piped((const char *const[]){"xenstore-watch", "@releaseDomain", NULL}, &watch);
    atexit(end_watch);
    if (!create(argv[1])) {
        dprintf(end, "hypervisor\n");
        return 0;
    }
    int tty = open_console();
    if (argc == 4)
        commands = start((const char *const[]){"sh", argv[3], NULL}, 1, 1);
    relay(&tty, releases, state);

    if (!store_read(said, DOMAIN "/data/parvus-exit"))
        *said = 0;
    if (!*said) // ended by Xen: its last output may still be in the ring
        pause_ms(CONSOLED_PAUSE_MS);
    pass_rest(&tty);
    if (!*said && *state)
        succeeded(start((const char *const[]){"xl", "dmesg", NULL}, 2, 2));
    if (commands >= 0)
        succeeded(commands);
    dprintf(end, "%s\n", ending(said, state));
    return 0;
}
