// What promtool says of the rules of the component monitoring: when each alert fires, and when it does not.
// Needs the program promtool, and no cluster.
import { afterAll, describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { parse, stringify } from "yaml"

const directory = mkdtempSync(join(tmpdir(), "rules-"))
afterAll(() => rmSync(directory, { recursive: true }))

const rules = "kustomize/components/monitoring/rules.yaml"

interface Rule {
  readonly alert: string
  readonly labels: object
  readonly annotations: object
}
const ruleOf = (alertname: string): Rule => {
  const groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Rule> }> = parse(readFileSync(rules, "utf8")).groups
  return groups.flatMap(({ rules }) => rules).find(({ alert }) => alert === alertname)!
}

/** Returns the namespaces for which the alert fires at a time, in the words of promtool. */
const look = (alertname: string, eval_time: string, ...namespaces: ReadonlyArray<string>) => {
  const { annotations, labels } = ruleOf(alertname)
  return {
    eval_time,
    alertname,
    exp_alerts: namespaces.map((namespace) => ({ exp_labels: { ...labels, namespace }, exp_annotations: annotations }))
  }
}

/** Returns the one namespace for which the alert fires at a time, with the summary that it has then. */
const lookAndRead = (alertname: string, eval_time: string, namespace: string, summary: string) => {
  const { annotations, labels } = ruleOf(alertname)
  return {
    eval_time,
    alertname,
    exp_alerts: [{ exp_labels: { ...labels, namespace }, exp_annotations: { ...annotations, summary } }]
  }
}

const file = join(directory, "alerts.yaml")
const said = (args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync("promtool", args, { encoding: "utf8" })
  return { status, text: stdout + stderr }
}
const promtool = (...tests: ReadonlyArray<object>) => {
  writeFileSync(file, stringify({ rule_files: [resolve(rules)], evaluation_interval: "1m", tests }))
  return said(["test", "rules", file])
}
const obeyed = { status: 0, text: expect.stringContaining("SUCCESS") }

describe("promtool", () => {
  it("takes the rules of the component monitoring, and finds nothing to say of them", () => {
    expect(said(["check", "rules", "--lint=all", "--lint-fatal", rules])).toMatchObject(obeyed)
  })

  it("sees by them that one of two installations has no controller: none that leads, and none that is there", () => {
    const alert = "AgentJobNoController"
    const gone = {
      interval: "1m",
      input_series: [
        { series: `agent_job_leader{namespace="here",pod="one"}`, values: "1x1800" },
        { series: `agent_job_leader{namespace="gone",pod="one"}`, values: "1x30 stale" }
      ],
      alert_rule_test: [look(alert, "25m"), look(alert, "45m", "gone"), look(alert, "20h", "gone"), look(alert, "26h")]
    }
    const idle = {
      interval: "1m",
      input_series: [
        { series: `agent_job_leader{namespace="here",pod="one"}`, values: "1x1800" },
        { series: `agent_job_leader{namespace="idle",pod="before"}`, values: "1x30 stale" },
        { series: `agent_job_leader{namespace="idle",pod="after"}`, values: "_x30 0x1770" } // it waits for a lead that it never gets
      ],
      alert_rule_test: [look(alert, "25m"), look(alert, "45m", "idle"), look(alert, "30h", "idle")]
    }
    expect(promtool(gone, idle)).toMatchObject(obeyed)
  })

  it("sees by them that nothing of agent-job is there at all, unless it is a server alone, whose controllers others look after", () => {
    const { annotations, labels } = ruleOf("AgentJobNoController")
    const nothing = {
      alertname: "AgentJobNoController",
      eval_time: "6m",
      exp_alerts: [{ exp_labels: labels, exp_annotations: annotations }]
    }
    const of = (series: string) => [{ series: `${series}{namespace="here",pod="one"}`, values: "1x60" }]
    expect(promtool(
      { interval: "1m", input_series: of("up"), alert_rule_test: [nothing] },
      { interval: "1m", input_series: of("agent_job_server_agents"), alert_rule_test: [look("AgentJobNoController", "6m")] }
    )).toMatchObject(obeyed)
  })

  it("sees by them that two lead, unless each does so in a cluster of its own", () => {
    const alert = "AgentJobTwoLeaders"
    const leaders = (one: string, other: string) =>
      [one, other].map((labels) => ({ series: `agent_job_leader{${labels}}`, values: "1x10" }))
    const inOne = {
      interval: "1m",
      input_series: leaders(`namespace="here",pod="one"`, `namespace="here",pod="two"`),
      alert_rule_test: [look(alert, "10m", "here")]
    }
    const inTwo = {
      interval: "1m",
      input_series: leaders(`cluster="a",namespace="here",pod="one"`, `cluster="b",namespace="here",pod="one"`),
      alert_rule_test: [look(alert, "10m")]
    }
    expect(promtool(inOne, inTwo)).toMatchObject(obeyed)
  })

  it("sees by them that a server is gone, but for a day only, as after its removal, and never where none has been", () => {
    const alert = "AgentJobNoServer"
    expect(promtool({
      interval: "1m",
      input_series: [
        { series: `agent_job_server_agents{namespace="here",pod="one"}`, values: "1x1800" },
        { series: `agent_job_server_agents{namespace="gone",pod="one"}`, values: "1x30 stale" },
        { series: `agent_job_leader{namespace="none",pod="one"}`, values: "1x1800" }
      ],
      alert_rule_test: [look(alert, "25m"), look(alert, "45m", "gone"), look(alert, "20h", "gone"), look(alert, "26h")]
    })).toMatchObject(obeyed)
  })

  it("sees by them that runs wait while nobody takes any, of each server by itself, whichever cluster is drained", () => {
    const alert = "AgentJobNobodyTakesWork"
    const of = (namespace: string, unasked: string) => [
      { series: `agent_job_server_stages_unasked{namespace="${namespace}",pod="server"}`, values: unasked },
      { series: `agent_job_server_runs{namespace="${namespace}",pod="server",status="pending"}`, values: "3x60" },
      { series: `agent_job_draining{namespace="${namespace}",pod="one"}`, values: "1x60" }
    ]
    expect(promtool({
      interval: "1m",
      input_series: [...of("taken", "0x60"), ...of("waits", "0x20 1x40"), ...of("moment", "0x20 1x3 0x40")],
      alert_rule_test: [look(alert, "20m"), look(alert, "25m"), look(alert, "30m", "waits"), look(alert, "60m", "waits")]
    })).toMatchObject(obeyed)
  })

  it("sees by them that runs have waited for long for a pool of which none is at work", () => {
    const alert = "AgentJobRunsWait"
    const of = (namespace: string, values: string) => ({
      series: `agent_job_server_idle_pool_seconds{namespace="${namespace}",pod="server"}`,
      values
    })
    expect(promtool({
      interval: "1m",
      input_series: [of("none", "0x60"), of("brief", "0+60x10 0x50"), of("long", "0+60x30 0x30")],
      alert_rule_test: [look(alert, "14m"), look(alert, "15m", "long"), look(alert, "30m", "long"), look(alert, "31m")]
    })).toMatchObject(obeyed)
  })

  it("sees by them that no controller is heard of what it has taken", () => {
    const of = (namespace: string, values: string) => ({
      series: `agent_job_server_stages{namespace="${namespace}",pod="server",progress="silent"}`,
      values
    })
    expect(promtool({
      interval: "1m",
      input_series: [of("heard", "0x60"), of("upgraded", "0x20 1x5 0x35"), of("gone", "0x20 1x40")],
      alert_rule_test: [look("AgentJobStagesSilent", "20m"), look("AgentJobStagesSilent", "32m", "gone")]
    })).toMatchObject(obeyed)
  })

  it("sees by them that work waits for hours for a cluster that is drained, and not that a drained one has none", () => {
    const alert = "AgentJobDrainForgotten"
    const of = (namespace: string, values: string) => [
      { series: `agent_job_server_stages_drained{namespace="${namespace}",pod="server"}`, values },
      { series: `agent_job_draining{namespace="${namespace}",pod="one"}`, values: "1x480" }
    ]
    expect(promtool({
      interval: "1m",
      input_series: [
        ...of("none", "0x480"),
        ...of("maintained", "5x120 0x360"),
        ...of("forgotten", "1x480"),
        ...of("both", "1x480"),
        ...["alone", "both"].map((namespace) => ({
          series: `agent_job_tasks_held_back{namespace="${namespace}",pod="one",reason="Draining"}`,
          values: "2x480"
        }))
      ],
      alert_rule_test: [
        look(alert, "2h"),
        look(alert, "4h", "alone", "both", "forgotten"),
        look(alert, "8h", "alone", "both", "forgotten"),
        look("AgentJobIsolationUnproven", "8h")
      ]
    })).toMatchObject(obeyed)
  })

  it("sees by them that tasks wait for a proof of isolation", () => {
    const alert = "AgentJobIsolationUnproven"
    const of = (namespace: string, values: string) => ({
      series: `agent_job_tasks_held_back{namespace="${namespace}",pod="one",reason="IsolationUnproven"}`,
      values
    })
    expect(promtool({
      interval: "1m",
      input_series: [of("proven", "0x60"), of("installed", "1x10 0x50"), of("forgotten", "3x60")],
      alert_rule_test: [look(alert, "14m"), look(alert, "16m", "forgotten"), look("AgentJobDrainForgotten", "1h")]
    })).toMatchObject(obeyed)
  })

  it("sees by them that states are in doubt, of a server and of tasks without a pool, and that the disk of the server fills up", () => {
    const of = (metric: string, namespace: string, values: string) => ({
      series: `agent_job_server_${metric}{namespace="${namespace}",pod="server"}`,
      values
    })
    expect(promtool({
      interval: "1m",
      input_series: [
        of("states_in_doubt", "none", "0x60"),
        of("states_in_doubt", "settled", "1x10 0x50"),
        of("states_in_doubt", "doubt", "2x60"),
        { series: `agent_job_tasks_in_doubt{namespace="doubt",pod="one"}`, values: "1x60" },
        { series: `agent_job_tasks_in_doubt{namespace="doubt",pod="two"}`, values: "0x60" }, // it does not lead
        of("disk_free_bytes", "roomy", "300000000x60"),
        of("disk_free_bytes", "full", "300000000x20 200000000x40"),
        of("takes_files", "full", "1x60"),
        of("disk_free_bytes", "quota", "300000000x60"),
        of("takes_files", "quota", "1x40 0x20"),
        of("disk_free_bytes", "crowded", "300000000x60"),
        of("disk_free_files", "crowded", "2000x40 1999x20")
      ],
      alert_rule_test: [
        look("AgentJobStateInDoubt", "14m"),
        lookAndRead("AgentJobStateInDoubt", "20m", "doubt", "States are in doubt, and their workspaces wait for a person: 3."),
        look("AgentJobDiskFillsUp", "24m"),
        look("AgentJobDiskFillsUp", "30m", "full"),
        look("AgentJobDiskFillsUp", "44m", "full"),
        look("AgentJobDiskFillsUp", "50m", "crowded", "full", "quota")
      ]
    })).toMatchObject(obeyed)
  })

  it("sees by them that the server's certificate ends within a week, unless a longer part of its life is left than a renewal leaves", () => {
    const of = (end: string, namespace: string, value: number) => ({
      series: `agent_job_server_certificate_${end}_timestamp_seconds{namespace="${namespace}",pod="server"}`,
      values: `${value}x2000`
    })
    const day = 86_400
    const alert = "AgentJobCertificateEnds"
    expect(promtool({
      interval: "1m",
      input_series: [
        of("not_before", "year", -360 * day),
        of("not_after", "year", 8 * day),
        of("not_before", "day", 0),
        of("not_after", "day", day)
      ],
      alert_rule_test: [look(alert, "19h"), look(alert, "20h", "day"), look(alert, "23h", "day"), look(alert, "25h", "day", "year")]
    })).toMatchObject(obeyed)
  })

  it("sees by them that the values cannot be used, and that the controller is behind", () => {
    const of = (metric: string, namespace: string, values: string) => ({
      series: `agent_job_${metric}{namespace="${namespace}",pod="one"}`,
      values
    })
    expect(promtool({
      interval: "1m",
      input_series: [
        of("config_valid", "right", "1x60"),
        of("config_valid", "corrected", "1x10 0x3 1x47"),
        of("config_valid", "wrong", "1x10 0x50"),
        of("queue_depth", "quick", "0x60"),
        of("queue_depth", "burst", "5000x5 0x55"),
        of("queue_depth", "behind", "0x10 300x50")
      ],
      alert_rule_test: [
        look("AgentJobValuesInvalid", "15m"),
        look("AgentJobValuesInvalid", "20m", "wrong"),
        look("AgentJobQueueGrows", "20m"),
        lookAndRead("AgentJobQueueGrows", "30m", "behind", "The controller of agent-job is behind with 300 tasks.")
      ]
    })).toMatchObject(obeyed)
  })

  it("sees by them that passes fail steadily, be it of one task alone, and not that the API server was away for a while", () => {
    const alert = "AgentJobPassesFail"
    const of = (namespace: string, values: string, pod = "one") => ({
      series: `agent_job_reconcile_failed_total{namespace="${namespace}",pod="${pod}"}`,
      values
    })
    const nowAndThen = Array.from({ length: 15 }, (_, times) => `${times}x3`).join(" ")
    expect(promtool({
      interval: "1m",
      input_series: [
        of("well", "0x60"),
        of("away", "0x10 100+100x8 900x40"),
        of("rarely", nowAndThen),
        of("long-ago", "100000x60"),
        of("stuck", "_x10 1+1x49"), // at most once a minute
        of("restarted", "_x10 1+1x15 stale"),
        of("restarted", "_x27 1+1x32", "two")
      ],
      alert_rule_test: [look(alert, "26m"), look(alert, "30m", "restarted", "stuck"), look(alert, "60m", "restarted", "stuck")]
    })).toMatchObject(obeyed)
  })

  it("sees by them that a pool gives no answer to the leader, whatever a former leader last heard, also one that leads again", () => {
    const alert = "AgentJobPoolSilent"
    const metric = "agent_job_pool_answered_timestamp_seconds"
    const replicas = {
      interval: "1m",
      input_series: [
        { series: `${metric}{namespace="here",instance="former"}`, values: "0x60" },
        { series: `agent_job_leader{namespace="here",instance="former"}`, values: "0x60" },
        { series: `${metric}{namespace="here",instance="leader"}`, values: "0+60x60" },
        { series: `agent_job_leader{namespace="here",instance="leader"}`, values: "1x60" },
        { series: `${metric}{namespace="silent",instance="leader"}`, values: "0+60x20 1200x40" },
        { series: `agent_job_leader{namespace="silent",instance="leader"}`, values: "1x60" }
      ],
      alert_rule_test: [look(alert, "26m"), look(alert, "27m", "silent"), look(alert, "60m", "silent")]
    }
    const newLead = (first: string) => ({
      interval: "1m",
      input_series: [
        { series: `${metric}{namespace="here",instance="former"}`, values: "0x31 1920+60x30" },
        { series: `agent_job_leader{namespace="here",instance="former"}`, values: `0x30 ${first} 1x30` },
        { series: `${metric}{namespace="here",instance="leader"}`, values: "0+60x30 stale" },
        { series: `agent_job_leader{namespace="here",instance="leader"}`, values: "1x30 stale" }
      ],
      alert_rule_test: ["30m", "31m", "32m", "33m", "60m"].map((at) => look(alert, at))
    })
    expect(promtool(replicas, newLead("0"), newLead("1"))).toMatchObject(obeyed)
  })

  it("sees by them that a watch is dead, though those of other kinds and of other replicas are not", () => {
    const { annotations, labels } = ruleOf("AgentJobWatchSilent")
    const metric = "agent_job_watch_heard_timestamp_seconds"
    const exp_annotations = { ...annotations, summary: "A controller of agent-job has heard nothing of pods for eleven minutes." }
    expect(promtool({
      interval: "1m",
      input_series: [
        { series: `${metric}{namespace="here",pod="one",kind="pods"}`, values: "0+60x5 300x60" },
        { series: `${metric}{namespace="here",pod="one",kind="jobs"}`, values: "0+60x60" },
        { series: `${metric}{namespace="here",pod="two",kind="pods"}`, values: "0+60x60" }
      ],
      alert_rule_test: [
        look("AgentJobWatchSilent", "15m"),
        {
          eval_time: "17m",
          alertname: "AgentJobWatchSilent",
          exp_alerts: [{ exp_labels: { ...labels, namespace: "here", kind: "pods" }, exp_annotations }]
        }
      ]
    })).toMatchObject(obeyed)
  })

  const ended = "agent_job_task_ended_timestamp_seconds"
  const lost = "claimed, and the worker is over without a result"

  it.each([
    { alert: "AgentJobStageLost", labels: `situation="${lost}",stage="apply",ends="Failed"` },
    { alert: "AgentJobStageLost", labels: `situation="${lost}",stage="destroy",ends="Failed"` },
    { alert: "AgentJobPlanLost", labels: `situation="${lost}",stage="plan",ends="Failed"` },
    { alert: "AgentJobTasksDoNotStart", labels: `situation="its Pod cannot start, ever",stage="apply",ends="Failed"` }
  ])(
    "sees by them each end once, whatever Prometheus missed, and whatever it has just begun to look at: $alert, $labels",
    ({ alert, labels }) => {
      const of = (namespace: string, values: string) => ({ series: `${ended}{namespace="${namespace}",pod="one",${labels}}`, values })
      const others = ["AgentJobStageLost", "AgentJobPlanLost", "AgentJobTasksDoNotStart"].filter((_) => _ !== alert)
      expect(promtool({
        interval: "1m",
        input_series: [
          of("missed", "-86400x30 stale -86400x60"), // ended a day ago
          of("begun", "_x30 -86400x60"),
          of("again", "-86400x30 1800x60"), // the same labels, whether a restart was between or not
          of("first", "_x31 1800x60"),
          of("restarted", "_x31 1800x2 stale") // and gone with the controller's memory
        ],
        alert_rule_test: [
          look(alert, "30m"),
          look(alert, "31m", "again", "first", "restarted"),
          look(alert, "44m", "again", "first", "restarted"),
          look(alert, "45m"),
          look(alert, "90m"),
          ...others.map((other) => look(other, "31m"))
        ]
      })).toMatchObject(obeyed)
    }
  )

  it("sees by them no loss where a task ended otherwise", () => {
    expect(promtool({
      interval: "1m",
      input_series: [
        { series: `${ended}{namespace="here",pod="one",situation="${lost}",stage="apply",ends="Cancelled"}`, values: "0x10" },
        {
          series:
            `${ended}{namespace="here",pod="one",situation="claimed, and the worker left its last words",stage="apply",ends="Failed"}`,
          values: "0x10"
        }
      ],
      alert_rule_test: ["AgentJobStageLost", "AgentJobPlanLost", "AgentJobTasksDoNotStart"].map((alert) => look(alert, "5m"))
    })).toMatchObject(obeyed)
  })

  it.each([
    { alert: "AgentJobNodeSilent", situation: "claimed, and its node does not answer", minutes: 2 },
    { alert: "AgentJobNodeSilent", situation: "claimed, and its Pod has not been ready for two minutes", minutes: 2 },
    { alert: "AgentJobStateUnsaved", situation: "claimed, and its newest state is not saved", minutes: 2 },
    { alert: "AgentJobJobsRefused", situation: "the API server refused its Job for now", minutes: 1 },
    { alert: "AgentJobQuotaFull", situation: "its Job has waited for a quota or a webhook for a minute", minutes: 2 },
    { alert: "AgentJobWorkspaceHeld", situation: "another task holds the workspace", minutes: 1, after: ["33m", "50m"] },
    {
      alert: "AgentJobWorkspaceHeld",
      situation: "the last apply of its workspace left the state in doubt",
      minutes: 1,
      after: ["33m", "50m"]
    },
    {
      alert: "AgentJobResultUnreported",
      situation: "over for a minute, and the pool still does not know",
      minutes: 1,
      after: ["18m", "50m"]
    }
  ])("sees by them what lasts, for as long as it does: $alert, $situation", ({ after = ["15m", "40m"], alert, minutes, situation }) => {
    const of = (namespace: string, values: string) => ({
      series: `agent_job_reconcile_total{namespace="${namespace}",pod="one",situation="${situation}",stage="apply"}`,
      values
    })
    /** Counts at each look, `times` in all, beginning with `first` at the start. */
    const counted = (times: number, first = 1) =>
      Array.from({ length: times }, (_, look) => `${first + look}x${minutes - 1}`).join(" ") + ` ${first + times - 1}x60`
    expect(promtool({
      interval: "1m",
      input_series: [
        of("lasts", counted(90 / minutes)),
        of("brief", counted(6 / minutes)), // over before it has lasted for long
        of("missed", "7x30 stale 7x60"),
        of("begun", "_x30 7x60")
      ],
      alert_rule_test: [
        look(alert, "9m"),
        ...[...after, "1h", "90m"].map((at) => look(alert, at, "lasts")),
        look(alert, "95m")
      ]
    })).toMatchObject(obeyed)
  })

  it("sees by them no result that is not told where the pool takes each at once, however many tasks the controller ends", () => {
    const series = `agent_job_reconcile_total{namespace="here",pod="one",situation="over, and the pool does not know",stage="plan"}`
    expect(promtool({
      interval: "1m",
      input_series: [{ series, values: Array.from({ length: 30 }, (_, end) => `${1 + end}x1`).join(" ") }],
      alert_rule_test: ["20m", "50m"].map((at) => look("AgentJobResultUnreported", at))
    })).toMatchObject(obeyed)
  })
})
