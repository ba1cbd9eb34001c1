# SQLite 3.40, as it comes: its shell. Databases can be in /tmp and, but for WAL, on /host: there WAL needs
# `pragma locking_mode=exclusive`. What is enabled besides is for tests/fuzzcheck.
SQLITE := $(DEPS)/sqlite-amalgamation
APP_SOURCES := $(SQLITE)/sqlite3.c $(SQLITE)/shell.c
APP_CFLAGS := -w -DSQLITE_THREADSAFE=1 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_MAX_MMAP_SIZE=0x7fff0000 \
    -DHAVE_USLEEP=1 -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_ENABLE_FTS4 -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE \
    -DSQLITE_ENABLE_GEOPOLY -DSQLITE_ENABLE_DBSTAT_VTAB -DSQLITE_ENABLE_BYTECODE_VTAB -DSQLITE_ENABLE_MEMSYS5

# SQLite is published as two files that its build makes of many.
$(SQLITE)/sqlite3.c: $(DEPS)/source-sqlite | $(DEPS)/packages-apps.stamp
	$(Q)rm -rf $(SQLITE) $(SQLITE).new && mkdir $(SQLITE).new
	$(Q)cd $(SQLITE).new && env -u MAKEFLAGS sh -c '(../sqlite/configure --disable-tcl && make sqlite3.c shell.c) > log 2>&1' || \
	    { tail -n 20 log; exit 1; }
	$(Q)mv $(SQLITE).new $(SQLITE)

$(SQLITE)/shell.c: $(SQLITE)/sqlite3.c ;
