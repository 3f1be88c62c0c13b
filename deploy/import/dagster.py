#!/usr/bin/env python3
"""A catalogue of a Dagster code location's assets, for `schedrun apply`:

    dagster.py -m shop.definitions | schedrun apply -

By the Python that has Dagster and the code.  Each set of assets that is
materialized together becomes a job spec, whose logic is the assets' code
versions, or else a digest of their function's source; assets that come from
elsewhere become datasets alone.  Each asset job becomes a schedule of what it
selects, due as Dagster's schedule of it says; each group becomes one that also
builds what that is made of, and one builds all.
docs/recipes.md has what runs the jobs.
"""

import argparse
import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import sys

sys.path[0] = os.getcwd()  # not this file's folder, where it hides Dagster itself
import dagster  # noqa: E402

NOBODY = "00000000-0000-4000-8000-000000000000"


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def load(arguments):
    """The one Definitions object of the module or the file."""
    if arguments.module:
        module = importlib.import_module(arguments.module)
    else:
        spec = importlib.util.spec_from_file_location("definitions", arguments.file)
        module = importlib.util.module_from_spec(spec)
        sys.modules["definitions"] = module
        spec.loader.exec_module(module)
    found = [value for value in vars(module).values() if isinstance(value, dagster.Definitions)]
    if len(found) != 1:
        sys.exit(f"dagster.py: {arguments.module or arguments.file} has {len(found)} Definitions objects, not one")
    return found[0]


def dataset(key):
    return "ri.foundry.main.dataset.dagster." + ".".join(key.path)


def logic(graph, keys):
    """What changes when the code does."""
    said = []
    for key in sorted(keys):
        node = graph.get(key)
        if node.code_version is not None:
            said.append(f"{key.to_user_string()} {node.code_version}")
        elif isinstance(node.assets_def.node_def, dagster.OpDefinition):
            function = node.assets_def.op.compute_fn
            said.append(inspect.getsource(getattr(function, "decorated_fn", function)))
        else:
            said.append(" ".join(sorted(node.name for node in node.assets_def.node_def.nodes)))
    return digest("\n".join(said))


def schedule(arguments, name, title, keys, kind="upstream", due=None):
    rid = f"ri.scheduler.main.schedule.dagster-{arguments.name}-{name}"
    version = {"scheduleRid": rid, "createdBy": arguments.owner,
               "scopeMode": {"type": "project", "projectRids": [folder(arguments)]},
               "action": {"branchName": arguments.branch,
                          "target": {"type": kind, "targetRids": sorted(map(dataset, keys))}}}
    if due is not None:
        version["trigger"] = {"type": "time", "cronExpression": due.cron_schedule,
                              "timeZone": due.execution_timezone or "UTC"}
    version["rid"] = (f"ri.scheduler.main.schedule-version.dagster-{arguments.name}-{name}-"
                      + digest(json.dumps(version, sort_keys=True))[:16])
    return {"rid": rid, "displayName": title, "versions": [version]}


def folder(arguments):
    return f"ri.compass.main.folder.dagster-{arguments.name}"


def schedules(arguments, definitions, graph):
    made = graph.materializable_asset_keys
    due = {one.job_name: one for one in definitions.schedules or [] if isinstance(one.cron_schedule, str)}
    yield schedule(arguments, "all", f"All of {arguments.name}", made)
    groups = {graph.get(key).group_name for key in made}
    for group in sorted(groups):
        yield schedule(arguments, f"group-{group}", f"Group {group}",
                       [key for key in made if graph.get(key).group_name == group])
    for job in definitions.resolve_all_job_defs():
        keys = job.asset_layer.executable_asset_keys & made if job.asset_layer else set()
        if keys and not job.name.startswith("__"):
            yield schedule(arguments, f"job-{job.name}", f"Job {job.name}", keys, "manual", due.get(job.name))


def catalogue(arguments):
    definitions = load(arguments)
    graph = definitions.resolve_asset_graph()
    made = graph.materializable_asset_keys
    sets = {frozenset(graph.get(key).execution_set_asset_keys) for key in made}
    specs = [{"rid": "ri.foundry.main.jobspec." + dataset(min(keys)).partition("dataset.")[2],
              "branch": arguments.branch, "outputs": sorted(map(dataset, keys)),
              "inputs": sorted({dataset(parent) for key in keys for parent in graph.get(key).parent_keys - keys}),
              "logic": logic(graph, keys)} for keys in sets]
    return {
        "projects": {folder(arguments): {}},
        "datasets": {dataset(key): {"project": folder(arguments),
                                    **({} if key in made else {"branches": {arguments.branch: {}}})}
                     for key in sorted(graph.get_all_asset_keys())},
        "jobSpecs": sorted(specs, key=lambda spec: spec["rid"]),
        "schedules": list(schedules(arguments, definitions, graph)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-m", "--module", help="the module that has the Definitions")
    source.add_argument("-f", "--file", help="the file that has them")
    parser.add_argument("--name", default="main", help="of the code location, in the RIDs")
    parser.add_argument("--branch", default="master", help="the branch that is built")
    parser.add_argument("--owner", default=NOBODY, help="the UUID of who owns the schedules")
    print(json.dumps(catalogue(parser.parse_args()), indent=1))


if __name__ == "__main__":
    main()
