// What the linters of manifests and rules say of ours: kubeconform, kube-score, checkov and promtool.
// The checks of kube-score that are skipped, and the findings of checkov that are accepted, are below with their reasons.
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join, resolve } from "node:path"
import { parse, stringify } from "yaml"
import { installDefinitions, kubectl } from "./cluster.ts"
import { writeSchemas } from "./schemas.ts"

const overlays = ["standalone", "agent", "production"].map((name) => `kustomize/overlays/${name}`)
const folders = [
  ...overlays,
  "kustomize/crd",
  "kustomize/guard",
  "kustomize/argo-cd/standalone",
  "kustomize/argo-cd/samples",
  "flux/platform/crds",
  "flux/clusters/staging",
  "flux/clusters/production"
]

const directory = mkdtempSync(join(tmpdir(), "schemas-"))
let schemas = ""

beforeAll(() => {
  const definitions = `${process.env["GITOPS_CACHE"]}/definitions`
  installDefinitions("kustomize/crd/crd.yaml")
  for (
    const path of [`${definitions}/flux`, `${definitions}/notification`, `${definitions}/argocd`, "test/kustomize/prometheus-crds.yaml"]
  ) installDefinitions(path)
  schemas = writeSchemas(JSON.parse(kubectl(["get", "--raw", "/openapi/v2"])), directory)
}, 180_000) // it waits for every definition to be served
afterAll(() => rmSync(directory, { recursive: true }))

const said = (program: string, args: ReadonlyArray<string>, input = "") => {
  const { status, stderr, stdout } = spawnSync(program, args, { encoding: "utf8", input, maxBuffer: 2 ** 26 })
  return { status, text: stdout + stderr }
}
const built = (folder: string): string => kubectl(["kustomize", folder])
const kubeconform = (manifests: string) => said("kubeconform", ["-strict", "-summary", `-schema-location=${schemas}`], manifests)

describe("kubeconform", () => {
  it.each(folders)("finds every field of %s in its kind's schema", (folder) => {
    const { status, text } = kubeconform(built(folder))
    expect(text).toMatch(/ Invalid: 0, Errors: 0,/u)
    expect(status).toBe(0)
  })

  it("would find one that is misspelt", () => {
    expect(kubeconform(built("kustomize/overlays/standalone").replace("replicas:", "replica:"))).toMatchObject({
      status: 1,
      text: expect.stringContaining("additional properties 'replica' not allowed")
    })
  })
})

const notAsked = {
  "container-image-pull-policy": "tags are fixed, so IfNotPresent gives the same image and needs no registry",
  "container-ephemeral-storage-request-and-limit": "every emptyDir has a sizeLimit; a limit of the container is a value",
  "container-security-context-user-group-id": "1001 is the account of the chart's image, and its files are of it",
  "pod-networkpolicy": "policies are components, since not every cluster's network has them",
  "networkpolicy-targets-pod": "the Pods of tasks are made later",
  "statefulset-has-servicename": "it has, of a Service with an address: there is one server"
}

describe("kube-score", () => {
  it.each(overlays)("finds nothing critical in %s", (folder) => {
    const { status, text } = said("kube-score", [
      "score",
      "--output-format=ci",
      ...Object.keys(notAsked).map((_) => `--ignore-test=${_}`),
      "-"
    ], built(folder))
    expect(text.split("\n").filter((_) => _.startsWith("[CRITICAL]"))).toEqual([])
    expect(status).toBe(0)
  })
})

const accepted = {
  CKV_K8S_15: "tags are fixed, so IfNotPresent gives the same image and needs no registry",
  CKV_K8S_22: "a runner is any image, and engines write where they like; worker, controller and server have a read-only root",
  CKV_K8S_38: "the controller speaks to the API server: that is what it is for",
  CKV_K8S_40: "1001 is the account of the chart's image, and its files are of it; user ids are values",
  CKV_K8S_43: "an installation pins digests with images: of its overlay, or in the values",
  CKV2_K8S_6: "the policy of tasks selects by label, and a component: not every cluster's network has policies"
}
interface Finding {
  readonly id: string
  readonly why: string
  readonly resource: string
}
const checkov = (manifests: string): ReadonlyArray<Finding> => {
  const file = join(directory, "checked.yaml")
  writeFileSync(file, manifests)
  const { text } = said("checkov", ["--framework=kubernetes", "--output=json", "--quiet", "--skip-download", `--file=${file}`])
  const { results } = JSON.parse(text)
  return results.failed_checks.map(({ check_id: id, check_name: why, resource }: Readonly<Record<string, string>>) => ({
    id,
    why,
    resource
  }))
}
const jobOfSample = (): string => {
  const { items } = JSON.parse(said("bin/agent-job", ["render", "--task", "kustomize/samples/plan.yaml", "--output", "json"]).text)
  return JSON.stringify(items.find(({ kind }: { readonly kind: string }) => kind === "Job"))
}

describe("checkov", () => {
  const found = [...overlays.map((folder) => ({ name: basename(folder), manifests: () => built(folder) })), {
    name: "a task's Job",
    manifests: jobOfSample
  }]

  it.each(found)("finds nothing in $name that is not accepted here", ({ manifests }) => {
    expect(checkov(manifests()).filter(({ id }) => !(id in accepted))).toEqual([])
  })

  it("would find a container that may gain privileges, and finds each thing that is accepted", () => {
    const all = found.flatMap(({ manifests }) => checkov(manifests()).map(({ id }) => id))
    expect(new Set(all)).toEqual(new Set(Object.keys(accepted)))
    expect(
      checkov(built("kustomize/overlays/agent").replaceAll("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true")).map((
        { id }
      ) => id)
    ).toContain("CKV_K8S_20")
  })
})

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

const file = join(directory, "alerts.yaml")
const promtool = (...tests: ReadonlyArray<object>) => {
  writeFileSync(file, stringify({ rule_files: [resolve(rules)], evaluation_interval: "1m", tests }))
  return said("promtool", ["test", "rules", file])
}
const obeyed = { status: 0, text: expect.stringContaining("SUCCESS") }

describe("promtool", () => {
  it("takes the rules of the component monitoring, and finds nothing to say of them", () => {
    expect(said("promtool", ["check", "rules", "--lint=all", "--lint-fatal", rules])).toMatchObject(obeyed)
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

  it("sees by them that runs wait while nobody takes any, and not that an idle server or one that is drained has nobody", () => {
    const alert = "AgentJobNobodyTakesWork"
    const of = (namespace: string, agents: string, waiting: string, status = "pending") => [
      { series: `agent_job_server_agents{namespace="${namespace}",pod="server"}`, values: agents },
      { series: `agent_job_server_runs{namespace="${namespace}",pod="server",status="${status}"}`, values: waiting },
      { series: `agent_job_server_runs{namespace="${namespace}",pod="server",status="applied"}`, values: "7x60" }
    ]
    expect(promtool({
      interval: "1m",
      input_series: [
        ...of("idle", "0x60", "0x60"),
        ...of("busy", "1x60", "3x60"),
        ...of("pending", "1x10 0x50", "0x20 1x40"),
        ...of("approved", "1x10 0x50", "0x20 1x40", "confirmed"),
        ...of("drained", "0x60", "1x60"),
        { series: `agent_job_draining{namespace="drained",pod="one"}`, values: "1x60" },
        ...of("pool", "1x60", "1x60"),
        { series: `agent_job_server_stages_unasked{namespace="pool",pod="server"}`, values: "0x20 1x40" }
      ],
      alert_rule_test: [
        look(alert, "20m"),
        look(alert, "30m", "approved", "pending", "pool"),
        look(alert, "60m", "approved", "pending", "pool")
      ]
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

  it("sees by them that a node is silent for as long as it is: the controller looks every two minutes", () => {
    const alert = "AgentJobNodeSilent"
    const labels = `namespace="here",pod="one",situation="claimed, and its node does not answer",stage="apply"`
    expect(promtool({
      interval: "2m",
      input_series: [{ series: `agent_job_reconcile_total{${labels}}`, values: "1+1x90 91x15" }],
      alert_rule_test: [
        look(alert, "5m"),
        ...["15m", "1h", "2h", "3h"].map((at) => look(alert, at, "here")),
        look(alert, "3h20m")
      ]
    })).toMatchObject(obeyed)
  })
})
