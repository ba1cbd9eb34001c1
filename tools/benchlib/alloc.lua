-- Allocations: trees that are built, walked and dropped, strings that are joined and taken apart, and
-- tables that grow; what comes out is checked.
local depth = tonumber(arg[1]) or 10

local function build(n)
    return n == 0 and {} or {build(n - 1), build(n - 1)}
end

local function count(tree)
    return tree[1] and 1 + count(tree[1]) + count(tree[2]) or 1
end

local long = build(depth)
for n = 4, depth, 2 do
    local times, sum = 1 << depth - n + 4, 0
    for _ = 1, times do sum = sum + count(build(n)) end
    assert(sum == times * ((1 << n + 1) - 1))
end
assert(count(long) == (1 << depth + 1) - 1)

local parts = {}
for i = 1, 20 << depth - 4 do parts[i] = ("%d:%s"):format(i, ("x"):rep(i % 61)) end
local text, nr = table.concat(parts, "\n"), 0
for line in text:gmatch("[^\n]+") do
    nr = nr + 1
    assert(#line == #tostring(nr) + 1 + nr % 61 and parts[nr] == line)
end
assert(nr == #parts)

local words = {}
for word in text:gmatch("%d+") do words[#words + 1] = word .. "." .. #words end
table.sort(words)
local seen = {}
for i, word in ipairs(words) do seen[word] = i end
for word, i in pairs(seen) do assert(words[i] == word) end
print("done: " .. nr)
