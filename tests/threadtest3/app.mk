# SQLite's own test of threads, as it comes, on the library of apps/sqlite.
SQLITE := $(DEPS)/sqlite-amalgamation
APP_SOURCES := tests/threadtest3/folder.c $(DEPS)/sqlite/test/threadtest3.c $(DEPS)/sqlite/src/test_multiplex.c
APP_CFLAGS := -w -I$(SQLITE) -I$(DEPS)/sqlite/src
APP_LDLIBS := $(call app_object,sqlite,apps/sqlite,$(SQLITE)/sqlite3.c)

# Its header is made with the library.
$(foreach s,$(APP_SOURCES),$(call app_object,threadtest3,$(APP_FOLDER),$(s))): | $(SQLITE)/sqlite3.c
