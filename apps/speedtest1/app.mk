# SQLite's own benchmark, as it comes, on the library of apps/sqlite.
SQLITE := $(DEPS)/sqlite-amalgamation
APP_SOURCES := $(DEPS)/sqlite/test/speedtest1.c
APP_CFLAGS := -w -I$(SQLITE)
APP_LDLIBS := $(call app_object,sqlite,apps/sqlite,$(SQLITE)/sqlite3.c)

# Its header is made with the library.
$(foreach a,apps linux,$(B)/$(a)/speedtest1/obj/$(APP_SOURCES).o): | $(SQLITE)/sqlite3.c
