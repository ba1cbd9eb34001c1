/* The head of an HTTP request, and the dates and ranges in it (apps/httpd/). */
#include "apps/httpd/http_date.h"
#include "apps/httpd/request.h"
#include "tests/fuzz/host/fuzz.h"

#define YEAR_10000                                                                                 \
    253402300800 /* reached by a leap second only, and formatted as the one before                 \
                  */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct request *request = malloc(sizeof(*request));
    char *head = malloc(bytes ? bytes : 1);

    memcpy(head, data, bytes);

    int result = request_parse(head, bytes, request);

    FUZZ_CHECK(result <= (int)bytes && result > -600);
    if (result > 0) {
        char date[HTTP_DATE_BYTES + 1];
        int64_t seconds, again;
        uint64_t first = 0, last = 0;
        int status = request_range(request, 1000, &first, &last);

        FUZZ_CHECK(request->path_bytes < sizeof(request->path));
        FUZZ_CHECK(request->path[request->path_bytes] == 0);
        FUZZ_CHECK(request->method == METHOD_REFUSED || request->path[0] == '/');
        FUZZ_CHECK(!strstr(request->path, "/../"));
        FUZZ_CHECK(status == 200 || status == 206 || status == 416);
        FUZZ_CHECK(status != 206 || (first <= last && last < 1000));
        if (http_date_parse(request->if_modified_since, &seconds)) {
            FUZZ_CHECK(seconds >= 0 && seconds <= YEAR_10000);
            http_date_format(seconds, date);
            FUZZ_CHECK(http_date_parse(text_of(date), &again) &&
                       (again == seconds || seconds == YEAR_10000));
        }
        /* A head that is there stays one when more follows, and is none without its end. */
        FUZZ_CHECK(request_parse(head, (size_t)result, request) == result);
        FUZZ_CHECK(request_parse(head, (size_t)result - 1, request) <= 0);
    }
    free(head);
    free(request);
    return 0;
}
