// Which addresses the doctor's Pods are told to try, and the proof of isolation that an examination leaves for the controller.
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { examine } from "../../../src/cli/doctor/examination.ts"
import { metadataTargets } from "../../../src/core/doctor/metadata-services.ts"
import { isProven, proven } from "../../../src/core/scheduling/isolation.ts"
import { type ProbeTarget, Targets } from "../../../src/schema/kubernetes/probe.ts"
import { configOf } from "../../core/configs.ts"
import type { Answer } from "../../kubernetes/scripted-server.ts"
import { until } from "../../until.ts"
import { against } from "../scripted-cluster.ts"
import { toldScreen } from "../told-screen.ts"

const values = {
  agent: { token: "t", url: "http://agent-job-server.theirs.svc:8080" },
  restrictMetadataService: true,
  task: { networkPolicy: { denyIngress: true } }
}
const listener = { address: "10.0.0.7", port: 8083 }
const taskListener = { address: "10.0.0.9", port: 8083 }
const apiServer = { address: "kubernetes.default.svc", port: 443 }
const server = { address: "agent-job-server.theirs.svc", port: 8080 }

const kept = { name: "n", namespace: "agent-job", uid: "u", resourceVersion: "1", creationTimestamp: "2026-01-31T12:00:00Z" }
const valuesPath = "/api/v1/namespaces/agent-job/configmaps/agent-job-config"
const leasePath = "/apis/coordination.k8s.io/v1/namespaces/agent-job/leases/agent-job-controller"
const formerProof = { "scalr.io/isolation-proven": "2025-12-31T12:00:00Z of-other-values" }

const notAllowed: Answer = {
  status: 403,
  body: { kind: "Status", apiVersion: "v1", status: "Failure", code: 403, reason: "Forbidden", message: "not for you" }
}

const annotationsIn = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({
  metadata: Schema.Struct({ annotations: Schema.Record(Schema.String, Schema.String) })
})))
const probeIn = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({
  metadata: Schema.Struct({ labels: Schema.Struct({ "scalr.io/probe": Schema.String }) }),
  spec: Schema.Struct({
    containers: Schema.Tuple([
      Schema.Struct({
        env: Schema.optionalKey(Schema.Tuple([Schema.Struct({ name: Schema.Literal("AGENT_JOB_PROBE_TARGETS"), value: Targets })]))
      })
    ])
  })
})))

interface Network {
  readonly reaches?: (probe: string, target: ProbeTarget) => boolean
  /** How the Pod fares that the others are to reach, and the one like a task's that the open one is to reach. */
  readonly listening?: object
  readonly taskListening?: () => object
  readonly proof?: Readonly<Record<string, string>>
  readonly forbidden?: boolean
  /** Whether each Pod has a container that somebody else put into it, before ours, and that does not end. */
  readonly injected?: boolean
}

/** What reaches what in a network that enforces policies. */
const enforced = (probe: string, { address }: ProbeTarget): boolean =>
  (probe === "open" && address !== taskListener.address) || (probe === "task" && [apiServer.address, server.address].includes(address))

const running = ({ address }: ProbeTarget) => ({
  phase: "Running",
  podIPs: [{ ip: address }],
  containerStatuses: [{ name: "probe", ready: true, state: {} }]
})

/**
 * Examines an installation whose Lease has a proof of other values, unless another one is given. Returns what each probe was told to try,
 * what was found of the proof, and the annotations of the leader's Lease afterwards.
 */
const examined = Effect.fnUntraced(function*(
  {
    forbidden = false,
    injected = false,
    listening = running(listener),
    proof = formerProof,
    reaches = enforced,
    taskListening = () => running(taskListener)
  }: Network = {}
) {
  const tried: Record<string, ReadonlyArray<ProbeTarget>> = {}
  let annotations = proof

  const podOf = (probe: string) => {
    const found = (tried[probe] ?? []).map((target) => ({ ...target, first: reaches(probe, target), last: reaches(probe, target) }))
    const ours = { name: "probe", state: { terminated: { message: JSON.stringify({ addresses: ["10.0.0.8"], findings: found }) } } }
    const podIPs = [{ ip: "10.0.0.8" }]
    const status = probe === "listener"
      ? listening
      : probe === "task-listener"
      ? taskListening()
      : injected
      ? { phase: "Running", podIPs, containerStatuses: [{ name: "a-proxy", state: {} }, ours] }
      : { phase: "Succeeded", podIPs, containerStatuses: [ours] }
    return { metadata: kept, status }
  }
  const answer = (path: string, body: string): Answer => {
    if (path === leasePath) {
      if (body !== "") annotations = annotationsIn(body).metadata.annotations
      return { body: { metadata: { ...kept, name: "agent-job-controller", annotations } } }
    }
    if (forbidden && path.endsWith("/networkpolicies")) return notAllowed
    if (path.endsWith("/pods") && body !== "") {
      const { metadata: { labels }, spec: { containers: [{ env }] } } = probeIn(body)
      tried[labels["scalr.io/probe"]] = env?.[0].value ?? []
    }
    return { body: { items: [], ...podOf(/-doctor-[^-]+-(?<probe>.+)$/u.exec(path)?.groups?.["probe"] ?? "") } }
  }

  const screen = toldScreen()
  const { document: { checks } } = yield* against(
    examine({ name: "agent-job", namespace: "agent-job", values: [], noPods: false }).pipe(Effect.provide(screen.layer)),
    { [valuesPath]: { body: { metadata: kept, data: { "values.yaml": JSON.stringify(values) } } } },
    answer
  )
  return { tried, annotations, statuses: screen.of("status"), told: checks.filter(({ name }) => name === "the proof of isolation") }
})

it.live("a Pod like a task's tries another Pod, metadata services, the API server and the server of agent.url; another one tries one like a task's", () =>
  Effect.gen(function*() {
    const { tried } = yield* examined()
    expect(tried).toEqual({
      listener: [],
      "task-listener": [],
      open: [listener, taskListener],
      closed: [listener],
      task: [listener, ...metadataTargets, apiServer, server]
    })
  }))

it.live("an examination says while its Pods try the network what it waits for, and what tells more", () =>
  Effect.gen(function*() {
    const { statuses } = yield* examined()
    expect([...new Set(statuses)]).toEqual([
      "Waiting for the Pods that try the network, up to three minutes; kubectl -n agent-job get pods,events says what keeps them"
    ])
  }))

it.live("an examination that proves isolation leaves the proof for these values", () =>
  Effect.gen(function*() {
    const { annotations } = yield* examined()
    expect(isProven(annotations, configOf(values))).toBe(true)
  }))

it.live("an examination hears from its Pods also where others put a container into them that goes on", () =>
  Effect.gen(function*() {
    const { annotations } = yield* examined({ injected: true })
    expect(isProven(annotations, configOf(values))).toBe(true)
  }))

it.live("an examination that finds tasks not isolated takes a former proof away", () =>
  Effect.gen(function*() {
    const { annotations } = yield* examined({ reaches: () => true })
    expect(annotations).toEqual({})
  }))

it.live("an examination that connects to a Pod like a task's, which the values close, takes a former proof away", () =>
  Effect.gen(function*() {
    const proof = proven({}, configOf(values), "2025-12-31T12:00:00Z")
    const { annotations } = yield* examined({
      proof,
      reaches: (probe, target) => (probe === "open" && target.address === taskListener.address) || enforced(probe, target)
    })
    expect(annotations).toEqual({})
  }))

it.live("an examination lets nobody try a Pod like a task's before it listens, because a connection that nobody takes proves nothing", () =>
  Effect.gen(function*() {
    const proof = proven({}, configOf(values), "2025-12-31T12:00:00Z")
    let looks = 0
    const listens = () => looks > 1
    const { annotations } = yield* examined({
      proof,
      taskListening: () => {
        looks++
        const { containerStatuses, ...status } = running(taskListener)
        return { ...status, containerStatuses: containerStatuses.map((_) => ({ ..._, ready: listens() })) }
      },
      reaches: (probe, target) => (probe === "open" && target.address === taskListener.address && listens()) || enforced(probe, target)
    })
    expect(annotations).toEqual({})
  }))

it.live.each<{ given: string; network: Network }>([
  { given: "no Pod gets as far as listening", network: { listening: { phase: "Failed" } } },
  { given: "no Pod like a task's gets as far as listening", network: { taskListening: () => ({ phase: "Failed" }) } },
  {
    given: "a Pod like a task's ended meanwhile",
    network: { taskListening: () => ({ ...running(taskListener), phase: "Failed" }) }
  },
  {
    given: "no Pod reaches another one, whatever a policy says",
    network: { reaches: (probe, target) => probe !== "open" && enforced(probe, target) }
  },
  { given: "whoever asks may not look at the policies", network: { forbidden: true } }
])(
  "an examination that cannot find out leaves a proof as it was, and says so, where $given",
  ({ network }) =>
    Effect.gen(function*() {
      const proof = proven({}, configOf(values), "2025-12-31T12:00:00Z")
      const { annotations, told } = yield* examined({ ...network, proof })
      expect(annotations).toEqual(proof)
      expect(told).toEqual([{
        name: "the proof of isolation",
        outcome: "unknown",
        message: "stays as it was, if there is one: what was found neither proves that tasks are isolated nor speaks against it"
      }])
    })
)

it.effect.each([{ when: "while its Pods start", after: "0 seconds" }, { when: "while it removes them", after: "90 seconds" }] as const)(
  "an examination that is interrupted $when says what it still does, and waits five seconds for an API server that removes nothing",
  ({ after }) =>
    Effect.gen(function*() {
      const made: Array<string> = []
      const removed: Array<string> = []
      const answer = (path: string): Answer => (response) => {
        const { method } = response.req
        if (method === "DELETE") return void removed.push(path)
        if (method === "POST" && !path.endsWith("reviews")) made.push(path)
        response.setHeader("content-type", "application/json").end(JSON.stringify({ metadata: kept, items: [], status: {} }))
      }
      const screen = toldScreen()
      yield* against(
        Effect.gen(function*() {
          const examining = yield* Effect.forkChild(
            examine({ name: "agent-job", namespace: "agent-job", values: [], noPods: false }).pipe(Effect.provide(screen.layer))
          )
          yield* until(() => made.filter((path) => path.endsWith("/pods")).length === 2)
          yield* TestClock.adjust(after)
          yield* until(() => after === "0 seconds" || removed.length === 5)
          const ending = yield* Effect.forkChild(Fiber.interrupt(examining))
          yield* until(() => removed.length >= 5)
          yield* TestClock.adjust("4999 millis")
          expect(ending.pollUnsafe()).toBeUndefined()
          yield* TestClock.adjust("1 millis")
          yield* Fiber.join(ending)
        }),
        { [valuesPath]: { body: { metadata: kept, data: { "values.yaml": JSON.stringify(values) } } } },
        answer
      )
      expect([made.length, new Set(removed).size]).toEqual([5, 5])
      expect(screen.of("line")).toEqual(["Removing the Pods and policies that were made to try the network, for 5 seconds at most."])
    })
)
