/*
 * Ends with words unsaid: sends to the first who connects to port 80, then ends at once, its
 * connection open or closed. On Linux, all of it would still arrive.
 *
 * usage: parting BYTES close|exit
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(80)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (argc != 3 || bind(listener, (struct sockaddr *)&any, sizeof(any)) != 0 ||
        listen(listener, 1) != 0)
        return 1;
    puts("listening");
    fflush(stdout);
    int connection = accept(listener, NULL, NULL);
    size_t bytes = strtoul(argv[1], NULL, 0);
    char *data = malloc(bytes);
    if (connection < 0 || data == NULL)
        return 1;
    for (size_t i = 0; i < bytes; i++)
        data[i] = (char)('a' + i % 26);
    if (send(connection, data, bytes, 0) != (ssize_t)bytes)
        return 1;
    if (strcmp(argv[2], "close") == 0)
        close(connection);
    return 42;
}
