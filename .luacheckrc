-- The dialect of Redis Functions: Lua 5.1 with Redis' own globals, and what swapjobs/store/library.py
-- defines: a `require`, and `find_offered`.
std = "lua51"
read_globals = { "redis", "cjson", "cmsgpack", "struct", "bit", "find_offered" }
max_line_length = 120
