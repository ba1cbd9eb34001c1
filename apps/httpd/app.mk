# http://localhost:8080/ on the host leads to it. tools/parvus run --net tap:NAME and --initrd FILE take
# the place of these.
APP_CFLAGS := -D_GNU_SOURCE
APP_INITRD := $(APP_FOLDER)/www
APP_RUN := --net user,8080:80
