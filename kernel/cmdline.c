/*
 * The command line.
 *
 * cmdline_init at boot; the rest anywhere, read-only. Ring 3. Locks: none. The line is split where
 * it stands: words without their quotes, one after another, each ended by NUL.
 */
#include "kernel/cmdline.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernel/log.h"

#define PROGRAM "parvus"
#define DEVICE_KEY "virtio_mmio.device"
#define ENV_PREFIX "env."

static char *words;     /* the first word */
static char *words_end; /* behind the last one's NUL */
static char *arguments; /* the first word behind `--` */

static char *next_word(char *word)
{
    return word + strlen(word) + 1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies one word from *in to *out (never ahead of it), unquoted; moves both behind it. */
static void take_word(char **in, char **out)
{
    char *from = *in, *to = *out;
    bool quoted = false;

    for (; *from && (quoted || !is_space(*from)); from++) {
        if (*from == '"') {
            quoted = !quoted;
            continue;
        }
        if (*from == '\\' && from[1])
            from++;
        *to++ = *from;
    }
    if (*from)
        from++;
    *to++ = 0;
    *in = from;
    *out = to;
}

static void split(char *line)
{
    char *in = line, *out = line;

    words = line;
    arguments = NULL;
    for (;;) {
        while (is_space(*in))
            in++;
        if (!*in)
            break;
        char *word = out;
        take_word(&in, &out);
        if (!arguments && strcmp(word, "--") == 0)
            arguments = out = word;
    }
    words_end = out;
    if (!arguments)
        arguments = out;
}

/* The value if word is KEY=value. */
static const char *value_of(const char *word, const char *key)
{
    size_t length = strlen(key);

    return strncmp(word, key, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

/* QEMU's microvm appends its devices at the end, whatever stands there. */
static bool is_device(const char *word)
{
    return value_of(word, DEVICE_KEY) != NULL;
}

static bool is_environment(const char *word)
{
    return strncmp(word, ENV_PREFIX, strlen(ENV_PREFIX)) == 0 && strchr(word, '=');
}

/* net/config.h: ip=, ip6=, ethN.ip=, ethN.ip6=, hostname=. */
static bool is_network(const char *word)
{
    if (strncmp(word, "eth", 3) == 0 && word[3] >= '0' && word[3] <= '9') {
        word += 3 + strspn(word + 3, "0123456789");
        if (*word++ != '.')
            return false;
    }
    return value_of(word, "ip") || value_of(word, "ip6") || value_of(word, "hostname");
}

static bool is_known(const char *word)
{
    return value_of(word, "log") || value_of(word, "stack") || value_of(word, "tmpfs") ||
           value_of(word, "console") || value_of(word, "clock") || /* the Parvus hypervisor's */
           is_device(word) || is_environment(word) || is_network(word) ||
           strcmp(word, "noaslr") == 0; /* pv/relocate.c's */
}

static void apply_log_level(void)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    const char *value = cmdline_get("log");

    if (!value)
        return;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            log_level = (enum log_level)i;
            return;
        }
    }
    log_warn("log=%s: not one of error, warn, info, debug", value);
}

void cmdline_init(char *line)
{
    split(line);
    apply_log_level();
    for (char *word = words; word < arguments; word = next_word(word)) {
        if (!is_known(word))
            log_warn("unknown parameter \"%s\" before \"--\" ignored", word);
    }
}

const char *cmdline_get(const char *key)
{
    const char *found = NULL;

    for (char *word = words; word < arguments; word = next_word(word)) {
        const char *value = value_of(word, key);
        if (value)
            found = value;
    }
    return found;
}

int cmdline_get_size(const char *key, size_t *out)
{
    const char *value = cmdline_get(key), *at = value;
    size_t number = 0;
    unsigned shift = 0;

    if (!value)
        return -ENOENT;
    for (; *at >= '0' && *at <= '9' && number < SIZE_MAX / 16; at++)
        number = number * 10 + (size_t)(*at - '0');
    if (at != value && *at) {
        shift = *at == 'K' || *at == 'k'   ? 10
                : *at == 'M' || *at == 'm' ? 20
                : *at == 'G' || *at == 'g' ? 30
                                           : 0;
        if (shift)
            at++;
    }
    if (at == value || *at || number > SIZE_MAX >> shift) {
        log_warn("%s=%s: not a size (bytes, or a number with K, M or G)", key, value);
        return -EINVAL;
    }
    *out = number << shift;
    return 0;
}

const char *cmdline_virtio_mmio(unsigned n)
{
    for (char *word = words; word < words_end; word = next_word(word)) {
        if (is_device(word) && n-- == 0)
            return value_of(word, DEVICE_KEY);
    }
    return NULL;
}

int cmdline_argc(void)
{
    int count = 1;

    for (char *word = arguments; word < words_end; word = next_word(word))
        count += !is_device(word);
    return count;
}

void cmdline_argv(char **argv)
{
    static char program[] = PROGRAM;

    *argv++ = program;
    for (char *word = arguments; word < words_end; word = next_word(word)) {
        if (!is_device(word))
            *argv++ = word;
    }
    *argv = NULL;
}

int cmdline_envc(void)
{
    int count = 0;

    for (char *word = words; word < arguments; word = next_word(word))
        count += is_environment(word);
    return count;
}

void cmdline_envp(char **envp)
{
    for (char *word = words; word < arguments; word = next_word(word)) {
        if (is_environment(word))
            *envp++ = word + strlen(ENV_PREFIX);
    }
    *envp = NULL;
}
