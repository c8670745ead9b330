"""What is promised: states, requests, jobs, errors. Pure: it reads no settings and no Redis."""
