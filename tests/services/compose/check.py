"""Checks the composed demo without an engine: resolves includes and variables as Compose does, then looks
whether everything that one file says of another is so. Prints each mistake; writes the resolved model.

    check.py ROOT RESOLVED.json
"""

import itertools
import json
import os
import re
import sys

from ruamel.yaml import YAML

# Services that end by themselves, or that have nothing to ask.
NO_HEALTH = {"kafka-topics", "traffic", "snowbridge"}
# Ports that services listen on inside the network, besides those that they publish.
INSIDE = {"kafka": {9092, 9093}, "snowplow-enrich": {8000}, "redis-exporter": {9121}, "kafka-exporter": {9308}}
# Files that name neighbours.
CONFIGS = ["infra/prometheus/prometheus.yml", "infra/grafana/provisioning/datasources/prometheus.yaml",
           "infra/snowplow/collector.hocon", "infra/snowplow/enrich.hocon", "infra/snowplow/snowbridge.hcl"]

root, resolved_path = sys.argv[1], sys.argv[2]
mistakes = []
used = {}


def wrong(text):
    mistakes.append(text)


def read(path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def load(path):
    return YAML(typ="safe").load(read(path))


def environment():
    values = {}
    for line in read(".env.example").splitlines():
        if line and not line.startswith("#"):
            name, value = line.split("=", 1)
            values[name] = re.sub(r"\$\{(\w+)\}", lambda m: values[m[1]], value)
    return values


VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def interpolate(value, env, where):
    if isinstance(value, dict):
        return {key: interpolate(inner, env, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolate(inner, env, where) for inner in value]
    if not isinstance(value, str):
        return value

    def replace(match):
        name, default = match[1], match[2]
        used.setdefault(name, where)
        if name not in env:
            wrong(f"{where}: ${{{name}}} is not in .env.example")
        elif default is None:
            wrong(f"{where}: ${{{name}}} has no default for whoever has no .env")
        elif default != env[name] and name not in ("TRAFFIC_RATE",):
            wrong(f"{where}: ${{{name}}} defaults to '{default}', .env.example says '{env[name]}'")
        return env.get(name) or default or ""

    result = VARIABLE.sub(replace, value)
    if "$" in result.replace("$$", ""):
        wrong(f"{where}: a dollar that is no variable: {value}")
    return result


def resolve(env):
    top = load("docker-compose.yaml")
    model = {"name": top["name"], "services": {}, "volumes": {}}
    for path in top["include"]:
        folder = os.path.dirname(path)
        part = load(path)
        for key in set(part) - {"services", "volumes"}:
            wrong(f"{path}: unexpected {key}")
        for kind in ("services", "volumes"):
            for name, body in (part.get(kind) or {}).items():
                if name in model[kind]:
                    wrong(f"{path}: {kind} {name} is defined twice")
                model[kind][name] = interpolate(body, env, f"{path} {name}")
                if kind == "services":
                    check_paths(model[kind][name], folder, path, name, part.get("volumes") or {})
    on_disk = {f"infra/{name}/compose.yaml" for name in os.listdir(os.path.join(root, "infra"))
               if os.path.exists(os.path.join(root, "infra", name, "compose.yaml"))}
    for path in on_disk ^ set(top["include"]):
        wrong(f"docker-compose.yaml and {path}: one does not know the other")
    return model


def check_paths(service, folder, path, name, volumes):
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith("."):
            if source not in volumes:
                wrong(f"{path} {name}: volume {source} is not declared")
            continue
        if not os.path.exists(os.path.join(root, folder, source)):
            wrong(f"{path} {name}: {source} is mounted and does not exist")
    build = service.get("build")
    if build:
        context = os.path.normpath(os.path.join(root, folder, build["context"]))
        check_dockerfile(context, os.path.join(context, build.get("dockerfile", "Dockerfile")), f"{path} {name}")


def check_dockerfile(context, dockerfile, where):
    if not os.path.exists(dockerfile):
        return wrong(f"{where}: there is no {dockerfile}")
    text = re.sub(r"\\\n", " ", open(dockerfile, encoding="utf-8").read())
    last = text[text.rindex("\nFROM "):]
    for image in re.findall(r"^FROM (\S+)", text, re.M):
        if ":" not in image or image.endswith(":latest"):
            wrong(f"{dockerfile}: {image} has no version")
    for line in re.findall(r"^COPY (.*)$", text, re.M):
        if "--from=" in line:
            continue
        for source in [word for word in line.split() if not word.startswith("--")][:-1]:
            if not os.path.exists(os.path.join(context, source)):
                wrong(f"{dockerfile}: copies {source}, which does not exist")
    user = re.findall(r"^USER (\S+)", last, re.M)
    if not user or user[-1].split(":")[0] in ("0", "root"):
        wrong(f"{dockerfile}: the last stage runs as root")
    if "HEALTHCHECK" not in last:
        wrong(f"{dockerfile}: no HEALTHCHECK")


def check_services(services):
    for name, service in services.items():
        image = service.get("image", "")
        if not re.search(r":[\w.-]+$", image) or image.endswith(":latest"):
            wrong(f"{name}: the image {image} has no version")
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        if not {"cpus", "memory"} <= set(limits):
            wrong(f"{name}: no limits of processor and memory")
        if "healthcheck" not in service and name not in NO_HEALTH:
            wrong(f"{name}: no health check")
        if "restart" not in service:
            wrong(f"{name}: it does not say whether it is started again")
        for other, how in service.get("depends_on", {}).items():
            if other not in services:
                wrong(f"{name}: waits for {other}, which does not exist")
                continue
            condition = how["condition"]
            if condition == "service_healthy" and "healthcheck" not in services[other]:
                wrong(f"{name}: waits for the health of {other}, which has no check")
            if condition == "service_completed_successfully" and services[other]["restart"] != "no":
                wrong(f"{name}: waits for the end of {other}, which is started again")
            theirs, ours = set(services[other].get("profiles", [])), set(service.get("profiles", []))
            if theirs and not theirs >= (ours or {None}):
                wrong(f"{name}: waits for {other}, which runs in other profiles")
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                wrong(f"{name}: port {port} is open on all addresses")


def ports_of(service):
    return {int(port.rsplit(":", 1)[1]) for port in service.get("ports", [])}


def check_ports(services, env):
    taken = {}
    for name, service in services.items():
        for port in service.get("ports", []):
            taken.setdefault(port.split(":")[1], []).append(name)
    for port, names in taken.items():
        for a, b in itertools.combinations(names, 2):
            profiles = [set(services[n].get("profiles", [])) for n in (a, b)]
            if not all(profiles) or profiles[0] & profiles[1]:
                wrong(f"{a} and {b} both publish port {port}")
    known = {value for name, value in env.items() if name.endswith("_PORT")}
    for port in set(taken) ^ known:
        wrong(f"port {port} is published or in .env.example, not both")


def strings(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def check_references(services):
    """Each `service:port` that a service or a configuration names is a service that listens there."""
    found = 0
    texts = [(f"service {name}", text) for name, service in services.items() for text in strings({**service, "image": "", "ports": []})]
    texts += [(path, read(path)) for path in CONFIGS]
    for where, text in texts:
        # A name and a port at the end of a URL or in a list of addresses; not a path, a version or an option.
        for name, port in re.findall(r"(?:^|[\s\"'@/=,:])([a-z][a-z-]+):(\d{4,5})\b", text):
            if name in ("localhost",):
                continue
            found += 1
            if name not in services:
                wrong(f"{where}: {name}:{port} is no service")
            elif int(port) not in ports_of(services[name]) | INSIDE.get(name, set()):
                wrong(f"{where}: {name} does not listen on {port}")
    if found < 15:
        wrong(f"only {found} addresses were found: the search for them is broken")


def check_topics():
    listed = read("infra/kafka/topics.txt") + read("infra/kafka/snowplow-topics.txt")
    made = {line.split()[0] for line in listed.splitlines() if line and not line.startswith("#")}
    named = set(re.findall(r"(?:topicName\"?: |topic_name *= |name = )\"(snowplow[\w-]*)\"", "".join(read(path) for path in CONFIGS)))
    named |= set(re.findall(r"=kafka:kafka:9092/([\w-]+)$", read("infra/collector/compose.yaml"), re.M))
    named |= set(re.findall(r"'topic' = '([^']+)'", read("queries/events.sql")))
    if len(named) < 6:
        wrong(f"only {len(named)} topics were found: the search for them is broken")
    for topic in named ^ made:
        wrong(f"topic {topic} is made or used, not both")


def check_words(env):
    """Ports as up.sh and the documents name them."""
    said = {int(port) for path in ("README.md", "docs/tour.md") for port in re.findall(r"localhost:(\d+)", read(path))}
    known = {int(value) for name, value in env.items() if name.endswith("_PORT")}
    for port in said - known:
        wrong(f"README.md or docs/tour.md: localhost:{port} is no port of .env.example")
    for name in env:
        everywhere = "".join(read(path) for path in ("scripts/up/native.sh", "scripts/up/compose.sh", ".env.example"))
        # Compose itself reads this one.
        if name != "COMPOSE_PROFILES" and name not in used and not re.search(rf"\b{name}\b", everywhere.replace(f"\n{name}=", "\n")):
            wrong(f".env.example: nothing uses {name}")


env = environment()
model = resolve(env)
check_services(model["services"])
check_ports(model["services"], env)
check_references(model["services"])
check_topics()
check_words(env)
with open(resolved_path, "w", encoding="utf-8") as file:
    json.dump(model, file, indent=1)
for text in mistakes:
    print(text)
print(f"{len(model['services'])} services, {len(mistakes)} mistakes")
sys.exit(1 if mistakes else 0)
