"""Holds up.sh's way with Compose against a stand-in for docker, which knows the resolved services and keeps
its state in a file.

    up.py WORK RESOLVED.json
"""

import http.server
import json
import os
import pty
import shutil
import socket
import subprocess
import sys
import threading

WORK, RESOLVED = sys.argv[1], sys.argv[2]
DOCKER = r"""#!/usr/bin/env python3
import json, os, sys
words, state = sys.argv[1:], os.environ["FAKE_STATE"]
with open(state + ".calls", "a") as calls:
    print(" ".join(words), file=calls)
if words[0] == "info" or words[1] == "version":
    sys.exit(0)
words, profiles = words[1:], set()
while words[0] == "--profile":
    profiles.add(words[1])
    words = words[2:]
services = json.load(open(os.environ["FAKE_MODEL"]))["services"]
chosen = [n for n, s in services.items() if not s.get("profiles") or set(s["profiles"]) & profiles]
up = os.path.exists(state)
if words[0] == "up":
    open(state, "w").close()
elif words[0] == "config":
    print("\n".join(chosen))
elif words[0] == "logs":
    print("last words of", words[-1])
elif words[0] == "down":
    up and os.unlink(state)
elif words[:2] == ["ps", "-q"]:
    up and print("3f2a")
elif words[0] == "ps":
    name = words[-1]
    bad = os.environ.get("FAKE_BAD")
    ended = services[name]["restart"] == "no"
    print("exited||3" if name == bad else "exited||0" if ended else "running|healthy|0" if "healthcheck" in services[name] else "running||0")
"""

repository = os.path.join(WORK, "repository")
os.makedirs(os.path.join(WORK, "bin"))
os.makedirs(repository)
for name in ("up.sh", ".env.example"):
    shutil.copy(name, repository)
for name in ("scripts", "infra", "queries"):
    shutil.copytree(name, os.path.join(repository, name))
docker = os.path.join(WORK, "bin", "docker")
with open(docker, "w", encoding="utf-8") as file:
    file.write(DOCKER)
os.chmod(docker, 0o755)

state = os.path.join(WORK, "state")
environment = {**os.environ, "PATH": os.path.dirname(docker) + ":" + os.environ["PATH"], "FAKE_STATE": state, "FAKE_MODEL": RESOLVED,
               "TIDEWHEEL_WAIT": "20"}
environment.pop("ACCEPT_LIMITED_USE_LICENSE", None)
ports = {}
for line in open(".env.example", encoding="utf-8"):
    name = line.split("=")[0]
    if name.endswith("_PORT"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports[name] = free.getsockname()[1]
environment.update({name: str(port) for name, port in ports.items()})


class Fine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def serve():
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", port), Fine) for port in ports.values()]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return servers


def end(servers):
    for server in servers:
        server.shutdown()
        server.server_close()


def run(*words, **more):
    done = subprocess.run(["./up.sh", *words], cwd=repository, env={**environment, **more}, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    return done.returncode, done.stdout


def calls():
    """What docker was asked since the last look."""
    if not os.path.exists(state + ".calls"):
        return ""
    with open(state + ".calls", encoding="utf-8") as file:
        asked = file.read()
    os.unlink(state + ".calls")
    return asked


def expect(holds, *shown):
    if not holds:
        print(*shown, sep="\n")
        raise SystemExit("up.sh does not do what it should")


# A port that is taken is named with the variable that changes it.
with socket.create_server(("127.0.0.1", ports["GRAFANA_PORT"])):
    code, said = run()
    expect(code != 0 and "GRAFANA_PORT" in said and str(ports["GRAFANA_PORT"]) in said, said)
expect(" up " not in calls(), "nothing may be started before the ports are looked at")

# Started, but nobody answers at the addresses: that is a failure.
code, said = run()
expect(code != 0 and "does not answer" in said, said)
run("down")
calls()

servers = serve()
open(state, "w").close()
code, said = run()
expect(code == 0 and said.count("✓") == 8 and "✗" not in said and "Tidewheel's own" in said, said)
asked = calls()
expect("--profile licence-no up --detach --build" in asked and "traffic" not in asked, asked)
code, said = run()
expect(code == 0, "a second time", said)

code, said = run("--traffic=70.5", FAKE_BAD="akhq")
expect(code != 0 and "akhq: it ended with 3" in said and "last words of akhq" in said and "./up.sh logs akhq" in said, said)
expect("--profile licence-no --profile traffic up" in calls(), "traffic is a profile")

# Snowplow's images run only for whoever has seen the terms and said yes.
code, said = run("--snowplow")
expect(code != 0 and "Limited Use License" in said and " up " not in calls(), said)
with open(os.path.join(repository, ".env"), encoding="utf-8") as file:
    expect("ACCEPT_LIMITED_USE_LICENSE=no" in file.read(), "nothing is accepted without an answer")
main, other = pty.openpty()
asking = subprocess.Popen(["./up.sh", "--snowplow"], cwd=repository, env=environment, stdin=other, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
os.close(other)
os.write(main, b"yes\n")
said = asking.communicate(timeout=120)[0]
expect(asking.returncode == 0 and "Snowplow's own" in said, said)
asked = calls()
expect("--profile licence-yes up" in asked and "licence-no" not in asked, asked)
with open(os.path.join(repository, ".env"), encoding="utf-8") as file:
    expect("ACCEPT_LIMITED_USE_LICENSE=yes" in file.read(), "the answer is kept")

# What does not go together is refused; nothing is dropped in silence.
for words, why in [("stop", "./up.sh down"), ("up down", "one at a time"), ("--simulate --kafka", "--kafka"), ("status --redis", "--redis"),
                   ("down --traffic 5", "--traffic"), ("--simulate status", "status"), ("--clean", "down --clean"), ("--rate 5", "--simulate"),
                   ("--traffic five", "five"), ("nonsense", "--help"), ("--kafka", "--native")]:
    code, said = run(*words.split())
    expect(code != 0 and why in said and " up " not in calls(), words, said)
code, said = run(TRAFFIC_RATE="many")
expect(code != 0 and "TRAFFIC_RATE" in said, said)
code, said = run("logs", "--help")
expect(code == 0 and "--simulate" in said, said)

# Stopped, it is remembered, so that its data can be removed later.
code, said = run("down")
expect(code == 0 and "--volumes" not in calls(), said)
code, said = run("--native", STORE_PORT="3000x")
expect(code != 0 and "STORE_PORT" in said and "no port" in said, said)
code, said = run("down", "--clean")
expect(code == 0 and "down --remove-orphans --volumes" in calls(), said)
code, said = run("status")
expect(code == 0 and "nothing was started here" in said, said)
end(servers)

# Without a shop: when its time is over, nothing is left behind.
tidewheel = os.path.join(WORK, "bin", "tidewheel")
with open(tidewheel, "w", encoding="utf-8") as file:
    file.write(f"""#!/bin/sh
[ "$1" != features ] || exit 0
echo $$ >>{WORK}/pids
[ "$1" != run ] || mkdir -p .tidewheel/demo/store
exec sleep 600
""")
os.chmod(tidewheel, 0o755)
with open(os.path.join(WORK, "said"), "w+", encoding="utf-8") as file:
    done = subprocess.run(["./up.sh", "--simulate", "--seconds=1"], cwd=repository, env={**environment, "TIDEWHEEL_BINARY": tidewheel},
                          stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=60, check=False)
    file.seek(0)
    said = file.read()
with open(os.path.join(WORK, "pids"), encoding="utf-8") as file:
    left = [pid for pid in file.read().split() if os.path.exists(f"/proc/{pid}")]
for pid in left:
    os.kill(int(pid), 15)
expect(done.returncode == 0 and "stopped" in said and not left, said, left)
print("up.sh with Compose: fine")
