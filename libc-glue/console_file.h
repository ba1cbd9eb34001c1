/*
 * The console as files, which are always there.
 */
#ifndef LIBC_GLUE_CONSOLE_FILE_H
#define LIBC_GLUE_CONSOLE_FILE_H

#include "libc-glue/file.h"

extern struct file console_input, console_output, console_terminal; /* the last: both */

bool console_is(const struct file *file);

#endif
