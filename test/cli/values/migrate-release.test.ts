// What the migration of a release leaves out of its overlay with --without-crd, and what it takes from the base. migrate.cluster.test.ts tests
// everything else.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "yaml"
import { baseReference } from "../../../src/cli/values/base-reference.ts"
import { migrateRelease } from "../../../src/cli/values/migrate-release.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { releaseSecret } from "../helm-secret.ts"
import { against, list } from "../scripted-cluster.ts"
import { toldScreen } from "../told-screen.ts"

/** Returns the Secret of the release as an API server returns it. */
const secret = (more: object) => {
  const { metadata, ...rest } = releaseSecret({ name: "blue", namespace: "scalr", ...more })
  return { ...rest, metadata: { ...metadata, uid: "u", resourceVersion: "1" } }
}

const migrated = (base: Option.Option<string>, withoutCrd: boolean, more: object = {}, url = Option.none<string>()) =>
  Effect.gen(function*() {
    const out = join(yield* temporaryFolder("migrate"), "out")
    const work = migrateRelease({
      release: "blue",
      namespace: Option.some("scalr"),
      image: Option.some("registry.example.com/agent-job:0.1.0"),
      runnerImage: Option.some("registry.example.com/agent-job-runner:0.1.0"),
      url,
      base: yield* baseReference(base, out),
      out,
      withoutCrd
    })
    const screen = toldScreen()
    yield* against(
      work.pipe(Effect.provide(screen.layer), Effect.provide(NodeServices.layer)),
      { "/api/v1/namespaces/scalr/secrets": list(secret(more)) }
    )
    return { read: (name: string) => readFileSync(join(out, name), "utf8"), told: screen.of("line") }
  })

const baseWith = Effect.fnUntraced(function*(components: ReadonlyArray<string>) {
  const base = yield* temporaryFolder("base")
  const at = (path: string) => `https://git.example.com/agent-job//kustomize/${path}?ref=v0.1.0`
  const kustomization = { resources: [at("base")], components: components.map((_) => at(`components/${_}`)) }
  writeFileSync(join(base, "kustomization.yaml"), JSON.stringify(kustomization))
  return base
})

it.live.each([
  { components: [], namespace: "", isBeside: true },
  { components: ["no-ingress"], namespace: "agent-job-tasks", isBeside: false }
])(
  "has the tasks of a release where the components of the base have theirs, and says so: over one with $components",
  ({ components, isBeside, namespace }) =>
    Effect.gen(function*() {
      const { read } = yield* migrated(Option.some(yield* baseWith(components)), false)
      expect(parse(read("values.yaml"))).toMatchObject({ task: { namespace } })
      expect(read("MIGRATION.md").includes("Tasks run in namespace scalr, beside the controller")).toBe(isBeside)
    })
)

it.live("moves a release that names no server to that of the base, with a Secret of its own for its token", () =>
  Effect.gen(function*() {
    const base = yield* temporaryFolder("base")
    const at = (path: string) => `https://git.example.com/agent-job//kustomize/${path}?ref=v0.1.0`
    const literals = ["url=https://jobs.example.com", "secret=token-of-hub"]
    const configMapGenerator = [{ name: "agent-job-pool", literals }]
    writeFileSync(
      join(base, "kustomization.yaml"),
      JSON.stringify({ resources: [at("base")], components: [at("components/pool")], configMapGenerator })
    )
    const { read } = yield* migrated(Option.some(base), false, { config: { agent: { token: "hunter2" } } })
    expect(parse(read("values.yaml"))).toMatchObject({ agent: { tokenExistingSecret: { name: "blue-token" } } })
    expect(read("MIGRATION.md")).toContain("Work comes from https://jobs.example.com (`agent.url`)")
    expect(read("MIGRATION.md")).toContain("Make the Secret `blue-token`")
  }))

it.live("asks for the server where neither the release nor the base tells it, so that it does not get the token of the release", () =>
  Effect.gen(function*() {
    const [base, release] = [Option.some(yield* baseWith(["pool"])), { config: { agent: { token: "hunter2" } } }]
    expect((yield* Effect.flip(migrated(base, false, release))).message).toBe(
      "The base takes work from a server by component pool, and which one cannot be read here, and the release names none; name it with --url, so that it does not get the token of the release."
    )
    const { read } = yield* migrated(base, false, release, Option.some("https://jobs.example.com"))
    expect(read("MIGRATION.md")).not.toContain(".config.agent.token")
  }))

it.live.each([
  { components: [], withoutCrd: true, isPatched: true, isTold: true },
  { components: [], withoutCrd: false, isPatched: false, isTold: false },
  { components: ["without-crd"], withoutCrd: true, isPatched: false, isTold: true },
  { components: ["without-crd"], withoutCrd: false, isPatched: false, isTold: true }
])(
  "leaves the definition out of the overlay, of its commands and of what they say: --without-crd $withoutCrd, over one with $components",
  ({ components, isPatched, isTold, withoutCrd }) =>
    Effect.gen(function*() {
      const { read } = yield* migrated(Option.some(yield* baseWith(components)), withoutCrd)
      expect(read("kustomization.yaml").includes("patch-custom-resource-definition.yaml")).toBe(isPatched)
      expect(read("kustomization.yaml").split("\n")[0]?.includes(" --without-crd ")).toBe(withoutCrd)
      expect(read("MIGRATION.md").includes("kubectl apply --server-side -k ")).toBe(isTold)
    })
)

it.live("tells of secrets that the defaults of the chart have, which its commands do not make, and of those that stay in the clear", () =>
  Effect.gen(function*() {
    const { read, told } = yield* migrated(Option.none(), false, {
      defaults: { task: { runner: { extraEnv: { DB_PASSWORD: "hunter2" } } } },
      config: { global: { extraEnv: { URL: "https://$(USER):hunter3@db" } } }
    })
    expect(told).toEqual(expect.arrayContaining([
      "  kubectl -n scalr create secret generic blue-runner-env --from-file=DB_PASSWORD",
      expect.stringContaining("values.yaml still has secrets in the clear: global.extraEnv.URL.")
    ]))
    expect(read("values.yaml") + told.join("")).not.toContain("hunter2")
  }))
