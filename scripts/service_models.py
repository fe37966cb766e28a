#!/usr/bin/env python3
"""Writes the AWS service models that the gateway serves from.

Run with a Python that has botocore installed:

    python3 scripts/service_models.py

Each file of crates/gateway/models holds the metadata of one service, its operations and the
shapes they reach, as botocore publishes them, without the documentation. One operation or shape
stands on one line and in the order of its name, so that a new botocore shows as a readable diff.
palisade.json in the same folder is ours and is not touched.

Where AWS answers more than its model says, OVERLAYS adds it; the file's source then says so.
"""

import json
import pathlib

import botocore
import botocore.session

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "crates" / "gateway" / "models"

IAM_OPERATIONS = """
    CreateUser GetUser ListUsers UpdateUser DeleteUser TagUser UntagUser ListUserTags
    CreateAccessKey ListAccessKeys UpdateAccessKey DeleteAccessKey GetAccessKeyLastUsed
    PutUserPolicy GetUserPolicy ListUserPolicies DeleteUserPolicy
    CreateRole GetRole ListRoles UpdateRole DeleteRole UpdateAssumeRolePolicy
    TagRole UntagRole ListRoleTags
    PutRolePolicy GetRolePolicy ListRolePolicies DeleteRolePolicy
""".split()

# Service -> the operations to keep; None keeps all.
SERVICES = {"iot": None, "iot-data": None, "sts": None, "iam": IAM_OPERATIONS}

# (service, operation) -> what the operation has beside, or instead of, what botocore says.
OVERLAYS = {
    # Contract core [EP-40]: AWS answers Publish with {"message":"OK","traceId":"..."}, on which
    # devices that speak HTTPS without an SDK rely. botocore's model gives it no output, so SDKs
    # ignore the body. SendDirectMessage, which is modelled, answers the same two members.
    ("iot-data", "Publish"): {"output": {"shape": "SendDirectMessageResponse"}},
}

METADATA = ("apiVersion", "protocol", "serviceFullName", "serviceId", "signingName",
            "endpointPrefix", "xmlNamespace")
# What the gateway has no use for: text for people, and hints for client generators.
DROPPED = {"documentation", "deprecatedMessage", "deprecatedSince", "box", "idempotent", "auth",
           "idempotencyToken", "synthetic", "wrapper"}


def stripped(node):
    """`node` without the dropped keys. Member names are data and are never dropped."""
    if isinstance(node, list):
        return [stripped(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, value in node.items():
        if key == "members":
            kept[key] = {name: stripped(member) for name, member in value.items()}
        elif key not in DROPPED:
            kept[key] = stripped(value)
    return kept


def references(node):
    """Every shape name that `node` mentions."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "shape" and isinstance(value, str):
                yield value
            else:
                yield from references(value)


def reachable(operations, shapes):
    """The names of all shapes that the operations reach."""
    found, waiting = set(), list(references(operations))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(references(shapes[name]))
    return found


def lines(entries):
    """One entry per line, by name."""
    return ",\n".join(
        f"{json.dumps(name)}:{json.dumps(entries[name], separators=(',', ':'))}"
        for name in sorted(entries)
    )


def written(service, kept):
    """The text of one model file."""
    loader = botocore.session.get_session().get_component("data_loader")
    model = loader.load_service_model(service, "service-2")
    names = kept if kept is not None else list(model["operations"])
    overlays = {name: OVERLAYS[service, name] for name in names if (service, name) in OVERLAYS}
    operations = {
        name: stripped(model["operations"][name]) | overlays.get(name, {}) for name in names
    }
    source = f"botocore {botocore.__version__}, Apache-2.0"
    if overlays:
        source += f", changed here: {', '.join(sorted(overlays))}"
    shapes = {name: stripped(shape) for name, shape in model["shapes"].items()}
    shapes = {name: shapes[name] for name in reachable(operations, shapes)}
    metadata = {key: model["metadata"][key] for key in METADATA if key in model["metadata"]}
    return (
        "{\n"
        f'"source":{json.dumps(source)},\n'
        f'"metadata":{json.dumps(metadata, separators=(",", ":"))},\n'
        f'"operations":{{\n{lines(operations)}\n}},\n'
        f'"shapes":{{\n{lines(shapes)}\n}}\n'
        "}\n"
    )


def main():
    """Writes every model."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for service, kept in SERVICES.items():
        (FOLDER / f"{service}.json").write_text(written(service, kept), encoding="utf-8")


if __name__ == "__main__":
    main()
