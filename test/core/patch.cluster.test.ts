import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { difference } from "../../src/core/patch.ts"
import { configOf } from "./configs.ts"
import { install } from "../../src/core/manifest/install.ts"
import { type Built, buildOf } from "../kustomize/build.ts"

const few = <S extends Schema.Top>(schema: S) => Schema.Array(schema).check(Schema.isMaxLength(4))
const maybe = Schema.optionalKey
const Name = Schema.Literals(["a", "b", "c", "d"])
const Text = Schema.Literals(["", "x", "yes", "0755", "null", "1e3", "two\nlines"])
const Labels = Schema.Record(Name, Text)

const Variable = Schema.Union([
  Schema.Struct({ name: Name, value: Text }),
  Schema.Struct({ name: Name, valueFrom: Schema.Struct({ secretKeyRef: Schema.Struct({ name: Name, key: Name }) }) })
])
const Volume = Schema.Union([
  Schema.Struct({ name: Name, emptyDir: Schema.Struct({ sizeLimit: maybe(Text) }) }),
  Schema.Struct({ name: Name, configMap: Schema.Struct({ name: Name, items: maybe(few(Schema.Struct({ key: Name, path: Name }))) }) })
])
const Container = Schema.Struct({
  name: Name,
  image: Text,
  args: maybe(few(Text)),
  env: maybe(few(Variable)),
  envFrom: maybe(few(Schema.Struct({ secretRef: Schema.Struct({ name: Name }) }))),
  ports: maybe(few(Schema.Struct({ containerPort: Schema.Literals([80, 81]), protocol: maybe(Schema.Literals(["TCP", "UDP"])) }))),
  resources: maybe(Schema.Struct({ limits: maybe(Labels) })),
  volumeMounts: maybe(few(Schema.Struct({ name: Name, mountPath: Schema.Literals(["/a", "/b", "/c"]), readOnly: maybe(Schema.Boolean) })))
})
const Workload = Schema.Struct({
  labels: maybe(Labels),
  annotations: maybe(Labels),
  replicas: maybe(Schema.Literals([0, 1, 2])),
  containers: few(Container),
  initContainers: maybe(few(Container)),
  hostAliases: maybe(few(Schema.Struct({ ip: Name, hostnames: few(Name) }))),
  imagePullSecrets: maybe(few(Schema.Struct({ name: Name }))),
  nodeSelector: maybe(Labels),
  tolerations: maybe(few(Schema.Struct({ key: maybe(Name), operator: Schema.Literals(["Exists", "Equal"]) }))),
  topologySpreadConstraints: maybe(few(Schema.Struct({ topologyKey: Name, maxSkew: Schema.Literals([1, 2]), whenUnsatisfiable: Name }))),
  volumes: maybe(few(Volume))
})

/** What tells the elements of a list apart, for the API server. */
const keys: Readonly<Record<string, (element: Readonly<Record<string, unknown>>) => unknown>> = {
  containers: ({ name }) => name,
  env: ({ name }) => name,
  hostAliases: ({ ip }) => ip,
  imagePullSecrets: ({ name }) => name,
  initContainers: ({ name }) => name,
  ports: ({ containerPort }) => containerPort, // kustomize loses one of two with the same number if its protocol is left out
  topologySpreadConstraints: ({ topologyKey, whenUnsatisfiable }) => `${topologyKey} ${whenUnsatisfiable}`,
  volumeMounts: ({ mountPath }) => mountPath,
  volumes: ({ name }) => name
}
const unordered = ["hostAliases", "imagePullSecrets", "volumeMounts", "volumes"]

/** No two elements of one key. */
const valid = (data: unknown, field = ""): unknown => {
  if (Array.isArray(data)) {
    const key = keys[field]
    const elements = data.map((_) => valid(_) as Readonly<Record<string, unknown>>)
    return key === undefined ? elements : elements.filter((element, index) => elements.findIndex((_) => key(_) === key(element)) === index)
  }
  return typeof data === "object" && data !== null ? Object.fromEntries(Object.entries(data).map(([name, value]) => [name, valid(value, name)])) : data
}

/** What says nothing is left out: the order of some lists, and what is empty. */
const meaning = (data: unknown, field = ""): unknown => {
  if (Array.isArray(data)) {
    const elements = data.map((_) => meaning(_))
    return unordered.includes(field) ? elements.sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1) : elements
  }
  if (typeof data !== "object" || data === null) return data
  const fields = Object.entries(data).map(([name, value]) => [name, meaning(value, name)] as const)
  return Object.fromEntries(fields.filter(([, value]) => !(typeof value === "object" && value !== null && Object.keys(value).length === 0)).sort(([a], [b]) => a < b ? -1 : 1))
}

const workload = (name: string, { annotations, labels, replicas, ...pod }: typeof Workload.Type): Built => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace: "a", ...(labels && { labels }), ...(annotations && { annotations }) },
  spec: { ...(replicas !== undefined && { replicas }), template: { spec: valid(pod) as object } }
})

const byName = (objects: ReadonlyArray<Built>) => Object.fromEntries(objects.map((object) => [`${object.kind}/${object.metadata.namespace}/${object.metadata.name}`, meaning(object)]))

/** What is there whatever is taken away: kustomize refuses to build nothing. */
const anchor: Built = { apiVersion: "v1", kind: "Namespace", metadata: { name: "anchor" } }

const patched = (from: ReadonlyArray<Built>, to: ReadonlyArray<Built>) => {
  const { added, patches } = difference(from, to)
  const files = { "from.yaml": [...from, anchor], ...(added.length > 0 && { "added.yaml": added }) }
  return byName(buildOf({ resources: Object.keys(files), patches: patches.map((patch) => ({ patch: JSON.stringify(patch) })) }, files).filter(({ kind }) => kind !== "Namespace"))
}

describe("the difference between objects", () => {
  const Pairs = Schema.Array(Schema.Struct({ before: maybe(Workload), after: maybe(Workload) })).check(Schema.isMaxLength(30))

  it.prop("applied by kustomize, makes one into the other", [Pairs], ([pairs]) => {
    const [from, to] = (["before", "after"] as const).map((side) => pairs.flatMap((pair, index) => pair[side] === undefined ? [] : [workload(`w${index}`, pair[side])]))
    expect(patched(from ?? [], to ?? [])).toEqual(byName(to ?? []))
  }, { arbitrary: { runs: 25 } })

  it.each([
    { agent: { token: "t", url: "https://example.com", extraEnv: { PATH_OF_A: "$(POD_NAME)", B: 1 } } },
    { persistence: { enabled: true }, restrictMetadataService: true, serviceAccount: { create: false, name: "theirs" } },
    { controller: { nodeSelector: { a: "b" }, tolerations: [{ operator: "Exists" }], securityContext: { runAsUser: 7 }, resources: { limits: null } }, global: { imagePullSecrets: [{ name: "p" }] } }
  ])("of installations gives the one from the other, there and back: %j", (values) => {
    const [before, after] = [configOf(), configOf(values)].map((config) => JSON.parse(JSON.stringify(install(config))) as ReadonlyArray<Built>)
    expect(patched(before ?? [], after ?? [])).toEqual(byName(after ?? []))
    expect(patched(after ?? [], before ?? [])).toEqual(byName(before ?? []))
  })
})
