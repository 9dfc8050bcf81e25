// What the doctor removes at its start of what earlier ones left, and what it lets be.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { removeEarlierDoctors } from "../../../src/cli/doctor/earlier-doctors.ts"
import { configOf } from "../../core/configs.ts"
import type { Answer } from "../../kubernetes/scripted-server.ts"
import { against, list } from "../scripted-cluster.ts"

const collections = {
  pods: "/api/v1/namespaces/agent-job/pods",
  networkpolicies: "/apis/networking.k8s.io/v1/namespaces/agent-job/networkpolicies"
}
const minutesAgo = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString()
const made = (name: string, creationTimestamp: string) => ({
  metadata: { name, namespace: "agent-job", uid: `uid-of-${name}`, resourceVersion: "1", creationTimestamp }
})

/** Returns the paths of the objects that were deleted, and what was asked of each deletion. */
const removed = Effect.fnUntraced(function*(pods: Answer, policies: Answer) {
  const deleted: Array<{ readonly path: string; readonly options: unknown }> = []
  yield* against(
    removeEarlierDoctors(configOf()),
    { [collections.pods]: pods, [collections.networkpolicies]: policies },
    (path, body) => {
      deleted.push({ path, options: JSON.parse(body) })
      return path.endsWith("gone")
        ? { status: 404, body: { kind: "Status", code: 404, reason: "NotFound", message: "gone" } }
        : { body: {} }
    }
  )
  return deleted
})

it.live("the doctor removes Pods and policies that are older than an hour, each only if it is still the one that was seen", () =>
  Effect.gen(function*() {
    const [old, older] = [minutesAgo(61), minutesAgo(6000)]
    const deleted = yield* removed(list(made("gone", old), made("pod", old)), list(made("policy", older)))
    expect(deleted.map(({ path }) => path).sort()).toEqual([
      `${collections.pods}/gone`,
      `${collections.pods}/pod`,
      `${collections.networkpolicies}/policy`
    ])
    expect(deleted.map(({ options }) => options)).toContainEqual(
      expect.objectContaining({ gracePeriodSeconds: 0, preconditions: { uid: "uid-of-policy" } })
    )
  }))

it.live("those of a doctor that may still run stay", () =>
  Effect.gen(function*() {
    expect(yield* removed(list(made("now", minutesAgo(0)), made("soon", minutesAgo(-5))), list(made("recent", minutesAgo(55))))).toEqual([])
  }))

it.live("who may not list the Pods removes the policies all the same", () =>
  Effect.gen(function*() {
    const forbidden = { status: 403, body: { kind: "Status", code: 403, reason: "Forbidden", message: "not for you" } }
    const deleted = yield* removed(forbidden, list(made("policy", minutesAgo(61))))
    expect(deleted.map(({ path }) => path)).toEqual([`${collections.networkpolicies}/policy`])
  }))
