/*
 * A small HTTP/1.1 server: files of a folder, and pages about itself. Plain POSIX with epoll: it
 * runs on Parvus and on Linux.
 *
 * usage: httpd [-p PORT] [-t SECONDS] [FOLDER]
 *
 *     -p PORT     where to listen, by IPv4 and IPv6; default 80, on Linux 8080
 *     -t SECONDS  how long a connection may wait for its next request; default 60
 *     FOLDER      default: www, if it is there, else the working folder
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"
#include "system.h"

#ifdef __parvus__
#define DEFAULT_PORT 80
#else
#include <sys/resource.h>
#define DEFAULT_PORT 8080
#endif

static void usage(void)
{
    fprintf(stderr, "usage: httpd [-p PORT] [-t SECONDS] [FOLDER]\n");
    exit(2);
}

static unsigned long parse_number(const char *text, unsigned long most)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != 0 || number == 0 || number > most) {
        fprintf(stderr, "httpd: \"%s\" is no number from 1 to %lu\n", text, most);
        exit(2);
    }
    return number;
}

static void enter_folder(const char *folder)
{
    struct stat info;

    if (folder == NULL)
        folder = stat("www", &info) == 0 && S_ISDIR(info.st_mode) ? "www" : ".";
    if (chdir(folder) != 0) {
        fprintf(stderr, "httpd: %s: %s\n", folder, strerror(errno));
        exit(1);
    }
}

/* As many connections as the system lets us have. */
static void raise_limits(void)
{
#ifndef __parvus__
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
#endif
}

static void stop(int number)
{
    (void)number;
    server_stop();
}

/* Where to find us, for whoever reads the console. */
static void announce(unsigned port)
{
    static struct system system;
    char folder[1024];

    system_read(&system);
    printf("httpd: serving %s on port %u",
           getcwd(folder, sizeof(folder)) != NULL ? folder : "the working folder", port);
    for (unsigned i = 0; i < system.nr_interfaces; i++) {
        const struct system_interface *interface = &system.interfaces[i];

        for (unsigned j = 0; j < interface->nr_addresses && !interface->is_loopback; j++)
            printf(", %s %.*s", interface->name, (int)strcspn(interface->addresses[j], "/"),
                   interface->addresses[j]);
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned port = DEFAULT_PORT;
    int option;

    while ((option = getopt(argc, argv, "p:t:")) != -1) {
        switch (option) {
        case 'p':
            port = (unsigned)parse_number(optarg, 65535);
            break;
        case 't':
            server_set_idle_timeout((unsigned)parse_number(optarg, 86400));
            break;
        default:
            usage();
        }
    }
    if (argc - optind > 1)
        usage();
    enter_folder(argv[optind]);
    raise_limits();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    if (server_listen((uint16_t)port) != 0)
        return 1;
    announce(port);
    return server_run();
}
