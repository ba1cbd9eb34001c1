# Redis 7.0, as it comes: the server, with newlib's malloc. `make run APP=redis`, then
# redis-cli -p 6379. Files are in /tmp. There is no fork: BGSAVE and BGREWRITEAOF are refused, SAVE and
# --appendonly yes work.
REDIS := $(DEPS)/redis
APP_SOURCES := $(patsubst %,$(REDIS)/src/%.c,acl adlist ae anet aof bio bitops blocked call_reply childinfo cluster \
        commands config connection crc16 crc64 crcspeed db debug defrag dict endianconv eval evict expire \
        function_lua functions geo geohash geohash_helper hyperloglog intset latency lazyfree listpack localtime \
        lolwut lolwut5 lolwut6 lzf_c lzf_d memtest module monotonic mt19937-64 multi networking notify object pqsort \
        pubsub quicklist rand rax rdb redis-check-aof redis-check-rdb release replication resp_parser rio script \
        script_lua sds sentinel server setcpuaffinity setproctitle sha1 sha256 siphash slowlog sort sparkline \
        syncio syscheck t_hash t_list t_set t_stream t_string t_zset timeout tls tracking util ziplist zipmap \
        zmalloc) \
    $(patsubst %,$(REDIS)/deps/hiredis/%.c,alloc async hiredis net read sds sockcompat) \
    $(patsubst %,$(REDIS)/deps/lua/src/%.c,fpconv lapi lauxlib lbaselib lcode ldblib ldebug ldo ldump lfunc lgc \
        linit liolib llex lmathlib lmem loadlib lobject lopcodes loslib lparser lstate lstring lstrlib ltable \
        ltablib ltm lua_bit lua_cjson lua_cmsgpack lua_struct lundump lvm lzio strbuf) \
    $(REDIS)/deps/hdr_histogram/hdr_histogram.c
APP_CFLAGS := -w -I$(APP_FOLDER) -I$(REDIS)/src -I$(REDIS)/deps/hiredis -I$(REDIS)/deps/linenoise \
    -I$(REDIS)/deps/lua/src -I$(REDIS)/deps/hdr_histogram -DLUA_ANSI -DENABLE_CJSON_GLOBAL \
    -DHAVE_EPOLL \
    -DHDR_MALLOC_INCLUDE='"hdr_redis_malloc.h"'
APP_RUN := --mem 256M --net user,6379:6379
