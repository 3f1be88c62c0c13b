"""Alerts and dashboard: promtool takes what they ask, each alert fires and is silent
where it should, has a section in the runbook, and what they name is there."""

import json
import re
import subprocess

import catalogues
import pytest
import yaml
from adapters import Adapter
from programs import ROOT

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus/schedrun.rules.yaml"
CASES = DEPLOY / "prometheus/schedrun.test.yaml"
RUNBOOK = (ROOT / "docs/operations.md").read_text()
DASHBOARD = json.loads((DEPLOY / "grafana/schedrun.json").read_text())
ALERTS = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
SELECTOR = re.compile(r"\b(schedrun_\w+|process_\w+)(?:\{([^}]*)\})?")
# Labels that the scrape brings, and what Grafana puts in for its variables.
SCRAPED = {"job", "instance"}
VARIABLES = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*", "$stage": ".*"}


def targets():
    """What the dashboard asks: panel, target, expression with the variables filled in."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"]
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            yield panel, target, text


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_rules_and_configuration():
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    promtool("check", "config", DEPLOY / "prometheus/prometheus.yaml")


def test_each_alert_fires_and_is_silent():
    promtool("test", "rules", CASES)
    tests = yaml.safe_load(CASES.read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test.get("alert_rule_test", [])
             if case.get("exp_alerts")}
    silent = {case["alertname"] for test in tests for case in test.get("alert_rule_test", [])
              if not case.get("exp_alerts")}
    assert fired == silent == {alert["alert"] for alert in ALERTS}


def test_each_alert_has_its_section():
    sections = set(re.findall(r"^### (Schedrun\w+)$", RUNBOOK, re.M))
    assert sections == {alert["alert"] for alert in ALERTS}
    for alert in ALERTS:
        notes = alert["annotations"]
        assert notes["runbook_url"] == f"docs/operations.md#{alert['alert'].lower()}"
        assert notes["summary"] and notes["description"].endswith(".")
        assert alert["labels"]["severity"] in ("warning", "critical")
        section = RUNBOOK.partition(f"### {alert['alert']}\n")[2].partition("\n### ")[0]
        for part in ("**Means.**", "**Look.**", "**Mend.**"):
            assert part in section, f"{alert['alert']} lacks {part}"


def test_promtool_takes_what_the_dashboard_asks(tmp_path):
    rules = [{"record": f"panel:{panel['id']}:{target['refId'].lower()}", "expr": text}
             for panel, target, text in targets()]
    path = tmp_path / "dashboard.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)
    assert len(rules) > 40
    assert not [text for _, _, text in targets() if "$" in text]


def test_the_dashboard_is_whole():
    """Every panel asks the source that is chosen, and none lies on another."""
    taken, ids = set(), set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}
        assert panel["id"] not in ids and not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        ids.add(panel["id"])
        taken |= cells
    for panel, target, _ in targets():
        assert panel["datasource"]["uid"] == target["datasource"]["uid"] == "${datasource}"
    names = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert names == ["datasource", "job", "instance", "stage"]


@pytest.fixture
def scraped(system):
    """name -> the labels of its series, of a worker, an adapter and a builder that have worked."""
    system.init()
    system.apply(catalogues.outcomes())
    worker = system.worker()
    adapter = Adapter(system)
    builder = system.builder("/bin/true")
    schedule = catalogues.schedule_rid("stale")
    assert "result" in adapter.run(schedule, Prefer="wait=30").json()
    found = {}
    for text in (daemon.wait_ready().admin("/metrics")[1] for daemon in (worker, adapter.daemon, builder)):
        for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.M):
            found.setdefault(name, []).append(dict(re.findall(r'(\w+)="([^"]*)"', labels)))
    return found


def is_met(matchers, labels):
    for name, sign, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', matchers or ""):
        if name in SCRAPED:
            continue
        met = re.fullmatch(value if sign == "=~" else re.escape(value), labels.get(name, ""))
        if bool(met) == (sign == "!="):
            return False
    return True


def test_what_is_asked_is_there(scraped):
    """Each selector has a series; each label that is summed by or shown is a metric's."""
    labels = {label for series in scraped.values() for one in series for label in one} | SCRAPED
    texts = [alert["expr"] for alert in ALERTS] + [text for _, _, text in targets()]
    for text in texts:
        for name, matchers in SELECTOR.findall(text):
            assert any(is_met(matchers, one) for one in scraped.get(name, [])), \
                f"no series is {name}{{{matchers}}}, which is asked in: {text}"
        for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", text):
            assert set(names.split(", ")) <= labels, text
    for panel, target, _ in targets():
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert shown <= labels, panel["title"]
    for alert in ALERTS:
        shown = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
        assert shown <= labels, alert["alert"]
