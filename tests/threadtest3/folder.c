/*
 * The program's databases are in its working folder.
 */
#include <stdlib.h>
#include <unistd.h>

static void __attribute__((constructor)) choose_folder(void)
{
    if (chdir("/tmp") != 0)
        abort();
}
