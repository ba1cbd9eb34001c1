/*
 * The frame of every page that we make, errors and lists of folders.
 */
#include "pages.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "frame.h"

static const struct {
    int status;
    const char *reason, *explanation;
} reasons[] = {
    {200, "OK", ""},
    {204, "No Content", ""},
    {206, "Partial Content", ""},
    {301, "Moved Permanently", "This is a folder: its name ends with a slash."},
    {304, "Not Modified", ""},
    {400, "Bad Request", "That was no HTTP request that this server understands."},
    {403, "Forbidden", "This is nothing that may be read."},
    {404, "Not Found", "There is nothing of this name here."},
    {405, "Method Not Allowed", "Only GET, HEAD and OPTIONS make sense here."},
    {408, "Request Timeout", "The request took too long to come."},
    {412, "Precondition Failed", "It is not the version that was asked for."},
    {413, "Content Too Large", "The request has more content than this server takes."},
    {414, "URI Too Long", "The request's target is longer than this server takes."},
    {416, "Range Not Satisfiable", "The range lies outside."},
    {417, "Expectation Failed", "This server cannot do what was expected."},
    {431, "Request Header Fields Too Large",
     "The request's header is larger than this server takes."},
    {500, "Internal Server Error", "It could not be read."},
    {501, "Not Implemented", "This server does not know the method or the coding."},
    {503, "Service Unavailable", "There are no resources for it now; try again in a moment."},
    {505, "HTTP Version Not Supported", "This server speaks HTTP/1.1 and 1.0."},
};

#define NR_REASONS (sizeof(reasons) / sizeof(reasons[0]))

static size_t find_reason(int status)
{
    size_t i = 0;

    while (i < NR_REASONS - 1 && reasons[i].status != status)
        i++;
    return i;
}

const char *pages_reason(int status)
{
    return reasons[find_reason(status)].reason;
}

void frame_begin(struct buffer *out, const char *title)
{
    static const char head[] =
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<link rel=\"icon\" href=\"data:,\"><style>"
        ":root{color-scheme:light dark;--ink:#1b2330;--soft:#5d6b80;--paper:#f4f6fa;--card:#fff;"
        "--line:#dfe5ee;--mark:#2456c9}"
        "@media(prefers-color-scheme:dark){:root{--ink:#e6ebf4;--soft:#93a1b8;--paper:#10151e;"
        "--card:#181f2b;--line:#2a3444;--mark:#83aaff}}"
        "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);"
        "font:16px/1.5 system-ui,sans-serif}main{max-width:64rem;margin:0 auto;padding:2rem "
        "1.25rem}"
        "h1{font-size:1.7rem;margin:0 0 .25rem}h2{font-size:1rem;margin:0 0 "
        ".75rem;color:var(--soft);"
        "font-weight:600}p{margin:.25rem 0 1rem}a{color:var(--mark)}.soft{color:var(--soft)}"
        ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;"
        "margin:1.25rem 0}.card,section{background:var(--card);border:1px solid var(--line);"
        "border-radius:.75rem;padding:1rem}section{margin:0 0 1rem;overflow-x:auto}"
        ".card b{display:block;font-size:1.45rem;font-variant-numeric:tabular-nums}"
        "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .75rem "
        ".3rem 0;"
        "border-top:1px solid var(--line);vertical-align:top}tr:first-child>*{border-top:0}"
        "th{color:var(--soft);font-weight:500}td{font-variant-numeric:tabular-nums}"
        "td.n,th.n{text-align:right}.bar{height:.5rem;border-radius:.25rem;background:var(--line);"
        "overflow:hidden;margin-top:.5rem}.bar i{display:block;height:100%;background:var(--mark)}"
        ".code{font-size:4rem;font-weight:700;line-height:1;margin:0;color:var(--mark)}"
        "</style><title>";

    buffer_add(out, head, sizeof(head) - 1);
    buffer_add_html(out, text_of(title));
    buffer_add_string(out, "</title></head><body><main>\n");
}

void frame_end(struct buffer *out)
{
    buffer_add_string(out, "</main></body></html>\n");
}

void pages_error(struct buffer *out, int status)
{
    size_t i = find_reason(status);
    char title[80];

    snprintf(title, sizeof(title), "%d %s", status, reasons[i].reason);
    frame_begin(out, title);
    buffer_printf(out, "<p class=\"code\">%d</p><h1>%s</h1><p class=\"soft\">%s</p>\n", status,
                  reasons[i].reason, reasons[i].explanation);
    frame_end(out);
}

/* --- Lists of folders ------------------------------------------------------------------------- */

static int keep_entry(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void add_entry(struct buffer *out, const char *folder, const char *name)
{
    char path[4600];
    struct stat info;

    snprintf(path, sizeof(path), "%s%s", folder, name);
    if (stat(path, &info) != 0)
        return; /* it is gone, or leads nowhere */
    const char *slash = S_ISDIR(info.st_mode) ? "/" : "";
    buffer_add_string(out, "<tr><td><a href=\"./");
    buffer_add_url(out, text_of(name));
    buffer_printf(out, "%s\">", slash);
    buffer_add_html(out, text_of(name));
    buffer_printf(out, "%s</a></td><td class=\"n\">", slash);
    if (S_ISREG(info.st_mode))
        buffer_printf(out, "%lld bytes", (long long)info.st_size);
    buffer_add_string(out, "</td></tr>\n");
}

static void add_heading(struct buffer *out, struct text path)
{
    if (path.bytes == 1) {
        frame_begin(out, "It works");
        buffer_add_string(
            out, "<h1>It works</h1><p class=\"soft\">This is the built-in page of httpd. A "
                 "file <b>index.html</b> takes its place.</p>"
                 "<p><a href=\"/status\">Status</a> of this server and what it runs on; "
                 "<a href=\"/status.json\">the same</a> as JSON.</p>\n");
        return;
    }
    struct buffer title = {0};
    buffer_add(&title, path.start, path.bytes);
    buffer_add(&title, "", 1);
    frame_begin(out, title.failed ? "Folder" : title.data);
    buffer_add_string(out, "<h1>");
    buffer_add_html(out, path);
    buffer_add_string(out, "</h1><p><a href=\"../\">Up</a></p>\n");
    buffer_reset(&title, 0);
}

int pages_list(struct buffer *out, struct text path)
{
    struct dirent **list = NULL;
    char folder[4200];

    /* Relative to the working folder, with a slash at the end unless it is that itself. */
    if (path.bytes >= sizeof(folder))
        return 404;
    memcpy(folder, path.start + 1, path.bytes - 1);
    folder[path.bytes - 1] = 0;
    int count = scandir(folder[0] != 0 ? folder : ".", &list, keep_entry, alphasort);
    if (count < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? 503 : 403;
    add_heading(out, path);
    if (count > 0)
        buffer_add_string(out, "<section><table>\n");
    for (int i = 0; i < count; i++) {
        add_entry(out, folder, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    if (count > 0)
        buffer_add_string(out, "</table></section>\n");
    frame_end(out);
    return 200;
}
