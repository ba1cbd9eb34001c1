/*
 * The status of the server and of the machine, for people and for programs.
 */
#include <stdio.h>

#include "files.h"
#include "frame.h"
#include "pages.h"
#include "server.h"
#include "system.h"

/* The page fetches itself every two seconds; what changed takes the place of what was. */
#define SCRIPT                                                                                     \
    "<script>setInterval(async()=>{if(document.hidden)return;try{const a=await fetch('/status'),"  \
    "d=new DOMParser().parseFromString(await a.text(),'text/html');"                               \
    "document.getElementById('live').replaceWith(d.getElementById('live'))}catch(e){}},2000)"      \
    "</script>\n"

/* "12.3 MiB" */
static void add_bytes(struct buffer *out, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    double value = (double)bytes;

    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    buffer_printf(out, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void add_duration(struct buffer *out, uint64_t ms)
{
    uint64_t seconds = ms / 1000;

    if (seconds >= 86400)
        buffer_printf(out, "%llu d ", (unsigned long long)(seconds / 86400));
    if (seconds >= 3600)
        buffer_printf(out, "%llu h ", (unsigned long long)(seconds / 3600 % 24));
    if (seconds >= 60)
        buffer_printf(out, "%llu min ", (unsigned long long)(seconds / 60 % 60));
    buffer_printf(out, "%llu s", (unsigned long long)(seconds % 60));
}

/* 1234567 as "1 234 567", the blanks narrow. */
static void add_count(struct buffer *out, uint64_t count)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            buffer_add_string(out, "&#8239;");
        buffer_add(out, &digits[i], 1);
    }
}

static void add_card(struct buffer *out, const char *name, uint64_t count)
{
    buffer_add_string(out, "<div class=\"card\"><b>");
    add_count(out, count);
    buffer_printf(out, "</b><span class=\"soft\">%s</span></div>\n", name);
}

static void add_row(struct buffer *out, const char *name, uint64_t count)
{
    buffer_printf(out, "<tr><th>%s</th><td class=\"n\">", name);
    add_count(out, count);
    buffer_add_string(out, "</td></tr>\n");
}

static void add_memory(struct buffer *out, const struct system *system)
{
    uint64_t used = system->memory_bytes - system->memory_free_bytes;

    buffer_add_string(out, "<section><h2>Memory</h2>");
    add_bytes(out, used);
    buffer_add_string(out, " of ");
    add_bytes(out, system->memory_bytes);
    buffer_printf(out,
                  " in use<div class=\"bar\"><i style=\"width:%.1f%%\"></i></div>"
                  "<p class=\"soft\">malloc: ",
                  system->memory_bytes > 0 ? 100.0 * (double)used / (double)system->memory_bytes
                                           : 0.0);
    add_bytes(out, system->heap_used_bytes);
    buffer_add_string(out, " of ");
    add_bytes(out, system->heap_bytes);
    buffer_add_string(out, "; files kept: ");
    add_bytes(out, files_counts.bytes);
    buffer_add_string(out, "</p></section>\n");
}

static void add_interface(struct buffer *out, const struct system_interface *interface)
{
    buffer_add_string(out, "<tr><td><b>");
    buffer_add_html(out, text_of(interface->name));
    buffer_printf(out, "</b>%s%s<br><span class=\"soft\">%s</span></td><td>",
                  interface->is_up ? "" : " (down)", interface->is_loopback ? " (loopback)" : "",
                  interface->mac);
    for (unsigned i = 0; i < interface->nr_addresses; i++)
        buffer_printf(out, "%s%s", i > 0 ? "<br>" : "", interface->addresses[i]);
    buffer_printf(out, "%s%s</td><td class=\"n\">", interface->note[0] != 0 ? "<br>" : "",
                  interface->note);
    add_count(out, interface->rx_packets);
    buffer_add_string(out, "<br><span class=\"soft\">");
    add_bytes(out, interface->rx_bytes);
    buffer_add_string(out, "</span></td><td class=\"n\">");
    add_count(out, interface->tx_packets);
    buffer_add_string(out, "<br><span class=\"soft\">");
    add_bytes(out, interface->tx_bytes);
    buffer_add_string(out, "</span></td><td class=\"n\">");
    add_count(out, interface->rx_dropped + interface->tx_dropped);
    buffer_add_string(out, "</td><td class=\"n\">");
    add_count(out, interface->interrupts);
    buffer_add_string(out, "<br><span class=\"soft\">");
    add_count(out, interface->kicks);
    buffer_add_string(out, "</span></td></tr>\n");
}

static void add_interfaces(struct buffer *out, const struct system *system)
{
    if (system->nr_interfaces == 0)
        return;
    buffer_add_string(out,
                      "<section><h2>Network</h2><table><tr><th>Interface</th><th>Addresses</th>"
                      "<th class=\"n\">Received</th><th class=\"n\">Sent</th>"
                      "<th class=\"n\">Dropped</th><th class=\"n\">Interrupts, kicks</th></tr>\n");
    for (unsigned i = 0; i < system->nr_interfaces; i++)
        add_interface(out, &system->interfaces[i]);
    buffer_add_string(out, "</table></section>\n");
}

void pages_status(struct buffer *out)
{
    static struct system system;

    system_read(&system);
    frame_begin(out, "Status");
    buffer_printf(out, "<div id=\"live\"><h1>httpd on %s</h1><p class=\"soft\">Serving for ",
                  system.kind);
    add_duration(out, server_now_ms - server_started_ms);
    buffer_add_string(out, "; the machine is up for ");
    add_duration(out, system.uptime_ms);
    buffer_add_string(out, "</p><div class=\"cards\">\n");
    add_card(out, "requests", server_counts.requests);
    add_card(out, "connections open", server_counts.open);
    add_card(out, "connections accepted", server_counts.accepted);
    add_card(out, "bytes sent", server_counts.bytes_sent);
    buffer_add_string(out, "</div>\n");
    add_memory(out, &system);
    add_interfaces(out, &system);
    buffer_add_string(out, "<section><h2>System</h2><table>\n");
    for (unsigned i = 0; i < system.nr_facts; i++) {
        buffer_printf(out, "<tr><th>%s</th><td>", system.facts[i].name);
        buffer_add_html(out, text_of(system.facts[i].value));
        buffer_add_string(out, "</td></tr>\n");
    }
    buffer_add_string(out, "</table></section><section><h2>Answers and endings</h2><table>\n");
    add_row(out, "2xx: served", server_counts.answers[2]);
    add_row(out, "3xx: not modified, moved", server_counts.answers[3]);
    add_row(out, "4xx: the client's fault", server_counts.answers[4]);
    add_row(out, "5xx: ours", server_counts.answers[5]);
    add_row(out, "Connections timed out", server_counts.timed_out);
    add_row(out, "Connections that failed", server_counts.failed);
    add_row(out, "Idle connections closed to make room", server_counts.evicted);
    add_row(out, "Times that accepting had to wait", server_counts.paused);
    add_row(out, "Files served from memory", files_counts.hits);
    add_row(out, "Files looked up", files_counts.misses);
    buffer_add_string(out, "</table></section></div>\n" SCRIPT);
    frame_end(out);
}

static void add_json_interface(struct buffer *out, const struct system_interface *interface)
{
    buffer_add_string(out, "{\"name\":\"");
    buffer_add_json(out, text_of(interface->name));
    buffer_printf(out, "\",\"up\":%s,\"mac\":\"%s\",\"mtu\":%u,\"addresses\":[",
                  interface->is_up ? "true" : "false", interface->mac, interface->mtu_bytes);
    for (unsigned i = 0; i < interface->nr_addresses; i++)
        buffer_printf(out, "%s\"%s\"", i > 0 ? "," : "", interface->addresses[i]);
    buffer_printf(
        out,
        "],\"rx_packets\":%llu,\"rx_bytes\":%llu,\"rx_dropped\":%llu,"
        "\"tx_packets\":%llu,\"tx_bytes\":%llu,\"tx_dropped\":%llu,"
        "\"interrupts\":%llu,\"kicks\":%llu}",
        (unsigned long long)interface->rx_packets, (unsigned long long)interface->rx_bytes,
        (unsigned long long)interface->rx_dropped, (unsigned long long)interface->tx_packets,
        (unsigned long long)interface->tx_bytes, (unsigned long long)interface->tx_dropped,
        (unsigned long long)interface->interrupts, (unsigned long long)interface->kicks);
}

static void add_json(struct buffer *out, const struct system *system)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"uptime_ms", server_now_ms - server_started_ms},
        {"machine_uptime_ms", system->uptime_ms},
        {"requests", server_counts.requests},
        {"connections_accepted", server_counts.accepted},
        {"connections_open", server_counts.open},
        {"connections_timed_out", server_counts.timed_out},
        {"connections_failed", server_counts.failed},
        {"connections_evicted", server_counts.evicted},
        {"accepting_paused", server_counts.paused},
        {"bytes_sent", server_counts.bytes_sent},
        {"answers_2xx", server_counts.answers[2]},
        {"answers_3xx", server_counts.answers[3]},
        {"answers_4xx", server_counts.answers[4]},
        {"answers_5xx", server_counts.answers[5]},
        {"memory_bytes", system->memory_bytes},
        {"memory_free_bytes", system->memory_free_bytes},
        {"heap_bytes", system->heap_bytes},
        {"heap_used_bytes", system->heap_used_bytes},
        {"files_kept_bytes", files_counts.bytes},
    };

    buffer_printf(out, "{\"system\":\"%s\",\"hypervisor\":\"%s\"", system->kind,
                  system->hypervisor);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        buffer_printf(out, ",\"%s\":%llu", numbers[i].name, (unsigned long long)numbers[i].value);
    buffer_add_string(out, ",\"facts\":{");
    for (unsigned i = 0; i < system->nr_facts; i++) {
        buffer_printf(out, "%s\"%s\":\"", i > 0 ? "," : "", system->facts[i].name);
        buffer_add_json(out, text_of(system->facts[i].value));
        buffer_add_string(out, "\"");
    }
    buffer_add_string(out, "},\"interfaces\":[");
    for (unsigned i = 0; i < system->nr_interfaces; i++) {
        buffer_add_string(out, i > 0 ? "," : "");
        add_json_interface(out, &system->interfaces[i]);
    }
    buffer_add_string(out, "]}\n");
}

void pages_status_json(struct buffer *out)
{
    static struct system system;

    system_read(&system);
    add_json(out, &system);
}
