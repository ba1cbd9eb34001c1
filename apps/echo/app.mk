# Ports 7007 of the host, TCP and UDP, lead to it.
APP_CFLAGS := -D_GNU_SOURCE
APP_RUN := --net user,7007:7,7007:7/udp
