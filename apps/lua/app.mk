# Lua 5.4, as it comes: the interpreter. Without arguments it reads the console.
LUA := $(DEPS)/lua/src
APP_SOURCES := $(patsubst %,$(LUA)/%.c,lapi lauxlib lbaselib lcode lcorolib lctype ldblib ldebug ldo ldump \
    lfunc lgc linit liolib llex lmathlib lmem loadlib lobject lopcodes loslib lparser lstate lstring lstrlib \
    ltable ltablib ltm lua lundump lutf8lib lvm lzio)
APP_CFLAGS := -w -DLUA_COMPAT_5_3 -DLUA_USE_POSIX
