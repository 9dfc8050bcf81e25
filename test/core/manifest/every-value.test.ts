// Every key takes effect where the values say and nowhere else, and any keys together make a valid installation.
import { describe, expect, it } from "@effect/vitest"
import { valueKeys } from "../../../src/schema/values/values-document.ts"
import { configOf } from "../configs.ts"
import { changedBy, treeOf } from "./changes.ts"
import { violations } from "./restricted.ts"
import { configIn, fileOf, places, podsOf, render, type Row, rowsAt, sample } from "./some-values.ts"
import { effects } from "./value-effects.ts"

describe("every value", () => {
  it("has a row", () => expect(effects.map(([key]) => key)).toEqual(valueKeys().map(({ key }) => key)))

  it.each(effects.map(([key, value, changes, beside]) => ({ key, value, changes, beside })))(
    "$key changes $changes",
    ({ beside, changes, key, value }) => expect(changedBy(key, value, beside)).toBe(changes)
  )

  it("of global reaches the runner, and of agent does not", () => {
    const reached = (section: string) =>
      effects.filter(([key, , changes]) => key.startsWith(section) && changes.includes("runner")).map(([key]) => key)
    expect(reached("agent.")).toEqual(["agent.dataDir"])
    expect(reached("controller.")).toEqual([])
    expect(reached("global.")).toEqual(
      effects.flatMap(([key]) => /^global\.(?:extraEnv|imageRegistry|proxy|tls\.caBundle(?!.*key))/u.test(key) ? [key] : [])
    )
  })
})

/** The keys of security contexts that have a value by default. */
const inContexts = effects.filter(([key]) =>
  /ecurityContext\./u.test(key) && !/\.(?:seLinuxOptions|supplementalGroups|sysctls)$/u.test(key)
)

describe("null in a security context", () => {
  it.each(inContexts.map(([key, , changes]) => ({ key, changes })))(
    "takes $key out of $changes",
    ({ changes, key }) => expect(changedBy(key, null)).toBe(changes)
  )

  it("leaves users and groups to whoever admits the Pods, and the files of Secrets to be read by whatever user they get", () => {
    const users = { runAsUser: null, runAsGroup: null }
    const config = configIn({
      agent: { token: "t", securityContext: { ...users, seccompProfile: null } },
      global: { tls: { clientCertSecret: { name: "client" } } },
      controller: { podSecurityContext: { ...users, fsGroup: null, seccompProfile: null } },
      task: { podSecurityContext: { ...users, fsGroup: null, seccompProfile: null }, runner: { securityContext: users } }
    })
    const pods = config === undefined ? [] : podsOf(config)
    expect(pods).toHaveLength(3)
    expect(JSON.stringify(pods)).not.toMatch(/1001|runAs(?:User|Group)|fsGroup"/u)
    expect(pods.map(({ containers, securityContext }) => [securityContext?.seccompProfile, containers[0]?.securityContext?.seccompProfile]))
      .toEqual(pods.map(() => [undefined, undefined]))
    const secrets = pods.flatMap(({ volumes = [] }) => volumes.flatMap(({ secret }) => secret ?? []))
    expect(new Set(secrets.map(({ defaultMode }) => defaultMode))).toEqual(new Set([0o444]))
  })

  it("that takes away a whole context leaves none", () => {
    const pods = podsOf(configOf({
      agent: { securityContext: null },
      controller: { podSecurityContext: null },
      task: { podSecurityContext: null, runner: { securityContext: null } }
    }))
    const contexts = pods.flatMap(({ containers, initContainers = [], securityContext }) => [
      securityContext,
      ...[...containers, ...initContainers].map((_) => _.securityContext)
    ])
    expect(contexts).toEqual(contexts.map(() => ({})))
  })

  it("goes to the controller in its own values", () => {
    const values = { agent: { securityContext: { runAsUser: null } }, task: { podSecurityContext: null } }
    const reread = configOf(configOf(values).controllerValues)
    expect(reread.policy.configHash).toBe(configOf(values).policy.configHash)
    expect(reread.task.worker.securityContext).not.toHaveProperty("runAsUser")
  })
})

const broken = (rows: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const config = configIn(fileOf(rows))
  return config === undefined ? [] : [...new Set(podsOf(config).flatMap(violations))].sort()
}
const unsafe = effects.filter((row) => broken([row]).length > 0)

describe("Pod Security restricted", () => {
  it("is passed with any one value but these, which ask for less", () => {
    expect(unsafe.map(([key]) => key)).toEqual([
      "agent.securityContext.allowPrivilegeEscalation",
      "agent.securityContext.capabilities",
      "agent.securityContext.privileged",
      "agent.securityContext.runAsNonRoot",
      "agent.securityContext.seccompProfile",
      "controller.podSecurityContext.sysctls",
      "controller.securityContext",
      "persistence.hostPath.path",
      "persistence.hostPath.type",
      "task.podSecurityContext.sysctls",
      "task.runner.securityContext.allowPrivilegeEscalation",
      "task.runner.securityContext.capabilities",
      "task.runner.securityContext.privileged",
      "task.runner.securityContext.runAsNonRoot",
      "task.runner.securityContext.seccompProfile",
      "task.sidecars",
      "task.worker.securityContext"
    ])
  })

  it("is passed whatever one key of a security context null takes away, but for these, which only a container has", () => {
    const without = (key: string) => podsOf(configOf(treeOf(key, null))).flatMap(violations)
    expect(inContexts.map(([key]) => key).filter((key) => without(key).length > 0)).toEqual([
      "agent.securityContext.allowPrivilegeEscalation",
      "agent.securityContext.capabilities",
      "task.runner.securityContext.allowPrivilegeEscalation",
      "task.runner.securityContext.capabilities"
    ])
  })

  it.prop(
    "is passed with any values that each pass it",
    [places],
    ([places]) => expect(broken(rowsAt(places).filter((row) => !unsafe.includes(row)))).toEqual([])
  )
})

describe("what is rendered of any values", () => {
  it("is of most files: few contradict themselves", () =>
    expect(sample(100, 1).filter((file) => configIn(file) === undefined).length).toBeLessThan(20))

  it.prop("is complete, each object once, and the same however the file is ordered", [places], ([places]) => {
    const rows = rowsAt(places)
    const config = configIn(fileOf(rows))
    if (config === undefined) return
    const objects = render(config)
    const keys = objects.map(({ kind, metadata }) =>
      JSON.stringify([kind, metadata && "namespace" in metadata && metadata.namespace, metadata?.name])
    )
    expect(new Set(keys).size).toBe(keys.length)
    const text = JSON.stringify(objects, (_, value: unknown) => value === undefined ? "undefined!" : value)
    expect(text).not.toContain("undefined!")
    const turned = configIn(fileOf([...rows].reverse()))
    expect(turned && JSON.stringify(render(turned))).toBe(text)
  }, { arbitrary: { runs: 300 } })
})
