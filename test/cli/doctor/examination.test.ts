// Which addresses the doctor's Pods are told to try, given the values of an installation.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { examine } from "../../../src/cli/doctor/examination.ts"
import { against } from "../scripted-cluster.ts"

const kept = { name: "n", namespace: "agent-job", uid: "u", resourceVersion: "1", creationTimestamp: "2026-01-31T12:00:00Z" }
const values = "agent: { token: t, url: \"http://agent-job-server.theirs.svc:8080\" }"
const ended = {
  phase: "Succeeded",
  podIPs: [{ ip: "10.0.0.7" }],
  containerStatuses: [{ state: { terminated: { message: "[]" } } }]
}

it.live("a Pod like a task's tries the API server and the server of agent.url", () =>
  Effect.gen(function*() {
    const bodies: Array<string> = []
    yield* against(
      examine({ name: "agent-job", namespace: "agent-job", values: [], noPods: false }),
      { "/api/v1/namespaces/agent-job/configmaps/agent-job-config": { body: { metadata: kept, data: { "values.yaml": values } } } },
      (_, body) => {
        bodies.push(body)
        return { body: { metadata: kept, items: [], status: ended } }
      }
    )
    const [ofTask] = bodies.filter((body) => body.includes("AGENT_JOB_PROBE_TARGETS") && body.includes("\"scalr.io/probe\":\"task\""))
    expect(ofTask).toContain(JSON.stringify(JSON.stringify({ address: "kubernetes.default.svc", port: 443 })).slice(1, -1))
    expect(ofTask).toContain(JSON.stringify(JSON.stringify({ address: "agent-job-server.theirs.svc", port: 8080 })).slice(1, -1))
  }))
