-- The dialect of Redis Functions: Lua 5.1 with Redis' own globals and a `require` that swapjobs/store/library.py defines.
std = "lua51"
read_globals = { "redis", "cjson", "cmsgpack", "struct", "bit" }
max_line_length = 120
