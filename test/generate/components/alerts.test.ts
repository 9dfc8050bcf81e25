import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { readFileSync } from "node:fs"
import { plan, rows } from "../../../src/core/reconcile/plan.ts"
import { isOver } from "../../../src/core/task/status.ts"
import { groups } from "../../../src/generate/components/alerts.ts"
import { dashboard } from "../../../src/generate/components/dashboard.ts"
import { metrics } from "../../../src/schema/api/metrics.ts"
import { RunStatus } from "../../../src/schema/api/run.ts"
import { mutates, Stage } from "../../../src/schema/task/agent-task.ts"
import { everyField, noon, policyOf, seeds, worldOf } from "../../core/worlds.ts"

const rules = groups.flatMap(({ rules }) => rules)
const expressions = [
  ...rules.map(({ expr }) => expr),
  ...[...JSON.stringify(dashboard()).matchAll(/"expr":("(?:[^"\\]|\\.)*")/gu)].map(([, text = ""]) => String(JSON.parse(text)))
]

/** The metrics that the expressions ask for; a histogram is asked for by its buckets. */
const asking = new Set(expressions.flatMap((expr) => expr.match(/agent_job_\w+/gu) ?? []).map((name) => name.replace(/_bucket$/u, "")))

/** Returns the values that the expressions ask a label to have. */
const asked = (label: string) =>
  expressions.flatMap((expr) =>
    [...expr.matchAll(new RegExp(`${label}=~?"([^"]*)"`, "gu"))].flatMap(([, values = ""]) => values.split("|"))
  )

describe("rules and dashboard", () => {
  it("ask only for metrics that controller and server have", () => {
    expect(asking.size).toBeGreaterThanOrEqual(5)
    expect([...asking].filter((name) => !(name in metrics))).toEqual([])
  })

  it("ask for each of these, but for the memory of the server, which a cluster knows of every Pod", () => {
    expect(Object.keys(metrics).filter((name) => !asking.has(name))).toEqual(["agent_job_server_resident_bytes"])
  })

  it("ask only for situations and statuses that there are", () => {
    expect(asked("situation").filter((value) => !rows.some(({ situation }) => situation === value))).toEqual([])
    expect(asked("status").filter((value) => !RunStatus.literals.some((status) => status === value))).toEqual([])
  })
})

it("the dashboard offers the installations that have a server and no controller too", () => {
  const queries = [...JSON.stringify(dashboard()).matchAll(/label_values\(\{__name__=~\\"(?<names>[^"\\]+)/gu)]
  expect(queries.map(({ groups }) => groups?.["names"])).toEqual(Array(2).fill("agent_job_leader|agent_job_server_agents"))
})

it("no panel of the dashboard lies on another, or leaves the grid", () => {
  const cells = [...JSON.stringify(dashboard()).matchAll(/"gridPos":(\{[^}]*\})/gu)].flatMap(([, at = ""]) => {
    const { h, w, x, y } = JSON.parse(at)
    return Array.from({ length: h * w }, (_, cell) => ({ x: x + cell % w, y: y + Math.floor(cell / w) }))
  })
  expect(new Set(cells.map(({ x, y }) => `${x} ${y}`)).size).toBe(cells.length)
  expect(Math.max(...cells.map(({ x }) => x))).toBeLessThan(24)
})

describe("installations of one namespace in two clusters", () => {
  it("are told apart by every alert, as its vectors are grouped and matched by the cluster too", () => {
    const labels = rules.flatMap(({ expr }) => [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/gu)].map(([, labels = ""]) => labels))
    expect(labels.length).toBeGreaterThanOrEqual(rules.length)
    expect(labels.filter((_) => !/^cluster, namespace\b/u.test(_))).toEqual([])
  })

  it("are told apart in every panel", () => {
    const panels = expressions.slice(rules.length)
    expect(panels.filter((expr) => /\bmax\(/u.test(expr) && !expr.includes("_seconds"))).toEqual([]) // it would show one server for all
    expect(panels.filter((expr) => !expr.includes(`{cluster=~"$cluster",namespace=~"$namespace"`))).toEqual([])
  })
})

describe("an alert", () => {
  it.each(rules)(
    "$alert says what is wrong and what to do, in sentences",
    ({ alert, annotations: { description, summary }, labels: { severity } }) => {
      expect(alert).toMatch(/^AgentJob[A-Z]\w+$/u)
      expect(["critical", "warning"]).toContain(severity)
      for (const text of [summary, description]) expect(text).toMatch(/^(?:[A-Z`]|\{\{).*\.$/u)
    }
  )

  it.each(rules)(
    "$alert names no object by the name that it has in one installation, since an overlay with other names leaves the rules as they are",
    ({ annotations: { description, summary } }) => expect(`${summary} ${description}`).not.toMatch(/\bagent-job-\w/u)
  )

  it.each(rules)("$alert says where a run is found before it has one looked at", ({ annotations: { description } }) => {
    const [list, one] = ["runs", "RUN"].map((what) => description.indexOf(`\`agent-job get ${what}\``))
    if (one !== -1) expect(list).not.toBe(-1)
  })

  it("AgentJobJobsRefused names what each kind of refusal comes of that a task waits for", () => {
    const refused = rules.find(({ alert }) => alert === "AgentJobJobsRefused")?.annotations.description
    for (const cause of ["quota", "webhook", "former task"]) expect(refused).toContain(cause)
  })

  it("that says that runs wait asks whether any does", () => {
    const told = rules.filter(({ annotations }) => /\bruns (?:are |have )?wait/iu.test(annotations.summary + annotations.description))
    expect(told.length).toBeGreaterThan(0)
    for (const { alert, expr } of told) {
      expect([alert, expr]).toEqual([
        alert,
        expect.stringMatching(/agent_job_server_(?:idle_pool_seconds|stages_unasked|stages_drained)\) >/u)
      ])
    }
  })

  it.each(rules)("$alert is tried with promtool, at times when it fires and when it does not", ({ alert }) => {
    expect(readFileSync("test/gitops/rules.long.test.ts", "utf8")).toContain(`"${alert}"`)
  })

  it("has a name of its own", () => expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length))
})

/** Reports whether the expression counts decisions with this value of the label. */
const counts = (expr: string, label: "situation" | "stage", value: string): boolean => {
  const [, operator, values] = new RegExp(`${label}(=|=~|!~)"([^"]*)"`, "u").exec(expr) ?? ["", "!~", ""]
  return new RegExp(`^(?:${values})$`, "u").test(value) === (operator !== "!~")
}

const doNotStart = rules.find(({ alert }) => alert === "AgentJobTasksDoNotStart")?.expr ?? ""

it.prop("AgentJobTasksDoNotStart counts all situations in which a task fails before the claim, and none after it", [seeds], ([seed]) => {
  const world = worldOf(seed)
  const { claim, phase } = world.task.status
  const { situation, status } = plan(policyOf(seed), world, noon)
  if (isOver(phase) || status.phase !== "Failed") return
  expect([situation, counts(doNotStart, "situation", situation)]).toEqual([situation, claim === undefined])
}, { arbitrary: { runs: 10_000, size: everyField } })

it.each(Stage.literals)("the loss of a claimed %s is told by one alert, and pages only where it may have changed something", (stage) => {
  const situation = "claimed, and the worker is over without a result"
  const telling = rules.filter(({ expr }) =>
    expr.includes("situation") && counts(expr, "situation", situation) && counts(expr, "stage", stage)
  )
  expect(telling.map(({ labels: { severity } }) => severity)).toEqual([mutates(stage) ? "critical" : "warning"])
})

/** The situations whose looks an alert counts, each with the window in which it does. */
const lasting = rules.flatMap(({ expr }) =>
  [...expr.matchAll(/situation="([^"]*)"\}\[(\d+)m\]\)/gu)].map(([, situation, minutes]) => ({
    situation,
    millis: Number(minutes) * 60_000
  }))
)

it.prop(
  "what lasts is looked at again within the window of its alert, and two scrapes of a Prometheus sooner: else the count rises in no window",
  [seeds],
  ([seed]) => {
    const { requeueAfterMillis, situation } = plan(policyOf(seed), worldOf(seed), noon)
    const again = Option.getOrElse(requeueAfterMillis, () => 0) // a report that fails is tried again by the queue
    const late = lasting.filter((_) => _.situation === situation && again > _.millis - 60_000)
    expect([lasting.length, late]).toEqual([9, []])
  },
  { arbitrary: { size: everyField } }
)
