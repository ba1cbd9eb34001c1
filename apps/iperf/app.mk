# Port 5001 of the host, TCP and UDP, leads to it: iperf -c localhost.
APP_CFLAGS := -D_GNU_SOURCE
APP_RUN := --net user,5001:5001,5001:5001/udp
