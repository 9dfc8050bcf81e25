// A task that is left out says so itself, to those who describe it.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { tellLeftOut } from "../../../src/controller/reconcile/left-out.ts"
import { whyLeftOut } from "../../../src/core/task/left-out.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { events } from "../../../src/kubernetes/kinds.ts"
import { instantCluster } from "../instant-cluster.ts"

it.effect("an event of a task says what is not understood of it, once", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const newer = {
      metadata: { name: "newer", namespace: "tasks", uid: "newer-uid", resourceVersion: "4" },
      spec: { stage: "refresh" },
      status: {}
    }
    const tell = yield* Effect.provideService(tellLeftOut("me"), Kubernetes, kubernetes)
    yield* tell(newer)
    yield* tell(newer)
    expect(server.all(events)).toMatchObject([{
      regarding: { kind: "AgentTask", name: "newer", namespace: "tasks", uid: "newer-uid" },
      type: "Warning",
      reason: "Refused",
      note: whyLeftOut(newer),
      reportingInstance: "me"
    }])
  }))
