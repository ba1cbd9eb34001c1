# SQLite's own check of what fuzzers have found, as it comes, on the library of apps/sqlite.
SQLITE := $(DEPS)/sqlite-amalgamation
APP_SOURCES := $(patsubst %,$(DEPS)/sqlite/%.c,test/fuzzcheck test/ossfuzz test/vt02 test/fuzzinvariants \
    ext/recover/dbdata ext/recover/sqlite3recover)
APP_CFLAGS := -w -I$(SQLITE) -I$(DEPS)/sqlite/test -I$(DEPS)/sqlite/ext/recover -DSQLITE_CORE -DSQLITE_OSS_FUZZ \
    -DSQLITE_ENABLE_MEMSYS5 -DSQLITE_ENABLE_FTS4 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_DBSTAT_VTAB
APP_LDLIBS := $(call app_object,sqlite,apps/sqlite,$(SQLITE)/sqlite3.c)

# Its header is made with the library.
$(foreach s,$(APP_SOURCES),$(call app_object,fuzzcheck,$(APP_FOLDER),$(s))): | $(SQLITE)/sqlite3.c
