// Checks whether rendered objects are as the facts say, each fact by itself; the same for committed and for generated cases.
// Invariant: a value that the facts expect and that is not found fails its check; what the facts leave open is not checked.
// Used by cases.test.ts, which shows that each check can fail.
import type { V1Container, V1PodTemplateSpec, V1Volume, V1VolumeMount } from "@kubernetes/client-node"
import { isDeepStrictEqual } from "node:util"
import type { ContainerFacts, Facts, Name, PodFacts, TaskContainerFacts, Texts } from "./facts.ts"
import {
  type Connection,
  containerOf,
  containersOf,
  controllerIn,
  dataOf,
  environmentOf,
  mountsTokenByItself,
  named,
  type Objects,
  ofKind,
  reaches,
  secretsOf,
  taskIn
} from "./objects.ts"
import { inForce, inForceWithin, isWithin, sameAmount, tolerationsSaid } from "./same.ts"

export interface Check {
  readonly fact: string
  readonly holds: boolean
  readonly expected: unknown
  readonly rendered: unknown
}
type Checks = ReadonlyArray<Check>

const check = (fact: string, holds: boolean, expected: unknown, rendered: unknown): Check => ({ fact, holds, expected, rendered })
const equal = (fact: string, expected: unknown, rendered: unknown): Check =>
  check(fact, isDeepStrictEqual(expected, rendered), expected, rendered)
const amount = (fact: string, expected: unknown, rendered: unknown): Check =>
  check(fact, sameAmount(expected, rendered), expected, rendered)
const eachKey = (fact: string, a: object, b: object, one: (fact: string, key: string) => Check): Checks =>
  [...new Set([...Object.keys(a), ...Object.keys(b)])].map((key) => one(`${fact}.${key}`, key))

const dnsName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/u
const name = (fact: string, expected: Name, rendered = ""): Check =>
  typeof expected === "string"
    ? equal(fact, expected, rendered)
    : check(
      fact,
      rendered.length <= 63 && dnsName.test(rendered) && rendered.startsWith(expected.startsWith) &&
        rendered.includes(expected.contains ?? ""),
      expected,
      rendered
    )

/** Annotations that a program may put on its own objects. */
const ownMark =
  /^([a-z0-9.-]+\.)?scalr\.io\/|^checksum\/|^kubectl\.kubernetes\.io\/default-|^cluster-autoscaler\.kubernetes\.io\/safe-to-evict|^karpenter\.sh\/do-not-/u
const annotations = (fact: string, expected: Texts, absent: ReadonlyArray<string>, rendered: Texts = {}): Checks => [
  ...Object.entries(expected).map(([key, value]) => equal(`${fact}.${key}`, value, rendered[key])),
  equal(
    `${fact} (no others)`,
    [],
    Object.keys(rendered).filter((key) => !(key in expected) && (absent.includes(key) || !ownMark.test(key)))
  )
]

const container = (fact: string, facts: ContainerFacts, template: V1PodTemplateSpec | undefined, found: V1Container): Checks => {
  const env = environmentOf(found)
  const { limits = {}, requests = {} } = found.resources ?? {}
  const security = inForceWithin(template?.spec ?? { containers: [] }, found)
  return [
    equal(`${fact}.image`, facts.image, found.image),
    equal(`${fact}.pullPolicy`, facts.pullPolicy, found.imagePullPolicy),
    ...Object.entries(facts.env).map(([key, value]) => equal(`${fact}.env.${key}`, value, env[key])),
    equal(`${fact}.env (none of another)`, [], facts.envAbsent.filter((key) => key in env)),
    ...eachKey(
      `${fact}.resources.limits`,
      facts.resources.limits ?? {},
      limits,
      (fact, key) => amount(fact, facts.resources.limits?.[key], limits[key])
    ),
    ...eachKey(
      `${fact}.resources.requests`,
      facts.resources.requests ?? {},
      requests,
      (fact, key) => amount(fact, facts.resources.requests?.[key], requests[key])
    ),
    ...eachKey(
      `${fact}.securityContext`,
      inForce(facts.securityContext),
      security,
      (fact, key) => equal(fact, inForce(facts.securityContext)[key], security[key])
    )
  ]
}

const pod = (fact: string, facts: PodFacts, template: V1PodTemplateSpec | undefined): Checks => [
  ...annotations(`${fact}.podAnnotations`, facts.podAnnotations, facts.podAnnotationsAbsent, template?.metadata?.annotations),
  equal(`${fact}.nodeSelector`, facts.nodeSelector, template?.spec?.nodeSelector ?? {}),
  equal(`${fact}.tolerations`, tolerationsSaid(facts.tolerations), tolerationsSaid(template?.spec?.tolerations)),
  equal(`${fact}.affinity`, facts.affinity, template?.spec?.affinity ?? {}),
  equal(`${fact}.imagePullSecrets`, [...facts.imagePullSecrets].sort(), (template?.spec?.imagePullSecrets ?? []).map((_) => _.name).sort()),
  equal(`${fact}.terminationGracePeriodSeconds`, facts.terminationGracePeriodSeconds, template?.spec?.terminationGracePeriodSeconds),
  equal(`${fact}.podSecurityContext`, inForce(facts.podSecurityContext), inForce(template?.spec?.securityContext))
]

const controller = ({ controller: facts }: Facts, objects: Objects): Checks => {
  const deployment = controllerIn(objects)
  const template = deployment?.spec?.template
  const found = containerOf(template?.spec, "controller") ?? { name: "" }
  const told = JSON.stringify([deployment, ...ofKind(objects, "ConfigMap"), ...ofKind(objects, "Secret").map(dataOf)])
  return [
    ...container("controller", facts, template, found),
    ...pod("controller", facts, template),
    name("controller.name", facts.name, deployment?.metadata?.name),
    name("controller.serviceAccountName", facts.serviceAccountName, template?.spec?.serviceAccountName ?? "default"),
    equal("controller.automount", facts.automount, mountsTokenByItself(objects, template?.spec)),
    check(
      "controller.dataDirMount",
      (found.volumeMounts ?? []).some(({ mountPath, readOnly }) => mountPath === facts.dataDirMount && readOnly !== true),
      facts.dataDirMount,
      found.volumeMounts
    ),
    ...facts.url === undefined ? [] : [check("controller.url", told.includes(facts.url), facts.url, "nowhere")]
  ]
}

const called = <A extends { readonly name: string }>(all: ReadonlyArray<A>, name: string | undefined): A | undefined =>
  all.find((one) => one.name === name)

const mounts = (fact: string, facts: TaskContainerFacts, { volumeMounts = [] }: V1Container): Checks => [
  ...facts.extraVolumeMounts.map((mount) =>
    check(`${fact}.extraVolumeMounts.${mount.mountPath}`, isWithin([mount], volumeMounts), mount, volumeMounts)
  ),
  equal(
    `${fact}.extraVolumeMounts (none of the other)`,
    [],
    facts.extraVolumeMountsAbsent.filter(({ mountPath }) => volumeMounts.some((mount) => mount.mountPath === mountPath))
  )
]

const data = (
  { job: { data: facts, extraVolumes } }: Facts,
  all: ReadonlyArray<V1Volume>,
  worker: ReadonlyArray<V1VolumeMount>,
  runner: ReadonlyArray<V1VolumeMount>
): Checks => {
  const volumes = all.filter((volume) => called(extraVolumes, volume.name) === undefined)
  const root = worker.find(({ mountPath, readOnly }) => mountPath === facts.mountPath && readOnly !== true)
  const claims = volumes.filter(({ persistentVolumeClaim }) => persistentVolumeClaim !== undefined)
  const isClaim = (mount: V1VolumeMount) => called(claims, mount.name) !== undefined
  const shared = [
    check("job.data.mountPath", root !== undefined, facts.mountPath, worker),
    check("job.data.sharedWithRunner", runner.some((mount) => mount.name === root?.name), facts.sharedWithRunner, runner),
    equal("job.data.kind", facts.kind === "emptyDir" ? 0 : 1, claims.length)
  ]
  if (facts.kind === "emptyDir") {
    return [...shared, amount("job.data.sizeLimit", facts.sizeLimit, called(volumes, root?.name)?.emptyDir?.sizeLimit)]
  }
  const paths = [...worker, ...runner].filter(isClaim).map(({ subPath = "" }) => subPath)
  return [
    ...shared,
    name("job.data.claimName", facts.claimName, claims[0]?.persistentVolumeClaim?.claimName),
    check(
      "job.data.claimMountedBelow",
      worker.some(isClaim) && worker.filter(isClaim).every(({ mountPath }) => `${mountPath}/`.startsWith(`${facts.mountPath}/`)),
      facts.mountPath,
      worker
    ),
    equal("job.data.runnerMountsClaim", facts.runnerMountsClaim, runner.some(isClaim)),
    check(
      "job.data.subPath",
      paths.every((path) => facts.subPath === "" ? !path.startsWith("/") : `${path}/`.startsWith(`${facts.subPath}/`)),
      facts.subPath,
      paths
    )
  ]
}

const task = (facts: Facts, objects: Objects): Checks => {
  const found = taskIn(objects)
  const template = found?.spec?.template
  const volumes = template?.spec?.volumes ?? []
  const [worker, runner] = ["worker", "runner"].map((part) => containerOf(template?.spec, part) ?? { name: "" })
  const { job } = facts
  const tokens = (of: V1Container = { name: "" }) =>
    (of.volumeMounts ?? []).flatMap((mount) => called(volumes, mount.name)?.projected?.sources ?? [])
      .flatMap(({ serviceAccountToken: token }) =>
        token === undefined || token.audience !== undefined ? [] : [token.expirationSeconds ?? 3600]
      )
  return [
    ...pod("job", job, template),
    equal("job.backoffLimit", job.backoffLimit, found?.spec?.backoffLimit),
    equal("job.ttlSecondsAfterFinished", job.ttlSecondsAfterFinished, found?.spec?.ttlSecondsAfterFinished),
    check("job.name", /^.{1,63}$/u.test(found?.metadata?.name ?? ""), "1 to 63 characters", found?.metadata?.name),
    ...worker === undefined || runner === undefined ? [] : [
      ...container("job.worker", job.worker, template, worker),
      ...mounts("job.worker", job.worker, worker),
      ...container("job.runner", job.runner, template, runner),
      ...mounts("job.runner", job.runner, runner),
      ...data(facts, volumes, worker.volumeMounts ?? [], runner.volumeMounts ?? [])
    ],
    ...job.sidecars.map((sidecar) =>
      check(`job.sidecars.${sidecar.name}`, isWithin([sidecar], containersOf(template?.spec)), sidecar, containersOf(template?.spec))
    ),
    ...job.extraVolumes.map((volume) => check(`job.extraVolumes.${volume.name}`, isWithin([volume], volumes), volume, volumes)),
    equal("job.tokenTTL", [job.tokenTTL], [...new Set(tokens(worker))]),
    equal("job.runnerHasApiToken", job.runnerHasApiToken, mountsTokenByItself(objects, template?.spec) || tokens(runner).length > 0)
  ]
}

const account = ({ serviceAccount: facts }: Facts, objects: Objects): Checks => {
  const found = named(ofKind(objects, "ServiceAccount"), controllerIn(objects)?.spec?.template.spec?.serviceAccountName ?? "default")
  return [
    equal("serviceAccount.create", facts.create, found !== undefined),
    ...!facts.create ? [] : [
      name("serviceAccount.name", facts.name, found?.metadata?.name),
      ...annotations("serviceAccount.annotations", facts.annotations, [], found?.metadata?.annotations),
      ...Object.entries(facts.labels).map(([key, value]) => equal(`serviceAccount.labels.${key}`, value, found?.metadata?.labels?.[key]))
    ]
  ]
}

const token = ({ tokenSecret: facts }: Facts, objects: Objects): Checks => {
  const spec = controllerIn(objects)?.spec?.template.spec
  const read = secretsOf(spec, containerOf(spec, "controller") ?? { name: "" })
  const secrets = ofKind(objects, "Secret")
  if ("name" in facts) {
    return [
      check("tokenSecret.name", read.some((_) => _.name === facts.name), facts.name, read),
      check("tokenSecret.key", read.some((_) => _.name === facts.name && (_.key ?? facts.key) === facts.key), facts.key, read),
      equal("tokenSecret.notRendered", undefined, named(secrets, facts.name)?.metadata?.name)
    ]
  }
  const values = read.flatMap((_) =>
    Object.entries(dataOf(named(secrets, _.name) ?? {})).flatMap(([key, value]) => (_.key ?? key) === key ? [value] : [])
  )
  const others = objects.filter(({ kind }) => kind !== "Secret").filter((object) =>
    JSON.stringify(object).includes(JSON.stringify(facts.value).slice(1, -1))
  )
  return [
    check("tokenSecret.value", values.includes(facts.value), facts.value, values),
    equal("tokenSecret.onlyInSecrets", [], others.map(({ kind }) => kind))
  ]
}

const open: ReadonlyArray<Connection> = [
  { address: "9.9.9.9", port: 443, protocol: "TCP" },
  { address: "10.1.0.1", port: 6443, protocol: "TCP" },
  { address: "192.168.7.7", port: 53, protocol: "UDP" },
  { address: "2001:db8::7", port: 443, protocol: "TCP" },
  { address: "fd00:7::a", port: 53, protocol: "UDP" }
]

const network = ({ networkPolicy: facts }: Facts, objects: Objects): Checks =>
  ([["controller", controllerIn(objects)?.spec?.template], ["task", taskIn(objects)?.spec?.template]] as const).flatMap((
    [part, template]
  ) => [
    ...facts.deniedCIDRs.map((cidr) =>
      equal(
        `networkPolicy.appliesTo.${part}`,
        !facts.appliesTo[part],
        [80, 443].some((port) => reaches(objects, template, { address: cidr.replace(/\/32$/u, ""), port, protocol: "TCP" }))
      )
    ),
    equal(`networkPolicy.otherEgress.${part}`, [], open.filter((connection) => !reaches(objects, template, connection)))
  ])

const claim = ({ job: { extraVolumes }, persistentVolumeClaim: facts }: Facts, objects: Objects): Checks => {
  const [found] = ofKind(objects, "PersistentVolumeClaim")
  const used = (taskIn(objects)?.spec?.template.spec?.volumes ?? []).filter((volume) => called(extraVolumes, volume.name) === undefined)
    .map(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName)
  return [
    equal("persistentVolumeClaim.present", facts.present, found !== undefined),
    ...!facts.present ? [] : [
      check("persistentVolumeClaim.usedByJob", used.includes(found?.metadata?.name ?? ""), found?.metadata?.name, used),
      name("persistentVolumeClaim.name", facts.name, found?.metadata?.name),
      equal("persistentVolumeClaim.accessModes", facts.accessModes, found?.spec?.accessModes),
      amount("persistentVolumeClaim.storage", facts.storage, found?.spec?.resources?.requests?.["storage"]),
      equal("persistentVolumeClaim.storageClassName", facts.storageClassName, found?.spec?.storageClassName ?? null)
    ]
  ]
}

const namespaced = ["Deployment", "Job", "ServiceAccount", "Secret", "NetworkPolicy", "PersistentVolumeClaim"]

export const compare = (facts: Facts, objects: Objects): Checks => {
  const identities = objects.map(({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`)
  return [
    ...[controller, task, account, token, network, claim].flatMap((part) => part(facts, objects)),
    equal(
      "namespace",
      [],
      objects.filter(({ kind, metadata }) => namespaced.includes(kind) && metadata.namespace !== facts.namespace).map(({ kind }) => kind)
    ),
    equal("objects (each once)", [], identities.filter((identity, index) => identities.indexOf(identity) !== index))
  ]
}
