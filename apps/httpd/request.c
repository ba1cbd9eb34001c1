/*
 * Parsing a request's head. Everything in it comes from the network.
 */
#include "request.h"

enum { BAD = -400, TARGET_TOO_LONG = -414, FIELDS_TOO_LARGE = -431 };
enum { NOT_IMPLEMENTED = -501, VERSION_NOT_SUPPORTED = -505 };

struct cursor {
    const char *at, *end;
};

/* What may stand in a line: no control characters but the tab (RFC 9110, 5.5). */
static bool is_line_byte(unsigned char c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* Takes a line off. 1: there is one; 0: not all of it; or BAD. A line ends with CR LF; LF alone
 * will do (RFC 9112, 2.2). */
static int next_line(struct cursor *cursor, struct text *line)
{
    const char *at = cursor->at;

    while (at < cursor->end && is_line_byte((unsigned char)*at))
        at++;
    if (at == cursor->end)
        return 0;
    *line = (struct text){cursor->at, (size_t)(at - cursor->at)};
    if (*at == '\r' && ++at == cursor->end)
        return 0;
    if (*at != '\n')
        return BAD;
    cursor->at = at + 1;
    return 1;
}

/* RFC 9110, 5.6.2. */
static bool is_token_byte(unsigned char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr(others, c) != NULL);
}

static bool is_token(struct text text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (!is_token_byte((unsigned char)text.start[i]))
            return false;
    }
    return text.bytes > 0;
}

/* --- The request line ------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    c = lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX into out->path. A zero byte would end the path early: refused. */
static int decode_path(struct text path, struct request *out)
{
    size_t bytes = 0;

    for (size_t i = 0; i < path.bytes; i++) {
        char c = path.start[i];

        if (c == '%') {
            int high = i + 2 < path.bytes ? hex_digit(path.start[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(path.start[i + 2]) : -1;

            if (low < 0 || (c = (char)(high << 4 | low)) == 0)
                return BAD;
            i += 2;
        }
        out->path[bytes++] = c;
    }
    out->path[bytes] = 0;
    out->path_bytes = bytes;
    return 0;
}

/* Removes "." and ".." segments and doubled slashes, in place. BAD: it leads above the root. */
static int remove_dots(struct request *out)
{
    char *to = out->path;
    const char *from = out->path, *end = out->path + out->path_bytes;

    if (memchr(from, '.', out->path_bytes) == NULL && strstr(from, "//") == NULL)
        return 0;
    while (from < end) { /* at a slash; *to is where it goes */
        const char *next = memchr(from + 1, '/', (size_t)(end - from - 1));
        size_t bytes = (size_t)((next != NULL ? next : end) - from); /* with the slash */
        bool is_last = next == NULL;

        if (bytes == 3 && from[1] == '.' && from[2] == '.') {
            if (to == out->path)
                return BAD;
            while (*--to != '/')
                ;
            if (is_last)
                *to++ = '/';
        } else if (bytes == 1 || (bytes == 2 && from[1] == '.')) {
            if (is_last)
                *to++ = '/';
        } else {
            memmove(to, from, bytes);
            to += bytes;
        }
        from += bytes;
    }
    *to = 0;
    out->path_bytes = (size_t)(to - out->path);
    return 0;
}

/* RFC 9112, 3.2: origin-form, absolute-form, asterisk-form. */
static int parse_target(struct text target, struct request *out)
{
    static const char scheme[] = "http://";

    if (target.bytes > REQUEST_TARGET_MAX - 2)
        return TARGET_TOO_LONG;
    for (size_t i = 0; i < target.bytes; i++) {
        if ((unsigned char)target.start[i] <= ' ')
            return BAD;
    }
    if (out->method == METHOD_OPTIONS && text_is(target, "*")) {
        out->is_for_server = true;
        target = text_of("/");
    }
    if (target.bytes >= strlen(scheme) &&
        text_is_word((struct text){target.start, strlen(scheme)}, scheme)) {
        const char *end = target.start + target.bytes, *at = target.start + strlen(scheme);

        while (at < end && *at != '/' && *at != '?')
            at++;
        target = at == end ? text_of("/") : (struct text){at, (size_t)(end - at)};
    }
    out->target = target;
    const char *query = memchr(target.start, '?', target.bytes);
    if (query != NULL)
        target.bytes = (size_t)(query - target.start);
    if (target.bytes == 0) /* http://host?query */
        target = text_of("/");
    if (*target.start != '/')
        return out->method == METHOD_REFUSED ? 0 : BAD;
    int error = decode_path(target, out);
    return error != 0 ? error : remove_dots(out);
}

/* Methods that are known, and refused, from those that nobody knows (RFC 9110, 9.1; RFC 5789). */
static int parse_method(struct text method, struct request *out)
{
    static const char *const refused[] = {"POST", "PUT", "DELETE", "PATCH", "CONNECT", "TRACE"};

    if (text_is(method, "GET")) {
        out->method = METHOD_GET;
        return 0;
    }
    if (text_is(method, "HEAD")) {
        out->method = METHOD_HEAD;
        return 0;
    }
    if (text_is(method, "OPTIONS")) {
        out->method = METHOD_OPTIONS;
        return 0;
    }
    out->method = METHOD_REFUSED;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (text_is(method, refused[i]))
            return 0;
    }
    return is_token(method) ? NOT_IMPLEMENTED : BAD;
}

static int parse_version(struct text version, struct request *out)
{
    const char *v = version.start;

    if (version.bytes != 8 || memcmp(v, "HTTP/", 5) != 0 || v[6] != '.' || v[5] < '0' ||
        v[5] > '9' || v[7] < '0' || v[7] > '9')
        return BAD;
    if (v[5] != '1')
        return VERSION_NOT_SUPPORTED;
    out->is_1_0 = v[7] == '0';
    return 0;
}

static int parse_request_line(struct text line, struct request *out)
{
    const char *end = line.start + line.bytes;
    const char *first = memchr(line.start, ' ', line.bytes);

    if (first == NULL)
        return BAD;
    const char *second = memchr(first + 1, ' ', (size_t)(end - first - 1));
    if (second == NULL || second == first + 1)
        return BAD;
    int error = parse_version((struct text){second + 1, (size_t)(end - second - 1)}, out);
    if (error == 0)
        error = parse_method((struct text){line.start, (size_t)(first - line.start)}, out);
    if (error == 0)
        error = parse_target((struct text){first + 1, (size_t)(second - first - 1)}, out);
    return error;
}

/* --- Header fields ---------------------------------------------------------------------------- */

/* What one head may have said so far. */
struct fields {
    unsigned count;
    bool has_host, has_length, has_close, has_keep_alive;
};

static int parse_length(struct text value, struct fields *fields, struct request *out)
{
    struct text element;
    uint64_t length = 0;

    /* The same number several times is one (RFC 9112, 6.3). */
    while (text_next_element(&value, &element)) {
        length = 0;
        for (size_t i = 0; i < element.bytes; i++) {
            char c = element.start[i];

            if (c < '0' || c > '9' || length > (UINT64_MAX - 9) / 10)
                return BAD;
            length = length * 10 + (uint64_t)(c - '0');
        }
        if (fields->has_length && length != out->content_bytes)
            return BAD;
        fields->has_length = true;
        out->content_bytes = length;
    }
    return fields->has_length ? 0 : BAD;
}

static void parse_connection(struct text value, struct fields *fields)
{
    struct text element;

    while (text_next_element(&value, &element)) {
        fields->has_close |= text_is_word(element, "close");
        fields->has_keep_alive |= text_is_word(element, "keep-alive");
    }
}

/* The few names that matter differ in length, or are compared one by one. */
static int use_field(struct text name, struct text value, struct fields *fields,
                     struct request *out)
{
    switch (name.bytes) {
    case 4:
        if (text_is_word(name, "host")) {
            if (fields->has_host)
                return BAD;
            fields->has_host = true;
        }
        return 0;
    case 5:
        if (text_is_word(name, "range"))
            out->range = value;
        return 0;
    case 6:
        if (text_is_word(name, "expect")) {
            if (!text_is_word(value, "100-continue"))
                return -417;
            out->expects_100 = true;
        }
        return 0;
    case 8:
        if (text_is_word(name, "if-match"))
            out->if_match = value;
        else if (text_is_word(name, "if-range"))
            out->if_range = value;
        return 0;
    case 10:
        if (text_is_word(name, "connection"))
            parse_connection(value, fields);
        return 0;
    case 13:
        if (text_is_word(name, "if-none-match"))
            out->if_none_match = value;
        return 0;
    case 14:
        return text_is_word(name, "content-length") ? parse_length(value, fields, out) : 0;
    case 17:
        if (text_is_word(name, "if-modified-since"))
            out->if_modified_since = value;
        if (!text_is_word(name, "transfer-encoding"))
            return 0;
        if (out->has_coding || !text_is_word(value, "chunked"))
            return NOT_IMPLEMENTED;
        out->has_coding = true;
        return 0;
    case 19:
        if (text_is_word(name, "if-unmodified-since"))
            out->if_unmodified_since = value;
        return 0;
    default:
        return 0;
    }
}

static int parse_field(struct text line, struct fields *fields, struct request *out)
{
    const char *colon = memchr(line.start, ':', line.bytes);
    struct text name = {line.start, colon != NULL ? (size_t)(colon - line.start) : 0};

    if (++fields->count > REQUEST_FIELDS_MAX)
        return FIELDS_TOO_LARGE;
    /* Nor may blanks precede the colon or, as a continued line, the name (RFC 9112, 5.1, 5.2). */
    if (colon == NULL || !is_token(name))
        return BAD;
    return use_field(name, text_trimmed((struct text){colon + 1, line.bytes - name.bytes - 1}),
                     fields, out);
}

/* What only the whole head tells. */
static int check_fields(const struct fields *fields, struct request *out)
{
    if (!fields->has_host && !out->is_1_0)
        return BAD;
    /* Two lengths: whoever sent this may mean another request to follow than we would find. */
    if (out->has_coding && (fields->has_length || out->is_1_0))
        return BAD;
    out->keep_alive = !fields->has_close && (!out->is_1_0 || fields->has_keep_alive);
    return 0;
}

int request_parse(const char *data, size_t bytes, struct request *out)
{
    size_t limit = bytes < REQUEST_HEAD_MAX ? bytes : REQUEST_HEAD_MAX;
    struct cursor cursor = {data, data + limit};
    struct fields fields = {0};
    struct text line;
    int result;

    out->is_for_server = out->expects_100 = out->has_coding = out->keep_alive = false;
    out->content_bytes = 0;
    out->target = out->if_none_match = out->if_modified_since = out->if_match =
        out->if_unmodified_since = out->if_range = out->range = (struct text){"", 0};
    out->path_bytes = 0;
    out->path[0] = 0;
    do { /* empty lines before a request are passed over (RFC 9112, 2.2) */
        result = next_line(&cursor, &line);
    } while (result == 1 && line.bytes == 0);
    if (result == 0)
        return limit == REQUEST_HEAD_MAX ? TARGET_TOO_LONG : 0;
    if (result == 1)
        result = parse_request_line(line, out);
    if (result < 0)
        return result;
    for (;;) {
        result = next_line(&cursor, &line);
        if (result == 0)
            return limit == REQUEST_HEAD_MAX ? FIELDS_TOO_LARGE : 0;
        if (result == 1 && line.bytes == 0)
            break;
        if (result == 1)
            result = parse_field(line, &fields, out);
        if (result < 0)
            return result;
    }
    result = check_fields(&fields, out);
    return result < 0 ? result : (int)(cursor.at - data);
}

/* --- Ranges (RFC 9110, 14) -------------------------------------------------------------------- */

/* Takes a number off; false: there is none. Saturates. */
static bool take_number(struct text *text, uint64_t *out)
{
    size_t i = 0;

    *out = 0;
    for (; i < text->bytes && text->start[i] >= '0' && text->start[i] <= '9'; i++) {
        unsigned digit = (unsigned)(text->start[i] - '0');

        *out = *out > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *out * 10 + digit;
    }
    text->start += i;
    text->bytes -= i;
    return i > 0;
}

int request_range(const struct request *request, uint64_t size, uint64_t *first, uint64_t *last)
{
    static const char unit[] = "bytes=";
    struct text text = request->range;

    if (request->method != METHOD_GET || text.bytes < strlen(unit) ||
        !text_is_word((struct text){text.start, strlen(unit)}, unit))
        return 200;
    text.start += strlen(unit);
    text.bytes -= strlen(unit);
    text = text_trimmed(text);

    /* Several ranges at once, and what is none, get the whole: a server may do so (14.2). */
    bool has_first = take_number(&text, first);
    if (text.bytes == 0 || *text.start != '-')
        return 200;
    text.start++, text.bytes--;
    bool has_last = take_number(&text, last);
    if (text.bytes > 0 || (!has_first && !has_last) || (has_first && has_last && *last < *first))
        return 200;
    if (!has_first) { /* the last bytes */
        if (*last == 0 || size == 0)
            return 416;
        *first = *last < size ? size - *last : 0;
        *last = size - 1;
        return 206;
    }
    if (*first >= size)
        return 416;
    if (!has_last || *last >= size)
        *last = size - 1;
    return 206;
}
