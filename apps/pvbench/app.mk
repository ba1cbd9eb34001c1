# Measures the hypervisor interface itself: it reaches below the C library.
APP_CFLAGS := -I.
