// The policies for any values: they never refuse a Pod that our builder makes of the same values, and no two installations share one.
// The expressions themselves are tested on a real API server by the cluster tests beside; here are the lists that values put into them.
import { describe, expect, it } from "@effect/vitest"
import type { V1Container, V1PodSpec } from "@kubernetes/client-node"
import { Arbitrary, Schema } from "effect"
import { podPolicy } from "../../../../src/core/manifest/admission/admission-pods.ts"
import { referencePolicy } from "../../../../src/core/manifest/admission/admission-references.ts"
import { statusPolicy } from "../../../../src/core/manifest/admission/admission-status.ts"
import { admissionPolicies } from "../../../../src/core/manifest/admission/admission.ts"
import { pod } from "../../../../src/core/manifest/pod.ts"
import type { ResolvedConfig } from "../../../../src/core/resolve/resolve.ts"
import { isPlain, jobName } from "../../../../src/core/task/job-name.ts"
import { ObjectName } from "../../../../src/schema/names.ts"
import { configOf, fullTask, taskOf } from "../../configs.ts"
import { caseOf, choices } from "../arbitrary-task.ts"
import { configIn, fileOf, places, rowsAt } from "../some-values.ts"

/** Returns what the variables of the policy are: lists, and the containers that may mount each volume of the worker. */
const variables = (config: ResolvedConfig) => {
  const { hostPaths = "[]", holders = "{}", privileged = "[]", tokenVolumes = "[]" } = podPolicy(config).variables ?? {}
  return Schema.decodeUnknownSync(Variables)({
    hostPaths: JSON.parse(hostPaths),
    holders: JSON.parse(holders),
    privileged: JSON.parse(privileged),
    tokenVolumes: JSON.parse(tokenVolumes)
  })
}
const Names = Schema.Array(Schema.String)
const Variables = Schema.Struct({
  hostPaths: Names,
  holders: Schema.Record(Schema.String, Names),
  privileged: Names,
  tokenVolumes: Names
})

const refused = (
  { hostPaths, holders, privileged, tokenVolumes }: typeof Variables.Type,
  { automountServiceAccountToken, containers, hostIPC, hostNetwork, hostPID, initContainers = [], shareProcessNamespace, volumes = [] }:
    V1PodSpec
): ReadonlyArray<string> => {
  const all = [...containers, ...initContainers]
  return [
    ...[hostIPC, hostNetwork, hostPID, shareProcessNamespace].filter((_) => _ === true).map(() => "a namespace of the node"),
    ...volumes.filter(({ hostPath }) => hostPath !== undefined && !hostPaths.includes(hostPath.path)).map(({ name }) =>
      `directory ${name}`
    ),
    ...all.filter(({ name, securityContext }) => securityContext?.privileged === true && !privileged.includes(name)).map(
      ({ name }) => `privileged ${name}`
    ),
    ...(automountServiceAccountToken === false ? [] : ["a token everywhere"]),
    ...volumes.filter(({ name, projected }) =>
      projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken !== undefined) === true && !tokenVolumes.includes(name)
    ).map(({ name }) => `token ${name}`),
    ...all.flatMap(({ name, volumeMounts = [] }) =>
      volumeMounts.filter((mount) => holders[mount.name]?.includes(name) === false).map((mount) => `${mount.name} in ${name}`)
    )
  ]
}

describe("the policy on Pods", () => {
  it.prop("refuses no Pod that is built of the values that it was made from", [places], ([places]) => {
    const config = configIn(fileOf(rowsAt(places)))
    if (config === undefined) return
    const allowed = variables(config)
    expect([taskOf(), fullTask()].flatMap((task) => refused(allowed, pod(task, config, 1).spec ?? { containers: [] }))).toEqual([])
  }, { arbitrary: { runs: 1000 } })

  it.each([
    { given: "nothing of the node", values: {}, lists: [[], [], ["api-token"]] },
    {
      given: "a directory for the cache",
      values: { persistence: { hostPath: { path: "/cache" } } },
      lists: [["/cache"], [], ["api-token"]]
    },
    {
      given: "a directory of another volume",
      values: { task: { extraVolumes: [{ name: "v", hostPath: { path: "/v" } }] } },
      lists: [["/v"], [], ["api-token"]]
    },
    {
      given: "a privileged sidecar",
      values: { task: { sidecars: [{ name: "s", image: "s", securityContext: { privileged: true } }] } },
      lists: [[], ["s"], ["api-token"]]
    },
    {
      given: "a token for another audience",
      values: {
        task: { extraVolumes: [{ name: "vault", projected: { sources: [{ serviceAccountToken: { path: "t", audience: "vault" } }] } }] }
      },
      lists: [[], [], ["api-token", "vault"]]
    }
  ])(
    "allows $given to values that ask for it",
    ({ lists, values }) => {
      const { hostPaths, privileged, tokenVolumes } = variables(configOf(values))
      expect([hostPaths, privileged, tokenVolumes]).toEqual(lists)
    }
  )

  it.prop("leaves every volume that only the worker mounts to the worker", [choices], ([choices]) => {
    const config = configOf({ global: { tls: { clientCertSecret: { name: "client" } } } })
    const { holders } = variables(config)
    const { containers, initContainers = [] } = pod(caseOf(choices).task, config, 1).spec ?? { containers: [] }
    const mounted = (all: ReadonlyArray<V1Container>) => all.flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name))
    const others = mounted(initContainers)
    expect(mounted(containers).filter((name) => !others.includes(name) && holders[name]?.join() !== "worker")).toEqual([])
  })

  it("leaves a volume of the worker to the sidecars to which the values give it", () => {
    const sidecars = [{ name: "sender", image: "s", volumeMounts: [{ name: "tmp", mountPath: "/theirs" }] }]
    expect(variables(configOf({ task: { sidecars } })).holders).toMatchObject({ tmp: ["worker", "sender"], private: ["worker"] })
  })
})

describe("the policy on statuses", () => {
  const Name = ObjectName.check(Schema.isMaxLength(80))

  const [, longest] = /> (\d+) \?/u.exec(statusPolicy(configOf()).variables?.["job"] ?? "") ?? []

  it.prop("works out the name of the Job of every task whose name says it, and knows which do not", [Arbitrary.schema(Name)], ([name]) => {
    const basename = "agent-job"
    const isWorkedOut = !name.includes(".") && name.length <= Number(longest)
    expect(isWorkedOut).toBe(isPlain(basename, name))
    if (isWorkedOut) expect(jobName(basename, name)).toBe(`${basename}-${name}`)
  }, { arbitrary: { size: 80 } }) // by default no name is longer than ten characters
})

describe("the policy on what tasks name", () => {
  it("looks at what a task names when it is made, and later at its owners alone, so that each task that is there can be cancelled", () => {
    const lists = { configMaps: ["a"], enabled: true, persistentVolumeClaims: ["a"], secrets: ["a"] }
    const { checks } = referencePolicy(configOf({ admissionPolicies: lists }))
    const later = checks.filter(({ expression }) => !expression.startsWith("request.operation != 'CREATE' || ("))
    expect([checks.length > 10, later.map(({ message }) => message)]).toEqual([true, [expect.stringContaining("ownerReferences")]])
  })
})

describe("every policy", () => {
  it("refuses what it cannot judge, and is in force", () => {
    const objects = admissionPolicies(configOf({ admissionPolicies: { enabled: true } }))
    const words = objects.map(({ spec }) =>
      spec && "failurePolicy" in spec ? spec.failurePolicy : spec && "validationActions" in spec && spec.validationActions
    )
    expect(words).toEqual(Array.from({ length: 6 }, () => ["Fail", ["Deny"]]).flat())
  })
})

describe("several installations", () => {
  it("have policies of their own, also of one name in two namespaces", () => {
    const enabled = { admissionPolicies: { enabled: true } }
    const all = [
      configOf(enabled),
      configOf(enabled, { namespace: "other" }),
      configOf(enabled, { name: "another" }),
      configOf({ ...enabled, task: { namespace: "tasks" } })
    ]
    const names = all.flatMap((config) => admissionPolicies(config).map(({ kind, metadata }) => `${kind} ${metadata?.name}`))
    expect(new Set(names).size).toBe(names.length)
    expect(names).toHaveLength(6 * 2 * all.length)
  })
})
