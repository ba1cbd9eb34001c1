# It reaches below the C library, to the hypercalls themselves.
APP_CFLAGS := -I.
