# Measures the first disk, which it overwrites: it reaches below the C library.
APP_CFLAGS := -I.
