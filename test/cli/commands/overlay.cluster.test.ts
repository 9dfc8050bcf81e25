// The law of overlays, with the real kustomize: an overlay builds exactly what the same values render.
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"
import { readFileSync } from "node:fs"
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, relative, resolve as absolute } from "node:path"
import { parse } from "yaml"
import { contentsOf } from "../../../src/cli/values/base-contents.ts"
import { overlayFiles } from "../../../src/cli/values/overlay-files.ts"
import { install } from "../../../src/core/manifest/installation/install.ts"
import { secureServer, server } from "../../../src/core/manifest/installation/server.ts"
import { misreadName } from "../../../src/core/overlay/identity.ts"
import { type Options, overlay } from "../../../src/core/overlay/overlay.ts"
import { baseLayer, componentLayers } from "../../../src/core/overlay/shipped.ts"
import { resolve, type ResolvedConfig } from "../../../src/core/resolve/resolve.ts"
import { type Tree, union } from "../../../src/schema/document/layers.ts"
import { yamlLayer } from "../../../src/schema/document/yaml-layer.ts"
import { parseLayers, parseTrees, parseValues, type Values } from "../../../src/schema/values/values.ts"
import { configIn, fileOf, places, rowsAt } from "../../core/manifest/some-values.ts"
import { begin, dryRun, end } from "../../kustomize/api-server.ts"
import { build, buildOf, type Built, idOf, meaningOf } from "../../kustomize/build.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { ran } from "../typed.ts"

interface Installation {
  readonly name: string
  readonly namespace: string
}

/** Returns what kustomize builds from the overlay for a values file. */
const built = async (file: Tree, of: Installation, options: Options = {}, base = "kustomize/base"): Promise<ReadonlyArray<Built>> => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "agent-job-overlay-")))
  try {
    const files = overlayFiles(
      overlay(Result.getOrThrow(parseValues(file)), of, options),
      relative(folder, absolute(base)),
      ""
    )
    await Promise.all(Object.entries(files).map(([path, content]) => writeFile(join(folder, path), content)))
    return await build(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Makes a base of this one and these components for the length of a test. Returns its folder. */
const baseWith = async (resource: string, components: ReadonlyArray<string>, more: object = {}): Promise<string> => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "agent-job-base-")))
  onTestFinished(() => rm(folder, { recursive: true }))
  const at = (path: string) => relative(folder, absolute("kustomize", path))
  const kustomization = { resources: [at(resource)], components: components.map((_) => at(`components/${_}`)), ...more }
  await writeFile(join(folder, "kustomization.yaml"), JSON.stringify(kustomization))
  return folder
}

const standaloneWith = (components: ReadonlyArray<string>): Promise<string> => baseWith("overlays/standalone", components)

const configOf = (values: Tree, of: Installation): ResolvedConfig => resolve(Result.getOrThrow(parseValues(values)), of)

const isConfig = ({ name }: ResolvedConfig) => ({ kind, metadata }: Built): boolean =>
  kind === "ConfigMap" && metadata.name === `${name}-config`

/** Returns the values that the controller reads from the data of the ConfigMap. */
const valuesIn = (data: unknown): Values => {
  const layers = Object.entries(data as Readonly<Record<string, string>>).sort(([a], [b]) => a < b ? -1 : 1).map(([name, text]) =>
    Result.getOrThrow(yamlLayer(name, text))
  )
  return Result.getOrThrow(parseLayers(layers))
}

/**
 * Returns the objects in a form to compare: the ConfigMap as the values that the controller reads from it, and no Secrets, because an
 * overlay never contains a token.
 */
const told = (objects: ReadonlyArray<object>, config: ResolvedConfig): unknown => {
  const all = objects.map((_) => JSON.parse(JSON.stringify(_)) as Built)
  const { data, ...rest } = all.find(isConfig(config)) ?? { data: {} }
  return {
    ...meaningOf(all.filter((_) => _.kind !== "Secret" && !isConfig(config)(_))),
    config: [rest, valuesIn(data)]
  }
}

const equal = async (file: Tree, of: Installation): Promise<void> => {
  const config = configOf(file, of)
  const objects = await built(file, of)
  expect(new Set(objects.map(idOf)).size).toBe(objects.length)
  expect(told(objects, config)).toEqual(told(install(config), config))
}

const valuesFiles = places.pipe(Arbitrary.map((chosen) => fileOf(rowsAt(chosen))), Arbitrary.filter((file) => configIn(file) !== undefined))

const ours: Installation = { name: "agent-job", namespace: "agent-job" }
const Installations = Schema.Struct({
  name: Schema.Literals(["agent-job", "scalr", "a", "agent-job-task", "on", "1e"]),
  namespace: Schema.Literals(["agent-job", "agent-job-tasks", "scalr"])
})

const identities = [
  { name: "plan", workspaces: ["a"], stages: ["plan"], annotations: { "example.com/role": "reader" } },
  { name: "agent-job-plan", workspaces: ["b"] },
  { name: "plan.b", workspaces: ["c"], labels: { team: "a" } },
  { name: "x-plan", workspaces: ["d"] },
  { name: "theirs", workspaces: ["*"], create: false }
]
const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

describe("an overlay", () => {
  // Each run builds two installations at a time, because kustomize takes most of the time.
  it.effect.prop(
    "builds what the same values render, whatever they are and whatever the installation is called",
    [valuesFiles, Installations, valuesFiles, Installations],
    ([file, of, other, ofOther]) => Effect.promise(() => Promise.all([equal(file, of), equal(other, ofOther)])),
    { arbitrary: { runs: 25 } }
  )

  it("is refused for just those names that kustomize writes as something else than text where an object refers to them", async () => {
    const misread = [
      "123",
      "09",
      "017",
      "1e3",
      "1e-3",
      "1.e3",
      "1.5",
      "0x1f",
      "0o17",
      "0b11",
      "2024-01-31",
      "2024-1-2",
      "true",
      "false",
      "null"
    ]
    const others = [
      "on",
      "off",
      "yes",
      "no",
      "y",
      "n",
      "1e",
      "0x",
      "0b2",
      "0o8",
      "1-0",
      "1.2.3",
      "2024-01",
      "24-01-31",
      "nan",
      "inf",
      "a1",
      "true1"
    ]
    const names = [...misread, ...others]
    const account = (index: number) => ({ kind: "ServiceAccount", name: `account-${index}`, namespace: "a" })
    const accounts = names.map((_, index) => ({ apiVersion: "v1", kind: "ServiceAccount", metadata: account(index) }))
    const bindings = names.map((name, index) => ({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: `of-${name}`, namespace: "a" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "a" },
      subjects: [account(index)]
    }))
    const patches = names.map((name, index) => ({
      target: { kind: "ServiceAccount", name: `^account-${index}$` },
      options: { allowNameChange: true },
      patch: JSON.stringify([{ op: "replace", path: "/metadata/name", value: name }])
    }))
    const objects = await buildOf(() => ({ resources: ["all.yaml"], patches }), { "all.yaml": [...accounts, ...bindings] })
    const isText = (name: string) =>
      objects.some(({ metadata, subjects }) => metadata.name === `of-${name}` && JSON.stringify(subjects).includes(`"name":"${name}"`))
    expect(names.filter((name) => !isText(name))).toEqual(misread)
    const config = (name: string) => configOf({ task: { namespace: "tasks" } }, { name, namespace: "a" })
    expect(names.filter((name) => misreadName(config(name)) !== undefined)).toEqual(misread)
  })

  it("has all but the definition of AgentTask where that is another installation's", async () => {
    const isDefinition = ({ kind }: Pick<Built, "kind">) => kind === "CustomResourceDefinition"
    const [alone, all] = [
      await built({}, { name: "blue", namespace: "green" }, { withoutCrd: true }),
      await built({}, { name: "blue", namespace: "green" })
    ]
    expect(alone).toEqual(all.filter((_) => !isDefinition(_)))
    expect(all.filter(isDefinition)).toHaveLength(1)
  })

  it.each([
    { speaks: "HTTP", components: [], expected: server },
    { speaks: "HTTPS", components: ["server-tls"], expected: secureServer }
  ])(
    "gives the server of a base where it speaks $speaks what the values give every Pod and every container",
    async ({ components, expected }) => {
      const file = {
        agent: { image: { tag: "9" } },
        controller: { podSecurityContext: { fsGroup: null } },
        global: { extraEnv: { A: "1" }, imagePullSecrets: [{ name: "pull" }], labels: { owner: "b" }, podLabels: { team: "a" } },
        task: { namespace: "agent-job-tasks" }
      }
      const base = await standaloneWith(components)
      const objects = await built(file, ours, await Effect.runPromise(contentsOf({ reference: base, chosen: true }, ".")), base)
      const all = meaningOf(objects)
      const wanted = meaningOf(expected(configOf(file, ours)))
      expect(Object.fromEntries(Object.keys(wanted).map((id) => [id, all[id]]))).toEqual(wanted)
    }
  )

  it.each<{ given: string; file: Tree; of?: Installation }>([
    { given: "the defaults", file: {} },
    { given: "tasks where the base has them", file: { task: { namespace: "agent-job-tasks" } } },
    {
      given: "everything the components say",
      file: { persistence: { enabled: true }, restrictMetadataService: true, task: { namespace: "agent-job-tasks" } }
    },
    {
      given: "both namespaces the other way round",
      file: { task: { namespace: "agent-job" } },
      of: { name: "x", namespace: "agent-job-tasks" }
    },
    {
      given: "an account called as that of the base's tasks",
      file: { serviceAccount: { name: "agent-job-task" } },
      of: { name: "x", namespace: "x" }
    },
    {
      given: "what null takes away, also of a component",
      file: {
        agent: { securityContext: { runAsUser: null, seccompProfile: null } },
        controller: { podSecurityContext: { fsGroup: null }, resources: null },
        task: { podSecurityContext: null, runner: { securityContext: { runAsUser: null } } }
      }
    },
    ...[
      { where: "", file: {}, of: ours },
      { where: " and policies", file: { admissionPolicies: { enabled: true }, task: { namespace: "agent-job-tasks" } }, of: ours },
      { where: " of another installation", file: { fullnameOverride: "x" }, of: { name: "y", namespace: "z" } },
      { where: " in exchanged namespaces", file: { task: { namespace: "agent-job" } }, of: { name: "x", namespace: "agent-job-tasks" } },
      { where: " without the controller's account", file: { serviceAccount: { create: false } }, of: { name: "x", namespace: "x" } }
    ].map(({ file, of, where }) => ({ given: `identities${where}`, file: union(file, { task: { identities } }), of })),
    {
      given: "certificates in namespaces that are exchanged",
      file: { global: { tls: { caBundle: certificate } }, task: { namespace: "agent-job" } },
      of: { name: "x", namespace: "agent-job-tasks" }
    },
    {
      given: "texts that kustomize takes for others, or refuses, unless they are in double quotes",
      file: {
        controller: { extraEnv: { A: "\ta\nb", B: " \n" } },
        task: { runner: { extraEnv: { A: "a\u0085b\u2028c\ufeff", B: "\u007f\u009f\ufffe" } } } // in the values alone
      }
    },
    {
      given: "an account that is not made and is called as a number",
      file: { serviceAccount: { create: false, name: "123" } }
    },
    {
      given: "an account that is not made",
      file: { serviceAccount: { create: false, name: "agent-job" } },
      of: { name: "x", namespace: "x" }
    }
  ])("builds what is rendered of $given", ({ file, of = ours }) => equal(file, of))
})

describe("an overlay of values with secrets in the clear", () => {
  it.live("builds what is rendered of the same values with references to Secrets, as it says in its values.yaml", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder("in-the-clear")
      const [given, out] = [join(folder, "given.yaml"), join(folder, "out")]
      const env = [{ name: "API_TOKEN", value: "hunter2" }, { name: "URL", value: "https://me:$(API_TOKEN)@example.com" }]
      const file = {
        controller: { extraEnv: { GITHUB_PAT: "hunter2" } },
        global: { extraEnv: { DB_PASSWORD: "hunter2" } },
        task: { podSecurityContext: null, sidecars: [{ name: "db", image: "db", env }] }
      }
      yield* Effect.promise(() => writeFile(given, JSON.stringify(file)))
      expect((yield* ran({}, "overlay", "--values", given, "--out", out)).error).toBe("")
      const values = parse(readFileSync(join(out, "values.yaml"), "utf8")) as Tree
      const objects = yield* Effect.promise(async () => build(await realpath(out)))
      const config = configOf(values, ours)
      expect(told(objects, config)).toEqual(told(install(config), config))
      expect(config.task.runner.env).toMatchObject({ DB_PASSWORD: "$(DB_PASSWORD)" })
      expect(JSON.stringify(objects)).not.toContain("hunter2")
    }))
})

describe("an overlay over a base with components", () => {
  beforeAll(begin)
  afterAll(end)

  const {
    admission,
    ha,
    "no-ingress": noIngress,
    "node-cache": nodeCache,
    "restrict-metadata": restrictMetadata,
    "separate-users": separateUsers
  } = componentLayers
  const standalone = { base: () => "kustomize/overlays/standalone", layers: [admission, noIngress, restrictMetadata] }
  const production = { base: () => "kustomize/overlays/production", layers: [admission, noIngress, ha, separateUsers] }
  const withCache = { base: () => standaloneWith(["node-cache"]), layers: [...standalone.layers, nodeCache] }
  const pool = { agent: { url: "https://server.example.com", tokenExistingSecret: { name: "agent-job-pool-token" } } }

  const forOpenShift = parse(
    /\*\*OpenShift\*\*[^]*?```yaml\n([^]*?)```/u.exec(readFileSync("kustomize/README.md", "utf8"))?.[1] ?? ""
  ) as Tree

  /** Writes the overlay as a person does, and returns what kustomize builds from it. */
  const over = (base: string, file: Tree, of = ours) =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder("over-base")
      const [given, out] = [join(folder, "given.yaml"), join(folder, "out")]
      yield* Effect.promise(() => writeFile(given, JSON.stringify(file)))
      const names = ["--name", of.name, "--namespace", of.namespace]
      const { error } = yield* ran({}, "overlay", "--values", given, "--base", base, "--out", out, ...names)
      expect(error).toBe("")
      return yield* Effect.promise(async () => build(await realpath(out)))
    })

  it.live.each<{ given: string; name: string; of: { base: () => string | Promise<string>; layers: ReadonlyArray<Tree> }; file: Tree }>([
    { given: "nothing", name: "standalone", of: standalone, file: {} },
    { given: "nothing", name: "production", of: production, file: {} },
    { given: "nothing", name: "one with a cache on the node", of: withCache, file: {} },
    { given: "keys that tasks may set", name: "standalone", of: standalone, file: { task: { allowedKeys: ["example.com/"] } } },
    { given: "keys that tasks may set", name: "production", of: production, file: { task: { allowedKeys: ["example.com/"] } } },
    {
      given: "another directory of the node",
      name: "one with a cache on the node",
      of: withCache,
      file: { task: { extraVolumes: [{ name: "ca", hostPath: { path: "/etc/ssl" } }] } }
    },
    {
      given: "what a component says, and the Secrets that tasks may name",
      name: "standalone",
      of: standalone,
      file: { admissionPolicies: { enabled: true, secrets: ["team-*"] }, task: { networkPolicy: { denyIngress: true } } }
    },
    { given: "users of OpenShift's, as the README has them", name: "standalone", of: standalone, file: forOpenShift },
    { given: "users of OpenShift's, as the README has them", name: "production", of: production, file: forOpenShift },
    { given: "another number of controllers", name: "production", of: production, file: { controller: { replicas: 3 } } }
  ])("has what the values render over what the components of the base set: $given, over $name", ({ file, of }) =>
    Effect.gen(function*() {
      const objects = yield* over(yield* Effect.promise(async () => of.base()), union(pool, file))
      const all = meaningOf(objects)
      const values = Result.getOrThrow(parseTrees([baseLayer, ...of.layers, pool, file]))
      const config = resolve(values, ours)
      const wanted = meaningOf(
        install(config).filter(({ kind, metadata }) => kind !== "ConfigMap" || metadata?.name !== "agent-job-config")
      )
      expect(Object.fromEntries(Object.keys(wanted).map((id) => [id, all[id]]))).toEqual(wanted)
      expect(objects.filter(({ kind }) => kind.startsWith("ValidatingAdmissionPolicy"))).toHaveLength(12)
      expect(yield* Effect.promise(() => dryRun(objects))).toHaveLength(objects.length)
    }))

  const hub = {
    configMapGenerator: [{
      name: "agent-job-pool",
      literals: ["url=http://agent-job-server.hub:8080", "secret=token-of-hub"],
      options: { annotations: { "config.kubernetes.io/local-config": "true" } }
    }]
  }
  const [blue, spoke] = [{ name: "blue", namespace: "agent-job" }, { name: "spoke", namespace: "spoke" }]
  const ofHub = () => baseWith("base", ["admission", "pool"], hub)
  const shared = { task: { namespace: "agent-job" } }
  it.live.each<{ file: Tree; of: Installation; base: () => string | Promise<string>; has: ReadonlyArray<string> }>([
    { file: shared, of: ours, base: standalone.base, has: ["agent-job-user-token", "data-agent-job-server-0"] },
    { file: shared, of: blue, base: standalone.base, has: ["agent-job-user-token", "data-agent-job-server-0"] },
    { file: { task: { namespace: "spoke" } }, of: spoke, base: ofHub, has: ["token-of-hub"] },
    { file: { task: { networkPolicy: { denyPods: true } } }, of: blue, base: standalone.base, has: [] },
    {
      file: { global: { proxy: { httpProxy: "http://proxy.example.com:3128" } } },
      of: spoke,
      base: ofHub,
      has: [",agent-job-server.hub\""]
    }
  ])(
    "says of the server that the base names what the controller's values say: $file, as $of",
    ({ base, file, has, of }) =>
      Effect.gen(function*() {
        const objects = yield* over(yield* Effect.promise(async () => base()), file, of)
        const isValues = isConfig(resolve(Result.getOrThrow(parseValues({})), of))
        const wanted = meaningOf(install(resolve(valuesIn(objects.find(isValues)?.["data"]), of)).filter((_) => _.kind !== "ConfigMap"))
        const all = meaningOf(objects)
        expect(Object.fromEntries(Object.keys(wanted).map((id) => [id, all[id]]))).toEqual(wanted)
        const said = JSON.stringify(objects.filter(({ kind }) => kind === "Deployment" || kind === "ValidatingAdmissionPolicy"))
        expect(has.filter((_) => !said.includes(_))).toEqual([])
      })
  )

  const inTasks = ["task-ingress", "metadata-service"]
  it.live.each<{ given: string; file: Tree; tasks: ReadonlyArray<string>; controller?: ReadonlyArray<string> }>([
    { given: "what the base has too", file: { restrictMetadataService: true }, tasks: inTasks },
    {
      given: "the identity that EKS gives Pods",
      file: { restrictMetadataService: true, task: { networkPolicy: { cloudIdentity: "eks" } } },
      tasks: [...inTasks, "cloud-identity"]
    },
    { given: "the credentials of the node", file: { restrictMetadataService: false }, tasks: ["task-ingress"], controller: [] },
    { given: "no other Pods", file: { task: { networkPolicy: { denyPods: true } } }, tasks: ["task-ingress", "task-egress"] }
  ])(
    "has over standalone the policies that values ask for, and no wider one beside them: $given",
    ({ controller, file, tasks }) =>
      Effect.gen(function*() {
        const objects = yield* over("kustomize/overlays/standalone", file)
        const policies = (wanted: string) =>
          objects.filter(({ kind, metadata }) => kind === "NetworkPolicy" && metadata.namespace === wanted).map(({ metadata }) =>
            metadata.name
          )
        const named = (names: ReadonlyArray<string>) => new Set(names.map((name) => `agent-job-${name}`))
        expect(new Set(policies("agent-job-tasks"))).toEqual(named(tasks))
        expect(new Set(policies("agent-job"))).toEqual(named(controller ?? ["metadata-service"]))
      })
  )

  it.live("takes the admission policies along where the values give the tasks another namespace", () =>
    Effect.gen(function*() {
      const policies = (objects: ReadonlyArray<object>) =>
        meaningOf(objects.filter((_) => "kind" in _ && String(_.kind).startsWith("ValidatingAdmissionPolicy")))
      const file = { task: { namespace: "agent-job" } }
      expect(policies(yield* over("kustomize/overlays/standalone", file))).toEqual(
        policies(install(configOf(union(file, admission), ours)))
      )
    }))
})
