// What null does to each key of the values, and to each map of keys.
import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { isTree, type Tree, valueAt } from "../../../src/schema/document/layers.ts"
import { goneByNull } from "../../../src/schema/values/null-values.ts"
import { valueKeys } from "../../../src/schema/values/values-document.ts"
import { defaultValues, overrides, parseLayers, parseValues, type Values } from "../../../src/schema/values/values.ts"

const nested = (key: string, value: unknown): Tree => {
  const [first = "", ...rest] = key.split(".")
  return { [first]: rest.length === 0 ? value : nested(rest.join("."), value) }
}
const problems = (file: unknown): ReadonlyArray<string> => Result.match(parseValues(file), { onFailure: (_) => _, onSuccess: () => [] })
const parsed = (file: unknown): Values => Result.getOrThrow(parseValues(file))
const at = (values: Tree, key: string): unknown => valueAt(values, key.split("."))
const layers = (...trees: ReadonlyArray<Tree>) =>
  parseLayers(trees.map((tree, index) => ({ name: `${index}.yaml`, tree, place: (path) => ({ line: path.length, column: 1 }) })))

const saysNothing = (value: unknown): boolean =>
  value === undefined || value === "" || value === false ||
  (Array.isArray(value) ? value.length === 0 : isTree(value) && Object.keys(value).length === 0)

const contexts = ["agent.securityContext", "controller.podSecurityContext", "task.podSecurityContext", "task.runner.securityContext"]
const resources = ["controller.resources", "task.runner.resources", "task.worker.resources"]
const keys = valueKeys().map(({ key }) => key)
/** The maps that have a default of their own for each of their keys, at any depth. */
const sections = [...new Set(keys.flatMap((key) => key.split(".").map((_, index, parts) => parts.slice(0, index).join("."))))]
  .filter((key) => key !== "" && !contexts.includes(key))

/** Keys without which nothing would work, so that null is refused. */
const needed = [
  "admissionPolicies.configMaps",
  "admissionPolicies.persistentVolumeClaims",
  "admissionPolicies.secrets",
  "agent.dataDir",
  "agent.image.pullPolicy",
  "agent.image.repository",
  "agent.tokenExistingSecret.key",
  "controller.podDisruptionBudget.minAvailable",
  "controller.replicas",
  "controller.terminationGracePeriodSeconds",
  "global.proxy.enabled",
  "global.tls.caBundleConfigMap.key",
  "global.tls.caBundleSecret.key",
  "global.tls.clientCertSecret.certKey",
  "global.tls.clientCertSecret.keyKey",
  "persistence.emptyDir.sizeLimit",
  "persistence.hostPath.type",
  "persistence.persistentVolumeClaim.accessMode",
  "persistence.persistentVolumeClaim.storage",
  "serviceAccount.automountToken",
  "serviceAccount.create",
  "serviceAccount.tokenTTL",
  "task.historyPerWorkspace",
  "task.job.activeDeadlineSeconds",
  "task.job.backoffLimit",
  "task.job.ttlSecondsAfterFinished",
  "task.limits.perWorkspace",
  "task.limits.total",
  "task.networkPolicy.apiServerPorts",
  "task.runner.image.pullPolicy",
  "task.runner.image.repository",
  "task.startupTimeoutSeconds",
  "task.terminationGracePeriodSeconds"
]

describe("null", () => {
  it.each(keys)("takes %s away, or is refused by its name", (key) => {
    const refused = problems(nested(key, null))
    if (refused.length === 0) expect(at(parsed(nested(key, null)), key)).toSatisfy(saysNothing)
    else expect(refused).toEqual([expect.stringMatching(new RegExp(`^${key}: null cannot take this away`, "u"))])
  })

  it("is refused for these keys alone, with what to write", () => {
    expect(keys.filter((key) => problems(nested(key, null)).length > 0)).toEqual(needed)
    expect(problems({ task: { job: { ttlSecondsAfterFinished: null } } })).toEqual([
      "task.job.ttlSecondsAfterFinished: null cannot take this away; write a value, such as the default, 60"
    ])
  })

  it.each(keys.filter((key) => contexts.some((_) => key.startsWith(_))))(
    "leaves nothing at all of %s",
    (key) => expect(at(parsed(nested(key, null)), key)).toBeUndefined()
  )

  it.each([...contexts, ...resources])("leaves nothing in %s", (key) => expect(at(parsed(nested(key, null)), key)).toEqual({}))

  it.each(sections)(
    "for %s, whose keys each have a default, leaves these",
    (key) => expect(parsed(nested(key, null))).toEqual(defaultValues)
  )

  it("is not refused where a later file gives a value, and is where it is the last word", () => {
    const [taken, given] = [{ controller: { replicas: null } }, { controller: { replicas: 2 } }]
    expect(Result.getOrThrow(layers(taken, given)).controller.replicas).toBe(2)
    expect(Result.isSuccess(layers(taken, { controller: null }))).toBe(true)
    expect(layers(given, taken)).toEqual(Result.fail([{
      file: "1.yaml",
      place: { line: 2, column: 1 },
      path: "controller.replicas",
      message: "null cannot take this away; write a value, such as the default, 1"
    }]))
  })

  it("in one file goes before what a later file gives, map by map", () => {
    const users = { agent: { securityContext: { runAsUser: 5 } } }
    expect(Result.getOrThrow(layers({ agent: { securityContext: null } }, users)).agent.securityContext).toEqual({ runAsUser: 5 })
    expect(Result.getOrThrow(layers(users, { agent: { securityContext: null } })).agent.securityContext).toEqual({})
    expect(Result.getOrThrow(layers({ agent: { url: "https://a", securityContext: { privileged: null } } }, { agent: null }, users)).agent)
      .toEqual({ ...defaultValues.agent, securityContext: { ...defaultValues.agent.securityContext, runAsUser: 5 } })
  })

  it.each([...contexts, ...resources])("for %s is in the shortest file that says the same", (key) => {
    for (const file of [nested(key, null), ...Object.keys(at(defaultValues, key) as Tree).map((_) => nested(`${key}.${_}`, null))]) {
      expect(parsed(overrides(parsed(file)))).toEqual(parsed(file))
    }
  })

  it.each([
    { given: "a map", files: [{ agent: { securityContext: null } }], gone: ["0.yaml agent.securityContext"] },
    {
      given: "keys, and not where nothing was there",
      files: [{
        task: { runner: { securityContext: { privileged: null, runAsUser: null, seLinuxOptions: null } }, affinity: null, job: null }
      }],
      gone: ["0.yaml task.runner.securityContext.privileged", "0.yaml task.runner.securityContext.runAsUser"]
    },
    {
      given: "a map of which a later file says a part",
      files: [{ agent: { securityContext: null } }, { agent: { securityContext: { runAsUser: 5 } } }],
      gone: ["0.yaml agent.securityContext"]
    },
    {
      given: "a key twice, the last time",
      files: [{ task: { worker: { resources: { limits: { cpu: null } } } } }, { task: { worker: { resources: { limits: null } } } }],
      gone: ["1.yaml task.worker.resources.limits"]
    },
    { given: "a key that a later file gives, not", files: [{ controller: { resources: null } }, { controller: null }], gone: [] }
  ])("is named for $given", ({ files, gone }) => {
    const given = files.map((tree, index) => ({ name: `${index}.yaml`, tree, place: () => ({ line: 1, column: 1 }) }))
    const values = Result.getOrThrow(parseLayers(given))
    expect(goneByNull(defaultValues, values, given).map(({ layer, path }) => `${layer.name} ${path.join(".")}`)).toEqual(gone)
  })

  const apart = { runAsUser: 2, runAsGroup: 2 }
  it.each([
    { given: "the volumes have a group", pod: {}, runner: apart },
    { given: "the runner has the worker's user", pod: { fsGroup: null }, runner: { ...apart, runAsUser: 1001 } },
    { given: "the runner has the worker's group", pod: { fsGroup: null }, runner: { ...apart, runAsGroup: 1001 } },
    { given: "all have the worker's group beside their own", pod: { fsGroup: null, supplementalGroups: [1001] }, runner: apart },
    { given: "the runner's user is not known", pod: { fsGroup: null, runAsUser: null }, runner: { ...apart, runAsUser: null } },
    { given: "the runner's group is not known", pod: { fsGroup: null, runAsGroup: null }, runner: { ...apart, runAsGroup: null } },
    { given: "the runner is root", pod: { fsGroup: null }, runner: { ...apart, runAsUser: 0, runAsNonRoot: false } }
  ])(
    "for the group of volumes is no mistake where $given",
    ({ pod, runner }) => expect(problems({ task: { podSecurityContext: pod, runner: { securityContext: runner } } })).toEqual([])
  )

  it("for the group of volumes is a mistake where worker and runner share nothing", () => {
    const file = { podSecurityContext: { fsGroup: null }, runner: { securityContext: apart } }
    const says = [expect.stringMatching(/^task\.podSecurityContext\.fsGroup: is taken away, and worker and runner have neither/u)]
    expect(problems({ task: file })).toEqual(says)
    expect(problems({ task: { ...file, worker: { securityContext: { runAsUser: 2 } } } })).toEqual([])
    expect(problems({ task: { ...file, worker: { securityContext: { runAsUser: 3 } } } })).toEqual(says)
  })
})
