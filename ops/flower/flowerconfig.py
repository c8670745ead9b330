"""Flower's configuration: `swapjobs flower` and docker-compose use it. Every option may be overridden by a flag.

Access: loopback needs no password; anywhere else set FLOWER_BASIC_AUTH=user:password (docker-compose insists).
"""

address = "127.0.0.1"
port = 5555
# What a person looks for: which job, how it stands, why. Arguments are empty by design: a message is only a hint.
tasks_columns = "name,uuid,state,received,started,runtime,retries,exception,result,worker"
natural_time = False
max_tasks = 20000
purge_offline_workers = 3600
inspect_timeout = 2000.0
