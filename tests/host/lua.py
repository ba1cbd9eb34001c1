"""apps/lua: Lua as it comes."""
import subprocess

from framework import BOOT_TIMEOUT_S, PARVUS, app_image, parvus, tar, test

LUA_HOSTS = ["tcg-microvm", "kvm-microvm", "xen-dom0"]

SCRIPT = r"""
-- What the language promises, with a part of every library.
assert(_VERSION == "Lua 5.4" and arg[1] == "one two" and #arg == 1)
local text = ("%5.3f|%q|%x"):format(math.pi, "a\nb", 255)
assert(text == '3.142|"a\\\nb"|ff', text)
assert(("key=value"):match("(%w+)=(%w+)") == "key" and utf8.char(8364) == "\xe2\x82\xac")
local sorted = {}
for i = 1, 1000 do sorted[i] = (i * 7919) % 1009 end
table.sort(sorted)
for i = 2, #sorted do assert(sorted[i - 1] <= sorted[i]) end
local function fibonacci(n) return n < 2 and n or fibonacci(n - 1) + fibonacci(n - 2) end
assert(fibonacci(20) == 6765 and 7 // 2 == 3 and 1 << 40 == 1099511627776 and 2^0.5 == math.sqrt(2))
local thread = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
assert(thread() + thread() + thread() == 6)
local fine, message = pcall(error, {code = 42})
assert(not fine and message.code == 42)
fine, message = pcall(string.rep, "x", 1 << 30)
assert(not fine and message:find("memory"), message)
assert(load("return 1 +")  == nil)
-- Files, in what can be written.
local name = os.tmpname()
local file = assert(io.open(name, "w"))
for i = 1, 1000 do file:write(i, "\n") end
file:close()
local sum = 0
for line in io.lines(name) do sum = sum + line end
assert(sum == 500500 and os.remove(name) and not io.open(name))
fine, message = io.open("/script.lua", "w")
assert(not fine and message:find("Read%-only"), message)
fine, message = io.popen("true")
assert(not fine, message)
assert(os.time{year = 2000, month = 1, day = 1, hour = 0} == 946684800 and os.getenv("NAME") == "value")
for i = 1, 200000 do local garbage = {i} end
collectgarbage()
assert(collectgarbage("count") < 2000)
print("the script is done")
os.exit(7)
"""


@test("lua-script", "A script from the initrd uses every library of Lua's, and its exit status is the guest's.", LUA_HOSTS)
def check_script(host, folder):
    status, output = parvus(host, app_image("lua"), ["/script.lua", "one two"],
                            ["--initrd", tar(folder, {"script.lua": SCRIPT}), "--append", "env.NAME=value"])
    assert (status, "the script is done" in output) == (7, True), f"status {status}: {output[-2000:]}"


@test("lua-console", "Lua reads the console: lines are run as they come, errors leave it running.")
def check_console():
    done = subprocess.run([PARVUS, "run", "--timeout", str(BOOT_TIMEOUT_S), app_image("lua"), "--", "-i"],
                          input='x = 6\nprint(x * 7)\nerror("no")\n= nil\nprint(x + 1)\nos.exit(5)\n',
                          capture_output=True, text=True, errors="replace")
    output = done.stdout + done.stderr
    assert done.returncode == 5 and "42" in output and ": no" in output and "7" in output, done
