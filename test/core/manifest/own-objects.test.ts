// What AgentTasks may not name: what the values give to a task's Pod for other containers than the runner,
// and what lies beside the tasks in one namespace.
import { describe, expect, it } from "@effect/vitest"
import type { V1PodSpec } from "@kubernetes/client-node"
import { Arbitrary, Schema } from "effect"
import { install } from "../../../src/core/manifest/installation/install.ts"
import { secureServer } from "../../../src/core/manifest/installation/server.ts"
import { ownClaims, ownSecrets } from "../../../src/core/manifest/own-objects.ts"
import { pod } from "../../../src/core/manifest/pod.ts"
import { merge } from "../../../src/schema/document/layers.ts"
import { configOf, taskOf } from "../configs.ts"
import { configIn, fileOf, places, rowsAt } from "./some-values.ts"

/** Returns the names of all Secrets that Kubernetes would read for this Pod, for whatever purpose. */
const secretsIn = (spec: V1PodSpec): ReadonlyArray<string> => {
  const found: Array<string> = (spec.imagePullSecrets ?? []).map(({ name }) => name ?? "")
  JSON.stringify(spec, (key, value) => {
    if (key === "secretName") found.push(value)
    if (["secretKeyRef", "secretRef", "nodePublishSecretRef", "secret"].includes(key) && value.name !== undefined) found.push(value.name)
    return value
  })
  return found
}

const specOf = (...given: Parameters<typeof pod>): V1PodSpec => pod(...given).spec ?? { containers: [] }

const apart = { task: { namespace: "agent-job-tasks" } }
/** A volume of each kind of Kubernetes that has a Secret for its driver, and one with attributes in which a driver may name its own. */
const volumesWithSecret = [
  { azureFile: { secretName: "s", shareName: "share" } },
  { cephfs: { monitors: ["m"], secretRef: { name: "s" } } },
  { cinder: { volumeID: "i", secretRef: { name: "s" } } },
  { flexVolume: { driver: "d", secretRef: { name: "s" } } },
  { iscsi: { iqn: "i", lun: 0, targetPortal: "t", secretRef: { name: "s" } } },
  { rbd: { image: "i", monitors: ["m"], secretRef: { name: "s" } } },
  { scaleIO: { gateway: "g", system: "s", secretRef: { name: "s" } } },
  { storageos: { volumeName: "v", secretRef: { name: "s" } } },
  { csi: { driver: "d", nodePublishSecretRef: { name: "s" } } },
  { csi: { driver: "file.csi.azure.com", volumeAttributes: { secretName: "s" } } }
]
const someVolume = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: volumesWithSecret.length - 1 })))
const volume = { name: "v", persistentVolumeClaim: { claimName: "mirror" } }

describe("the Secrets that an installation has for itself", () => {
  it.prop("are all in a task's Pod that no task named, but those of which the runner has all", [places, someVolume], ([places, at]) => {
    const extraVolumes = [{ name: "v", ...volumesWithSecret[at] }]
    const config = configIn(merge(fileOf(rowsAt(places)), { task: { extraVolumes } }))
    if (config === undefined) return
    const ofRunner = config.task.runner.envFrom.flatMap(({ secretRef }) => secretRef?.name ?? [])
    expect(secretsIn(specOf(taskOf(), config, 1)).filter((name) => !ownSecrets(config).includes(name) && !ofRunner.includes(name))).toEqual(
      []
    )
  }, { arbitrary: { runs: 500 } })

  const fromSecret = [{ secretRef: { name: "s" } }]
  it.each<readonly [what: string, values: object, own: ReadonlyArray<string>]>([
    ["the one for a client certificate alone, without any", {}, []],
    ["those that images are pulled with", { global: { imagePullSecrets: [{ name: "s" }] } }, ["s"]],
    ["the client certificate", { global: { tls: { clientCertSecret: { name: "s" } } } }, ["s"]],
    [
      "the one with the roots to trust, beside which an authority may have its key",
      { global: { tls: { caBundleSecret: { name: "s" } } } },
      ["s"]
    ],
    [
      "the tokens of mirrors",
      { agent: { providerNetworkMirrors: [{ url: "https://m.example.com/", include: ["a/*/*"], tokenSecret: { name: "s", key: "k" } }] } },
      ["s"]
    ],
    ["the worker's environment", { task: { worker: { extraEnvFrom: fromSecret } } }, ["s"]],
    ["the agent's, which the worker has too", { agent: { extraEnvFrom: fromSecret } }, ["s"]],
    ["not what the runner has as well", { global: { extraEnvFrom: fromSecret } }, []],
    ["a sidecar's environment", { task: { sidecars: [{ name: "c", image: "i", envFrom: fromSecret }] } }, ["s"]],
    [
      "a sidecar's variable",
      { task: { sidecars: [{ name: "c", image: "i", env: [{ name: "A", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }] }] } },
      ["s"]
    ],
    ["a volume", { task: { extraVolumes: [{ name: "v", secret: { secretName: "s" } }] } }, ["s"]],
    ["a part of a volume", { task: { extraVolumes: [{ name: "v", projected: { sources: [{ secret: { name: "s" } }] } }] } }, ["s"]],
    ...volumesWithSecret.map((volume) =>
      [
        `what a volume is mounted with: ${Object.keys(volume).join()}`,
        { task: { extraVolumes: [{ name: "v", ...volume }] } },
        ["s"]
      ] as const
    )
  ])(
    "are %s",
    (_, { task = {}, ...values }: { task?: object }, own) =>
      expect([...ownSecrets(configOf({ ...values, task: { ...apart.task, ...task } }))].sort()).toEqual(
        [...new Set(["agent-job-client-certificate", ...own])].sort()
      )
  )

  it.each(["agent-job", "blue"])("are those of controller and server too, where the tasks are in the namespace of %s", (name) => {
    const values = { agent: { tokenExistingSecret: { name: "pool" } }, controller: { extraEnvFrom: fromSecret } }
    const [beside, elsewhere] = [configOf(values, { name }), configOf({ ...values, ...apart }, { name })]
    const [statefulSet] = secureServer(configOf(values)).flatMap((object) =>
      // as it is shipped
      object.kind === "StatefulSet" ? [JSON.parse(JSON.stringify(object))] : []
    )
    expect(ownSecrets(beside)).toEqual(
      [`${name}-client-certificate`, "pool", "s", ...secretsIn(statefulSet.spec.template.spec)].sort()
    )
    expect(ownSecrets(elsewhere)).toEqual([`${name}-client-certificate`])
    expect(ownSecrets(configOf({ agent: { token: "t" } }))).toContain(
      install(configOf({ agent: { token: "t" } })).find(({ kind }) => kind === "Secret")?.metadata?.name
    )
  })
})

describe("the claims that an installation has for itself", () => {
  const own = (values: object) => ownClaims(configOf(values))

  it("are that of the cache under its name, whether there is one now or was one", () => {
    expect(own(apart)).toEqual(["agent-job-cache"])
    expect(own({ ...apart, persistence: { enabled: true } })).toEqual(["agent-job-cache"])
    expect(own({ ...apart, persistence: { enabled: true, persistentVolumeClaim: { claimName: "mine" } } })).toEqual([
      "agent-job-cache",
      "mine"
    ])
  })

  it("are those of further volumes that the runner does not write anyway", () => {
    const readOnly = { ...volume, persistentVolumeClaim: { ...volume.persistentVolumeClaim, readOnly: true } }
    const mounted = (mount: object, extraVolume: object = volume) =>
      own({
        task: { ...apart.task, extraVolumes: [extraVolume], runner: { extraVolumeMounts: [{ name: "v", mountPath: "/v", ...mount }] } }
      })
    expect(mounted({ readOnly: true })).toContain("mirror")
    expect(mounted({}, readOnly)).toContain("mirror") // the volume is read-only, though the mount does not say so
    expect(mounted({})).not.toContain("mirror")
    expect(own({ task: { ...apart.task, extraVolumes: [volume] } })).toContain("mirror")
  })

  it("are those of which the runner writes a folder alone", () => {
    const mounted = (...mounts: ReadonlyArray<object>) =>
      own({
        task: {
          ...apart.task,
          extraVolumes: [volume],
          runner: { extraVolumeMounts: mounts.map((mount, index) => ({ name: "v", mountPath: `/v${index}`, ...mount })) }
        }
      })
    expect(mounted({ subPath: "shared" })).toContain("mirror")
    expect(mounted({ subPathExpr: "$(POD_NAME)" })).toContain("mirror")
    expect(mounted({ subPath: "shared" }, {})).not.toContain("mirror")
  })

  it.each(["agent-job", "blue"])(
    "are the server's, where the tasks are in the namespace of %s",
    (name) => expect(ownClaims(configOf({}, { name }))).toEqual([`${name}-cache`, "data-agent-job-server-0"].sort())
  )
})
