# A catalogue of a dbt project, for `schedrun apply`:
#
#   dbt parse && jq -f dbt.jq target/manifest.json | schedrun apply -
#
# Models, seeds and snapshots become datasets with a job spec each, whose logic
# changes with the code; sources become datasets that come from outside;
# exposures and tags become schedules, and one builds all.  Names are functions
# of dbt's unique ids, so the same command loads what has changed.  Arguments,
# before the file:
#
#   --arg branch NAME     the branch that is built, master unless given
#   --arg owner UUID      who owns the schedules
#   --argjson cron '{"daily": "0 6 * * *"}'   when schedules of tags and
#                         exposures run by themselves; --arg zone NAME where
#
# docs/recipes.md has what runs the jobs.

def named($name; $default): $ARGS.named[$name] // $default;
def branch: named("branch"; "master");
def locator: gsub("[^A-Za-z0-9._-]"; "-");
def dataset: "ri.foundry.main.dataset.\(locator)";

# 42 bits of a text: enough to see that it has changed.
def digits: [recurse(if . >= 16 then . / 16 | floor else empty end) % 16
  | "0123456789abcdef"[.:. + 1]] | reverse | join("");
def sorted: walk(if type == "object" then to_entries | sort_by(.key) | from_entries else . end);
def hash: reduce (sorted | tojson | explode[]) as $c (7; (. * 131 + $c) % 4398046511104) | digits;

. as $manifest
| (.metadata.project_name | locator) as $project
| "ri.compass.main.folder.dbt-\($project)" as $folder
| .nodes as $nodes
| .macros as $macros

# What dbt makes a relation of; an ephemeral model is a part of who reads it.
| def is_inlined: .resource_type == "model" and .config.materialized == "ephemeral";
  def is_built: (.resource_type | IN("model", "seed", "snapshot")) and (is_inlined | not);
  def read_by($id):
    ($nodes[$id].depends_on.nodes // [])[]
    | if $nodes[.] // {} | is_inlined then ., read_by(.) else . end;
  def is_data: $manifest.sources[.] != null or ($nodes[.] // {} | is_built);
  def inputs($id): [read_by($id) | select(is_data)] | unique;
  def inlined($id): [read_by($id) | select($nodes[.] // {} | is_inlined)] | unique;

# Everything of the project's own that a model's SQL is made of.
  def is_own: $macros[.] != null and ($macros[.].package_name | IN("dbt", "dbt_\($manifest.metadata.adapter_type)") | not);
  def macros_of($ids):
    ($ids - [$ids[] | select(is_own | not)] | unique) as $now
    | ([$now[], ($now[] | $macros[.].depends_on.macros[]? | select(is_own))] | unique) as $more
    | if $more == $now then $now else macros_of($more) end;
  def made_of($id):
    [$id, inlined($id)[]] as $ids
    | {config: [$ids[] | $nodes[.].config | del(.tags, .group, .enabled, .docs)],
       relation: $nodes[$id].relation_name,
       code: [inlined($id)[] | $nodes[.].checksum.checksum],
       macros: [macros_of([$ids[] | $nodes[.].depends_on.macros[]?])[] | $macros[.].macro_sql]};
  def logic($id): "\($nodes[$id].checksum.checksum[:64])-\(made_of($id) | hash)";

  def schedule($name; $title; $trigger; $targets):
    "ri.scheduler.main.schedule.dbt-\($project)-\($name | locator)" as $rid
    | {scheduleRid: $rid, createdBy: named("owner"; "00000000-0000-4000-8000-000000000000"),
       scopeMode: {type: "project", projectRids: [$folder]},
       action: {branchName: branch, target: {type: "upstream", targetRids: ($targets | map(dataset) | unique)}}}
    | if $trigger then .trigger = $trigger else . end
    | {rid: $rid, displayName: $title[:255],
       versions: [{rid: "ri.scheduler.main.schedule-version.dbt-\($project)-\($name | locator)-\(hash)"} + .]};
  def due($name): $ARGS.named.cron[$name]?
    | if . then {type: "time", cronExpression: ., timeZone: named("zone"; "UTC")} else null end;

  [$nodes[] | select(is_built)] as $built
| {
    projects: {($folder): {}},
    datasets: ([($built[], $manifest.sources[])
        | {(.unique_id | dataset): ({project: $folder}
            + if .resource_type == "source" then {branches: {(branch): {}}} else {} end)}] | add // {}),
    jobSpecs: [$built[] | .unique_id
        | {rid: "ri.foundry.main.jobspec.\(locator)", branch: branch, outputs: [dataset],
           inputs: (inputs(.) | map(dataset)), logic: logic(.)}],
    schedules: ([
        ($built | select(length > 0)
          | schedule("all"; "All of \($project)"; due("all"); map(.unique_id))),
        ([$built[] | .unique_id as $id | .tags[]? | {tag: ., $id}] | group_by(.tag)[]
          | schedule("tag-\(.[0].tag)"; "Tagged \(.[0].tag)"; due(.[0].tag); map(.id))),
        ($manifest.exposures[]? | .name as $name | .label as $title
          | [.depends_on.nodes[] | select($nodes[.] // {} | is_built)] | unique
          | select(length > 0)
          | schedule("exposure-\($name)"; $title // $name; due($name); .))
      ])
  }
