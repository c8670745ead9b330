-- What Redis gives to functions (https://redis.io/docs/latest/develop/programmability/lua-api/).
std = "lua51"
read_globals = {"redis", "cjson", "struct"}
max_line_length = 120
