# http://localhost:8080/ on the host leads to it.
APP_CFLAGS := -D_GNU_SOURCE
APP_RUN := --net user,8080:80
