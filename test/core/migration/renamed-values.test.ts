import { describe, expect, it } from "@effect/vitest"
import { renamedValues } from "../../../src/core/migration/renamed-values.ts"

describe("keys that the chart renamed later", () => {
  it.each([
    { given: { agent: { nodeSelector: { a: "b" } } }, values: { controller: { nodeSelector: { a: "b" } } } },
    {
      given: { agent: { replicaCount: 3, podDisruptionBudget: { enabled: true, minAvailable: 1 } } },
      values: { controller: { replicas: 3, podDisruptionBudget: { enabled: true, minAvailable: 1 } } }
    },
    {
      given: { agent: { controller: { extraEnv: [{ name: "A", value: "1" }, { name: "B" }] } } },
      values: { controller: { extraEnv: { A: "1", B: "" } } }
    },
    { given: { task: { allowMetadataService: false } }, values: { restrictMetadataService: true } },
    { given: { task: { allowMetadataService: true } }, values: { restrictMetadataService: false } },
    {
      given: { persistence: { cache: { enabled: true, persistentVolumeClaim: { claimName: "nfs" } } } },
      values: { persistence: { enabled: true, persistentVolumeClaim: { claimName: "nfs" } } }
    },
    { given: { persistence: { data: { emptyDir: { sizeLimit: "4Gi" } } } }, values: { persistence: { emptyDir: { sizeLimit: "4Gi" } } } },
    {
      given: { global: { labels: { team: "a", tier: "b" }, podLabels: { tier: "c" } } },
      values: { global: { labels: { team: "a", tier: "b" }, podLabels: { team: "a", tier: "c" } } }
    },
    {
      given: { global: { podSecurityContext: { fsGroup: 5 } }, task: { podSecurityContext: { fsGroup: 6 } } },
      values: { controller: { podSecurityContext: { fsGroup: 5 } }, task: { podSecurityContext: { fsGroup: 6 } } }
    }
  ])("get their name here: $given", ({ given, values }) => {
    expect(renamedValues(given)).toMatchObject({ values, unknown: [] })
  })

  it("leave the containers, which have their Pod's user and profile in the chart, without their own but for what they say", () => {
    const [user, another] = [{ runAsUser: 1000 }, { runAsUser: 2000 }]
    const none = { runAsUser: null, runAsGroup: null, seccompProfile: null }
    const given = {
      agent: { podSecurityContext: another },
      global: { podSecurityContext: user },
      task: { runner: { securityContext: { runAsGroup: 3000 } } }
    }
    expect(renamedValues(given).values).toEqual({
      agent: { securityContext: { ...none, runAsNonRoot: null } },
      controller: { podSecurityContext: another },
      task: { podSecurityContext: user, runner: { securityContext: { ...none, runAsGroup: 3000 } } }
    })
  })

  it.each([
    {
      given: { agent: { podDisruptionBudget: { enabled: true, minAvailable: 1 } } },
      because: "it would keep the only controller's node from ever being drained",
      key: "agent.podDisruptionBudget"
    },
    {
      given: { agent: { podDisruptionBudget: { enabled: true, minAvailable: "50%" } } },
      because: "half of one controller is one",
      key: "agent.podDisruptionBudget"
    },
    {
      given: { agent: { controller: { extraEnv: [{ name: "A", valueFrom: {} }] } } },
      because: "a variable from elsewhere is no text",
      key: "agent.controller"
    },
    { given: { agent: { topologySpreadConstraints: {} } }, because: "it is no list", key: "agent.topologySpreadConstraints" }
  ])("are left out and named where $because", ({ given, key }) => {
    expect(renamedValues(given)).toMatchObject({ values: { agent: {} }, renamed: [], unknown: [{ key }] })
  })
})

describe("unknown keys", () => {
  it("are taken out, each with the nearest known one", () => {
    expect(
      renamedValues({
        task: { job: { backofLimit: 1, backoffLimit: 2 } },
        otel: { enabled: true },
        global: { extraEnv: { anything: "1" } }
      })
    ).toEqual({
      values: { task: { job: { backoffLimit: 2 } }, global: { extraEnv: { anything: "1" } } },
      renamed: [],
      unknown: [{ key: "task.job.backofLimit", nearest: "task.job.backoffLimit" }, { key: "otel" }]
    })
  })
})
