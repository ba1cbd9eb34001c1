/*
 * The system as a program asks for it: limits, names, users, terminals, logs; and what of a path is
 * text.
 */
#define _GNU_SOURCE /* program_invocation_short_name */
#include <dlfcn.h>
#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <langinfo.h>
#include <libgen.h>
#include <limits.h>
#include <locale.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <syslog.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "tests/posix/check.h"

TEST(system_path_text, "basename and dirname take a path apart.")
{
    static const char *const cases[][3] = {
        {"/usr/lib", "lib", "/usr"},
        {"/usr/", "usr", "/"},
        {"usr", "usr", "."},
        {"/", "/", "/"},

        {".", ".", "."},
        {"..", "..", "."},
        {"a//b//", "b", "a"},
        {"", ".", "."},

        {"a/b/c", "c", "a/b"},
        {"/a", "a", "/"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[16], again[16];
        strcpy(path, cases[i][0]);
        strcpy(again, cases[i][0]);
        const char *base = basename(path), *folder = dirname(again);
        if (strcmp(base, cases[i][1]) != 0 || (strcmp(folder, cases[i][2]) != 0))
            FAIL("\"%s\": basename \"%s\", dirname \"%s\"", cases[i][0], base, folder);
    }
    CHECK_EQ(strcmp(basename(NULL), "."), 0);
    CHECK_EQ(strcmp(dirname(NULL), "."), 0);
}

TEST(system_limits, "Limits are told, and cannot be had beyond.")
{
    struct rlimit limit;
    struct rusage before, after;

    REQUIRE_OK(getrlimit(RLIMIT_NOFILE, &limit));
    CHECK_GE(limit.rlim_cur, 64);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    limit.rlim_max = limit.rlim_cur - 1;
    CHECK_FAILS(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
    CHECK_FAILS(getrlimit((__typeof__(RLIMIT_CPU))99, &limit), EINVAL);
    CHECK_EQ(sysconf(_SC_PAGESIZE), getpagesize());
    CHECK_GE(sysconf(_SC_NPROCESSORS_ONLN), 1);
    CHECK_GE(sysconf(_SC_PHYS_PAGES), sysconf(_SC_AVPHYS_PAGES));
    CHECK_FAILS(sysconf(9999), EINVAL);
    CHECK_GE(sysconf(_SC_OPEN_MAX), 64);
    CHECK_EQ(pathconf("/", _PC_NAME_MAX), NAME_MAX);
    CHECK_FAILS(pathconf("/none", _PC_NAME_MAX), ENOENT);
    CHECK_FAILS(fpathconf(-1, _PC_NAME_MAX), EBADF);
    CHECK_OK(getrusage(RUSAGE_SELF, &before));
    CHECK_OK(getrusage(RUSAGE_SELF, &after));
    CHECK_GE(after.ru_utime.tv_sec, before.ru_utime.tv_sec);
    CHECK_GE(after.ru_maxrss, 1);
    CHECK_FAILS(getrusage((__typeof__(RUSAGE_SELF))77, &after), EINVAL);
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
    CHECK_FAILS(getpriority((__typeof__(PRIO_PROCESS))9, 0), EINVAL);
}

TEST(system_used_time, "Time that is slept is not the processor's.")
{
    struct rusage before, after;
    clock_t clock_before = clock();
    uint64_t start_ms = now_ms();

    CHECK_OK(getrusage(RUSAGE_SELF, &before));
    sleep_ms(300);
    CHECK_OK(getrusage(RUSAGE_SELF, &after));
    int64_t slept_ms = (int64_t)(now_ms() - start_ms);
    CHECK_LT((clock() - clock_before) / (CLOCKS_PER_SEC / 1000), slept_ms / 2);
    CHECK_LT((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000 +
                 (after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1000,
             slept_ms / 2);
    clock_before = clock();
    for (start_ms = now_ms(); now_ms() - start_ms < 20;)
        ;
    CHECK_LT(clock_before, clock());
}

TEST(system_processes,
     "There are no other processes: nothing can be made one, and what is told of them fails.")
{
    CHECK_FAILS(waitpid(-1, NULL, WNOHANG), ECHILD);
    CHECK_FAILS(kill(99999999, 0), ESRCH);
#ifdef __parvus__
    char *const arguments[] = {"true", NULL};

    CHECK_FAILS(fork(), ENOSYS);
    CHECK_FAILS(vfork(), ENOSYS);
    CHECK_FAILS(execv("/bin/true", arguments), ENOSYS);
    CHECK_FAILS(execvp("true", arguments), ENOSYS);
    CHECK_FAILS(daemon(0, 0), ENOSYS);
    CHECK_FAILS(system("true"), ENOSYS);
    CHECK_EQ(system(NULL), 0);
    errno = 0;
    CHECK(popen("true", "r") == NULL && errno == ENOSYS);
#endif
}

TEST(system_locale, "The C locale is there, others are refused; text that is none is refused.")
{
    wchar_t wide[8];
    mbstate_t state = {0};
    char narrow[MB_LEN_MAX];

    CHECK(setlocale(LC_ALL, "no-such-locale") == NULL);
    REQUIRE(setlocale(LC_ALL, "C") != NULL);
    CHECK_EQ(strcmp(setlocale(LC_ALL, NULL), "C"), 0);
    CHECK_EQ(strcmp(localeconv()->decimal_point, "."), 0);
    CHECK_EQ(strcmp(localeconv()->thousands_sep, ""), 0);
    CHECK_EQ(strcmp(nl_langinfo(RADIXCHAR), "."), 0);
    CHECK_EQ(strcmp(nl_langinfo(DAY_1), "Sunday"), 0);
    CHECK_EQ(strcoll("a", "B") > 0, true);
    CHECK_EQ(mbstowcs(wide, "abc", 8), 3);
    CHECK_EQ(MB_CUR_MAX, 1);
    CHECK_FAILS(wcrtomb(narrow, 0x20ac, &state), EILSEQ);
    REQUIRE(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
    CHECK_EQ(mbstowcs(wide, "\xe2\x82\xac", 8), 1);
    CHECK_EQ(wide[0], 0x20ac);
    CHECK_FAILS(mbstowcs(wide, "\xff", 8), EILSEQ);
    CHECK_EQ(mbrtowc(wide, "\xe2\x82", 2, memset(&state, 0, sizeof(state))), (size_t)-2);
    CHECK_EQ(wctomb(narrow, 0x20ac), 3);
    CHECK(setlocale(LC_ALL, "C") != NULL);
}

TEST(system_time_zone, "gettimeofday knows one time zone.")
{
    struct timeval now;
    struct timezone zone = {77, 77};

    CHECK_OK(gettimeofday(&now, &zone));
    CHECK_EQ(zone.tz_minuteswest, 0);
    CHECK_EQ(zone.tz_dsttime, 0);
    CHECK_OK(gettimeofday(&now, NULL));
}

TEST(system_names, "The system, its users and groups have names.")
{
    struct utsname names;
    struct passwd user, *found;
    struct group group, *found_group;
    char buffer[1024], host[256];

    REQUIRE_OK(uname(&names));
    CHECK(names.sysname[0] != 0 && names.release[0] != 0 && names.version[0] != 0);
    CHECK_EQ(strcmp(names.machine, "x86_64"), 0);
    CHECK_OK(gethostname(host, sizeof(host)));
    CHECK_EQ(strcmp(names.nodename, host), 0);
    REQUIRE((found = getpwuid(0)) != NULL);
    CHECK_EQ(strcmp(found->pw_name, "root"), 0);
    REQUIRE_EQ(getpwnam_r("root", &user, buffer, sizeof(buffer), &found), 0);
    CHECK(found == &user && user.pw_uid == 0);
    REQUIRE_EQ(getpwnam_r("nobody-of-that-name", &user, buffer, sizeof(buffer), &found), 0);
    CHECK(found == NULL);
    CHECK(getpwnam("nobody-of-that-name") == NULL);
    REQUIRE_EQ(getgrgid_r(0, &group, buffer, sizeof(buffer), &found_group), 0);
    REQUIRE(found_group == &group);
    CHECK_EQ(strcmp(group.gr_name, "root"), 0);
    CHECK(getgrnam("no-group-of-that-name") == NULL);
    CHECK_EQ(getuid(), geteuid());
    CHECK_EQ(getgid(), getegid());
    CHECK_OK(setuid(getuid()));
    CHECK_GE(getpgrp(), 0);
    CHECK_EQ(getpgid(0), getpgrp());
    CHECK_FAILS(getpgid(-2), ESRCH);
}

TEST(system_memory, "posix_memalign aligns, and refuses what is no alignment.")
{
    void *memory = &memory, *untouched = &memory;

    for (size_t alignment = sizeof(void *); alignment <= 65536; alignment *= 2) {
        REQUIRE_EQ(posix_memalign(&memory, alignment, 100), 0);
        CHECK_EQ((uintptr_t)memory % alignment, 0);
        memset(memory, 1, 100);
        free(memory);
    }
    CHECK_EQ(posix_memalign(&untouched, 24, 1), EINVAL);
    CHECK_EQ(posix_memalign(&untouched, 2, 1), EINVAL);
    CHECK_EQ(posix_memalign(&untouched, 64, SIZE_MAX / 2), ENOMEM);
    CHECK(untouched == &memory);
}

/* What fn writes to standard error. */
static void written(void (*fn)(void), char *out, size_t bytes)
{
    int ends[2], former = dup(STDERR_FILENO);

    out[0] = 0;
    REQUIRE(former >= 0 && pipe(ends) == 0);
    dup2(ends[1], STDERR_FILENO);
    fn();
    fflush(stderr);
    dup2(former, STDERR_FILENO);
    close(former);
    close(ends[1]);
    ssize_t count = read(ends[0], out, bytes - 1);
    out[count > 0 ? count : 0] = 0;
    close(ends[0]);
}

static void write_warnings(void)
{
    errno = ENOENT;
    warn("%d of %s", 7, "these");
    warnx("%s", "plain");
    errno = EBADF;
    warn(NULL);
}

TEST(system_warnings, "warn tells the program, the text and the error.")
{
    char text[512], expected[512];

    written(write_warnings, text, sizeof(text));
    snprintf(expected, sizeof(expected), "%s: 7 of these: %s\n%s: plain\n%s: %s\n",
             program_invocation_short_name, strerror(ENOENT), program_invocation_short_name,
             program_invocation_short_name, strerror(EBADF));
    if (strcmp(text, expected) != 0)
        FAIL("\"%s\" instead of \"%s\"", text, expected);
}

static void write_log(void)
{
    openlog("me", LOG_PERROR, LOG_USER);
    errno = ENOENT;
    syslog(LOG_INFO, "%d: %m, 100 %%m", 1);
    CHECK_EQ(setlogmask(LOG_UPTO(LOG_WARNING)), LOG_UPTO(LOG_DEBUG));
    syslog(LOG_INFO, "too little");
    syslog(LOG_ERR, "enough");
    setlogmask(LOG_UPTO(LOG_DEBUG));
    closelog();
}

TEST(system_log,
     "syslog writes lines with the name, the error's text, and what the mask lets pass.")
{
    char text[512], expected[256];

    written(write_log, text, sizeof(text));
    snprintf(expected, sizeof(expected), "me: 1: %s, 100 %%m\nme: enough\n", strerror(ENOENT));
    if (strcmp(text, expected) != 0)
        FAIL("\"%s\" instead of \"%s\"", text, expected);
}

TEST(system_streams, "The lock of a stream is the caller's as often as it was taken.")
{
    flockfile(stdout);
    CHECK_EQ(ftrylockfile(stdout), 0);
    printf("%s", "");
    funlockfile(stdout);
    funlockfile(stdout);
}

TEST(system_libraries, "A library that is not there is not loaded, and dlerror says so once.")
{
    CHECK(dlopen("/none.so", RTLD_NOW) == NULL);
    CHECK(dlerror() != NULL);
    CHECK(dlerror() == NULL);
}

TEST(system_terminals, "What is no terminal has no terminal's mode.")
{
    struct termios mode;
    int ends[2];

    REQUIRE_OK(pipe(ends));
    CHECK_FAILS(tcgetattr(ends[0], &mode), ENOTTY);
    CHECK_FAILS(tcgetattr(-1, &mode), EBADF);
    close(ends[0]);
    close(ends[1]);
}
