import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import { parse } from "yaml"
import { ran } from "../typed.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "an overlay-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

const out = () => join(folder, "out")
const read = (name: string) => readFileSync(join(out(), name), "utf8")
const overlay = (values: object, ...args: ReadonlyArray<string>) => {
  writeFileSync(join(folder, "given.yaml"), JSON.stringify(values))
  return ran({}, "overlay", "--values", join(folder, "given.yaml"), "--out", out(), ...args)
}

const withSecrets = {
  controller: { extraEnv: { GITHUB_PAT: "hunter2" } },
  global: { extraEnv: { DB_PASSWORD: "hunter2", REGION: "eu" } },
  task: {
    namespace: "green-tasks",
    sidecars: [{ name: "db", image: "db", env: [{ name: "REGION", value: "eu" }, { name: "API_TOKEN", value: "hunter2" }] }]
  }
}

describe("agent-job overlay", () => {
  it.live("writes a kustomization over the base of the checkout, and the values beside it", () =>
    Effect.gen(function*() {
      const { code, error, out: said } = yield* overlay(
        { agent: { token: "hunter2", url: "https://example.com" }, task: { namespace: "agent-job-tasks" } },
        "--namespace",
        "agent-job"
      )
      expect([code, error]).toEqual([0, ""])
      expect(said).toBe([
        `Wrote ${out()}: kustomization.yaml, values.yaml, patch-deployment.yaml`,
        "The token is in none of them. Make its Secret, with the token on standard input: kubectl -n agent-job create secret generic agent-job-token --from-file=token=/dev/stdin",
        `Install it, once there is namespace agent-job and agent-job-tasks, with: kubectl apply --server-side -k '${out()}'`,
        ""
      ].join("\n"))
      expect(parse(read("kustomization.yaml"))).toEqual({
        apiVersion: "kustomize.config.k8s.io/v1beta1",
        kind: "Kustomization",
        resources: [relative(out(), "kustomize/base")],
        configMapGenerator: [{ name: "agent-job-config", namespace: "agent-job", behavior: "merge", files: ["values.yaml"] }],
        patches: [{ path: "patch-deployment.yaml" }]
      })
      expect(readdirSync(out()).map(read).join("")).not.toContain("hunter2")
    }))

  it.live("takes out the secrets that variables have in the clear, also those of sidecars, and says which Secrets to make where", () =>
    Effect.gen(function*() {
      const { code, error, out: said } = yield* overlay(withSecrets, "--name", "blue", "--namespace", "green")
      expect([code, error]).toEqual([0, ""])
      const make = (namespace: string, secret: string, key: string) =>
        `  kubectl -n ${namespace} create secret generic ${secret} --from-file=${key}`
      expect(said.split("\n").slice(1, -3)).toEqual([
        "The secrets in the clear that were recognised, by name or form, are in none of them: global.extraEnv.DB_PASSWORD, controller.extraEnv.GITHUB_PAT, task.sidecars[0].env[1].value. Write each into a file with the name of its key and no line end, and make these Secrets; to one that is there, add the key:",
        make("green", "blue-env", "DB_PASSWORD"),
        make("green-tasks", "blue-env", "DB_PASSWORD"),
        make("green", "blue-controller-env", "GITHUB_PAT"),
        make("green-tasks", "blue-sidecar-db-env", "API_TOKEN")
      ])
      expect(readdirSync(out()).map(read).join("") + said).not.toContain("hunter2")
      expect(parse(read("values.yaml"))).toMatchObject({
        controller: { extraEnv: { GITHUB_PAT: "$(GITHUB_PAT)" }, extraEnvFrom: [{ secretRef: { name: "blue-controller-env" } }] },
        global: { extraEnv: { DB_PASSWORD: "$(DB_PASSWORD)", REGION: "eu" }, extraEnvFrom: [{ secretRef: { name: "blue-env" } }] },
        task: {
          sidecars: [{
            env: [{ name: "REGION", value: "eu" }, {
              name: "API_TOKEN",
              valueFrom: { secretKeyRef: { name: "blue-sidecar-db-env", key: "API_TOKEN" } }
            }]
          }]
        }
      })
    }))

  it.live("needs no other Secret where one more variable is a secret, and none where the values have only references", () =>
    Effect.gen(function*() {
      yield* overlay(withSecrets, "--name", "blue")
      const before = parse(read("values.yaml"))
      expect((yield* overlay(before, "--name", "blue")).out).not.toContain("in the clear")
      expect(parse(read("values.yaml"))).toEqual(before)
      yield* overlay(
        { ...before, global: { ...before.global, extraEnv: { ...before.global.extraEnv, NEW_TOKEN: "hunter2" } } },
        "--name",
        "blue"
      )
      expect(parse(read("values.yaml")).global).toEqual({
        extraEnv: { DB_PASSWORD: "$(DB_PASSWORD)", NEW_TOKEN: "$(NEW_TOKEN)", REGION: "eu" },
        extraEnvFrom: [{ secretRef: { name: "blue-env" } }]
      })
    }))

  it.live("says which secrets have a $ for which the values have two", () =>
    Effect.gen(function*() {
      const { out: said } = yield* overlay({ global: { extraEnv: { DB_PASSWORD: "hunter$$2", GITHUB_PAT: "hunter2" } } })
      expect(said).toContain(
        " Write each into a file with the name of its key and no line end, with $ for each $$ in global.extraEnv.DB_PASSWORD (Kubernetes reads it so there, but not in a Secret), and make these Secrets;"
      )
    }))

  it.live("names the secrets that it leaves in the clear, beside references that no Secret replaces", () =>
    Effect.gen(function*() {
      const extraEnv = { DB_URL: "https://$(DB_USER):hunter2@db.example.com", DB_USER: "ada" }
      const { code, out: said } = yield* overlay({ global: { extraEnv } })
      expect([code, said.split("\n").at(-2)]).toEqual([
        0,
        "values.yaml still has secrets in the clear: global.extraEnv.DB_URL. Each is beside a $(NAME), which Kubernetes replaces in no text that a Secret gives; put the whole text into a Secret, and name that in extraEnvFrom, or in a sidecar's valueFrom."
      ])
      expect(parse(read("values.yaml")).global).toEqual({ extraEnv })
    }))

  it.live.each([
    {
      what: "a variable",
      values: withSecrets,
      at: "global.extraEnv.DB_PASSWORD, controller.extraEnv.GITHUB_PAT, task.sidecars[0].env[1].value"
    },
    { what: "the token", values: { agent: { token: "hunter2", url: "https://example.com" } }, at: "agent.token" }
  ])("refuses to write values.yaml anew while it has a secret, which would be gone: $what", ({ at, values }) =>
    Effect.gen(function*() {
      yield* overlay({}, "--name", "blue")
      writeFileSync(join(out(), "values.yaml"), `${read("values.yaml").split("\n")[0]}\n${JSON.stringify(values)}`)
      const before = read("values.yaml")
      const { code, error } = yield* ran({}, "overlay", "--values", join(out(), "values.yaml"), "--out", out(), "--name", "blue")
      expect([code, error]).toEqual([
        2,
        `error: ${
          join(out(), "values.yaml")
        } has secrets that it would not have any more once it is written anew (${at}), and it may be their only copy; take them out of it first, into a values file elsewhere, and name that one with a second --values.\n`
      ])
      expect(read("values.yaml")).toBe(before)
    }))

  it.live("takes secrets from a second file, and leaves that one as it is", () =>
    Effect.gen(function*() {
      yield* overlay({ global: { extraEnv: { REGION: "eu" } } }, "--name", "blue")
      writeFileSync(join(folder, "secret.yaml"), JSON.stringify(withSecrets))
      const files = ["--values", join(out(), "values.yaml"), "--values", join(folder, "secret.yaml")]
      const { code, out: said } = yield* ran({}, "overlay", ...files, "--out", out(), "--name", "blue")
      expect([code, said]).toEqual([0, expect.stringContaining("--from-file=DB_PASSWORD")])
      expect(parse(readFileSync(join(folder, "secret.yaml"), "utf8"))).toEqual(withSecrets)
    }))

  it.live("names the folder as a shell reads it", () =>
    Effect.gen(function*() {
      const ours = join(folder, "ada's")
      writeFileSync(join(folder, "given.yaml"), "{}")
      const { out: said } = yield* ran({}, "overlay", "--values", join(folder, "given.yaml"), "--out", ours)
      const [word] = /(?<= -k ).*/u.exec(said) ?? []
      expect(execFileSync("sh", ["-c", `printf '<%s>' ${word}`], { encoding: "utf8" })).toBe(`<${ours}>`)
    }))

  it.live("names the namespace of the tasks where the commands for them would look elsewhere", () =>
    Effect.gen(function*() {
      expect((yield* overlay({}, "--namespace", "green")).out.split("\n").at(-2)).toBe(
        "Its AgentTasks are in namespace green; get, logs and cancel find them with --namespace green."
      )
    }))

  it.live("takes a pinned remote base, with its components", () =>
    Effect.gen(function*() {
      yield* overlay({ persistence: { enabled: true } }, "--base", "https://git.example.com/agent-job//kustomize/base?ref=v0.1.0")
      expect(parse(read("kustomization.yaml"))).toMatchObject({
        resources: ["https://git.example.com/agent-job//kustomize/base?ref=v0.1.0"],
        components: ["https://git.example.com/agent-job//kustomize/components/persistence?ref=v0.1.0"]
      })
    }))

  it.live("leaves the definition of AgentTask to another installation where it is asked to, and says so in the command that writes it anew", () =>
    Effect.gen(function*() {
      const { out: said } = yield* overlay({}, "--name", "blue", "--namespace", "green", "--without-crd")
      expect(said).toContain(
        "once there is namespace green and the CustomResourceDefinition of the newest installation (kustomize/crd), with: kubectl apply"
      )
      expect(parse(read("patch-custom-resource-definition.yaml"))).toMatchObject({
        $patch: "delete",
        kind: "CustomResourceDefinition",
        metadata: { name: "atasks.scalr.io" }
      })
      expect(read("values.yaml").split("\n")[0]).toMatch(/ --without-crd --out \.$/u)
    }))

  it.live.each([{ args: [] }, { args: ["--without-crd"] }])(
    "leaves a base without the definition of AgentTask as it is, and says that the definition comes first: with $args",
    ({ args }) =>
      Effect.gen(function*() {
        mkdirSync(join(folder, "base"))
        const at = (path: string) => relative(join(folder, "base"), `kustomize/${path}`)
        const kustomization = { resources: [at("overlays/agent")], components: [at("components/without-crd")] }
        writeFileSync(join(folder, "base/kustomization.yaml"), JSON.stringify(kustomization))
        const { out: said } = yield* overlay({}, "--base", join(folder, "base"), ...args)
        expect(said).toContain(" and the CustomResourceDefinition of the newest installation (kustomize/crd), with: kubectl apply")
        expect(readdirSync(out()).filter((name) => name.startsWith("patch-"))).toEqual([])
      })
  )

  it.live("writes the same again from its own values, and takes away what it made before", () =>
    Effect.gen(function*() {
      yield* overlay({ controller: { nodeSelector: { a: "b" } } }, "--name", "blue", "--namespace", "green")
      const before = readdirSync(out()).map((name) => [name, read(name)])
      yield* ran({}, "overlay", "--values", join(out(), "values.yaml"), "--out", out(), "--name", "blue", "--namespace", "green")
      expect(readdirSync(out()).map((name) => [name, read(name)])).toEqual(before)
      writeFileSync(join(out(), "mine.yaml"), "kept")
      yield* overlay({ task: { namespace: "agent-job-tasks" } })
      expect(readdirSync(out()).sort()).toEqual(["kustomization.yaml", "mine.yaml", "values.yaml"])
    }))

  it.live("takes from a base with components what they set where the values say nothing, and says it no second time", () =>
    Effect.gen(function*() {
      const base = ["--base", "kustomize/overlays/production"]
      const { error, out: said } = yield* overlay({ task: { limits: { total: 20 } } }, ...base)
      expect(error).toBe("")
      expect(said).toContain("once there is namespace agent-job and agent-job-tasks, with")
      expect(parse(read("values.yaml"))).toEqual({ task: { limits: { total: 20 }, namespace: "agent-job-tasks" } })
      expect(readdirSync(out()).sort()).toEqual(["kustomization.yaml", "values.yaml"])
      const before = readdirSync(out()).map((name) => [name, read(name)])
      yield* ran({}, "overlay", "--values", join(out(), "values.yaml"), "--out", out(), ...base)
      expect(readdirSync(out()).map((name) => [name, read(name)])).toEqual(before)
    }))

  it.live.each([
    {
      given: "contradict what the base's components set",
      values: { controller: { replicas: 1 } },
      says: [
        "error: The values cannot be used over what the components of the base set; correct this and try again:",
        "  controller.podDisruptionBudget.minAvailable: is 1 of 1, so that no node with a controller could ever be drained; give fewer, or more controller.replicas"
      ]
    },
    {
      given: "have the tasks beside the controller, where the base has a policy of one name in each namespace",
      values: { task: { namespace: "agent-job" } },
      says: [
        "error: The values have the tasks in namespace agent-job, that of the controller, and the base closes all egress by policies of the same names in both; give the tasks another one, such as task.namespace: agent-job-tasks."
      ]
    }
  ])("refuses values that $given, and writes nothing", ({ says, values }) =>
    Effect.gen(function*() {
      const { code, error } = yield* overlay(values, "--base", "kustomize/overlays/production")
      expect([code, error.trimEnd().split("\n")]).toEqual([2, says])
      expect(readdirSync(folder)).not.toContain("out")
    }))

  it.live.each([
    { what: "ServiceAccount", name: "123", values: { serviceAccount: { name: "123" } }, args: [], by: "serviceAccount.name" },
    { what: "ServiceAccount", name: "1e3", values: {}, args: ["--name", "1e3"], by: "serviceAccount.name" },
    { what: "namespace", name: "2024", values: {}, args: ["--namespace", "2024"], by: "--namespace" },
    { what: "namespace", name: "true", values: { task: { namespace: "true" } }, args: [], by: "task.namespace" }
  ])(
    "refuses the $what $name, which kustomize would write as something else than text",
    ({ args, by, name, values, what }) =>
      Effect.gen(function*() {
        const { code, error } = yield* overlay(values, ...args)
        expect([code, error]).toEqual([
          2,
          `error: The ${what} of this overlay would be ${name}, and kustomize writes that as something else than text where another object refers to it; choose another name (${by}).\n`
        ])
        expect(readdirSync(folder)).not.toContain("out")
      })
  )

  it.live("refuses a directory with files that are not from here, and leaves it as it is", () =>
    Effect.gen(function*() {
      mkdirSync(out())
      writeFileSync(join(out(), "kustomization.yaml"), "resources: []\n")
      const { code, error } = yield* overlay({})
      expect([code, error]).toEqual([
        2,
        `error: ${out()} has files that agent-job overlay did not write (kustomization.yaml); name another directory with --out, or take them away.\n`
      ])
      expect(readdirSync(out()).map(read)).toEqual(["resources: []\n"])
    }))

  it.live.each([
    { place: "out", why: "it is a file, or below one" },
    { place: "out/deeper", why: "it is a file, or below one" },
    { place: "/proc/overlay", why: "no such file or directory" }
  ])("says so where it cannot write: $place", ({ place, why }) =>
    Effect.gen(function*() {
      writeFileSync(out(), "a file")
      const target = resolve(folder, place)
      const { code, error } = yield* ran({}, "overlay", "--out", target)
      expect([code, error]).toEqual([
        2,
        `error: Cannot write the overlay to ${target} (${why}); it is as it was. Name another directory with --out.\n`
      ])
      expect(readFileSync(out(), "utf8")).toBe("a file")
    }))

  it.live("makes the folders above it", () =>
    Effect.gen(function*() {
      const { code } = yield* ran({}, "overlay", "--out", join(out(), "a/b"))
      expect([code, readdirSync(join(out(), "a/b"))]).toEqual([0, expect.arrayContaining(["kustomization.yaml"])])
    }))

  it.live.each([
    {
      args: ["--base", "https://git.example.com/agent-job//kustomize/base"],
      says:
        "--base https://git.example.com/agent-job//kustomize/base names no version, so that it may be another one tomorrow; add one, such as ?ref=v0.1.0."
    },
    {
      args: ["--base", "docs"],
      says:
        "There is no kustomization.yaml that can be read in docs; name the base with --base: a directory, or https://HOST/OWNER/agent-job//kustomize/base?ref=v0.1.0."
    }
  ])(
    "refuses $args",
    ({ args, says }) => Effect.map(overlay({}, ...args), ({ code, error }) => expect([code, error]).toEqual([2, `error: ${says}\n`]))
  )

  const otherNames = ["--name", "blue", "--namespace", "blue"]

  it.live("refuses a base that makes another namespace than its own, which may be another installation's, and writes nothing", () =>
    Effect.gen(function*() {
      const { code, error } = yield* overlay(
        { task: { namespace: "blue-tasks" } },
        ...otherNames,
        "--base",
        "kustomize/overlays/standalone"
      )
      expect([code, error]).toEqual([
        2,
        "error: The base makes the namespaces agent-job and agent-job-tasks, by component namespaces, and this overlay is in blue, so that its removal would delete those, which may be another installation's; name a base without that component (\"Other names\" in kustomize/README.md).\n"
      ])
      expect(readdirSync(folder)).not.toContain("out")
    }))

  /** Makes a base of these components, with an input of component pool if there is a URL. */
  const baseOf = (components: ReadonlyArray<string>, url?: string) => {
    const base = join(folder, "base")
    mkdirSync(base)
    const at = (path: string) => `https://git.example.com/agent-job//kustomize/${path}?ref=v0.1.0`
    const kustomization = {
      resources: [at("base")],
      components: components.map((_) => at(`components/${_}`)),
      configMapGenerator: url === undefined ? [] : [{ name: "agent-job-pool", literals: [`url=${url}`, "secret=token-of-hub"] }]
    }
    writeFileSync(join(base, "kustomization.yaml"), JSON.stringify(kustomization))
    return base
  }

  const proxy = { global: { proxy: { httpProxy: "http://proxy.example.com:3128" } } }
  const denyPods = { task: { networkPolicy: { denyPods: true } } }
  const shared = { task: { namespace: "blue" } }
  const noGroup = { controller: { podSecurityContext: { fsGroup: null } } }
  const given = { agent: { url: "http://agent-job-server.hub.svc:8080", tokenExistingSecret: { name: "token-of-hub" } } }
  const opens = "the policy of task.networkPolicy.denyPods has to open it"
  const keeps = "the policies have to keep tasks from the Secret with its token"
  const reads = "the controller has to read the file with its token without an fsGroup"
  const asks = "a short name of it must not be asked through global.proxy"
  it.live.each<{ values: object; components: ReadonlyArray<string>; url?: string; but?: string }>([
    { values: denyPods, components: ["pool"], but: opens },
    { values: shared, components: ["admission", "pool"], but: keeps },
    { values: proxy, components: ["pool"], but: asks },
    { values: noGroup, components: ["pool"], but: reads },
    { values: { ...given, ...noGroup }, components: ["pool"] },
    { values: denyPods, components: ["pool"], url: "http://agent-job-server.hub.svc:8080" },
    { values: { ...given, ...denyPods, ...proxy }, components: ["pool"] },
    { values: denyPods, components: ["pool", "restricted-egress"] },
    { values: shared, components: ["pool"] },
    { values: { global: { proxy: { ...proxy.global.proxy, enabled: false } } }, components: ["pool"] },
    { values: { ...denyPods, ...proxy }, components: ["admission"] }
  ])(
    "asks which server gives work where the base does not tell and files depend on it: $values over $components, $url",
    ({ but, components, url, values }) =>
      Effect.gen(function*() {
        const { code, error } = yield* overlay(values, "--base", baseOf(components, url), ...otherNames)
        expect([code, error]).toEqual(
          but === undefined ? [0, ""] : [
            2,
            `error: The base takes work from a server by component pool, and which one cannot be read here, but ${but}; give agent.url and agent.tokenExistingSecret.name in the values too.\n`
          ]
        )
        expect(readdirSync(folder).includes("out")).toBe(but === undefined)
      })
  )

  it.live("has the token of the values in place of the Secret that the base names", () =>
    Effect.gen(function*() {
      const base = baseOf(["pool"], "http://agent-job-server.hub.svc:8080")
      const { code, error } = yield* overlay({ agent: { token: "hunter2" } }, "--base", base, ...otherNames)
      expect([code, error]).toEqual([0, ""])
      expect(parse(read("values.yaml"))).toHaveProperty("agent", { tokenExistingSecret: { name: "blue-token" } })
      expect(read("patch-deployment.yaml")).toContain("secretName: blue-token")
    }))

  it.live("has the Secret that the base names where a later file takes the token of the values back", () =>
    Effect.gen(function*() {
      const later = join(folder, "later.yaml")
      writeFileSync(later, JSON.stringify({ agent: { token: "" } }))
      const base = baseOf(["pool"], "http://agent-job-server.hub.svc:8080")
      const { code, error } = yield* overlay({ agent: { token: "hunter2" } }, "--values", later, "--base", base, ...otherNames)
      expect([code, error]).toEqual([0, ""])
      expect(read("values.yaml") + read("kustomization.yaml")).not.toContain("blue-token")
    }))

  it.live.each<{
    given: string
    values: object
    components: ReadonlyArray<string>
    url?: string
    args: ReadonlyArray<string>
    scheme: string | undefined
    unless?: boolean
  }>([
    { given: "a server in another namespace", values: {}, components: ["server"], args: otherNames, scheme: "http" },
    { given: "one that speaks HTTPS", values: {}, components: ["server", "server-tls"], args: otherNames, scheme: "https" },
    {
      given: "its address in the values",
      values: { agent: { token: "hunter2", url: "https://example.com" } },
      components: ["server"],
      args: otherNames,
      scheme: undefined
    },
    {
      given: "an address of the shipped namespace in the base",
      values: {},
      components: ["server", "pool"],
      url: "http://agent-job-server.agent-job.svc:8080",
      args: otherNames,
      scheme: "http"
    },
    {
      given: "a short address of the shipped namespace in the base",
      values: {},
      components: ["server", "pool"],
      url: "http://agent-job-server.agent-job:8080",
      args: otherNames,
      scheme: "http"
    },
    {
      given: "its address in the base",
      values: {},
      components: ["server", "pool"],
      url: "http://agent-job-server.blue.svc:8080",
      args: otherNames,
      scheme: undefined
    },
    { given: "one that cannot be read", values: {}, components: ["server", "pool"], args: otherNames, scheme: "http", unless: true },
    { given: "no server in the base", values: {}, components: [], args: otherNames, scheme: undefined },
    { given: "the server where it was", values: {}, components: ["server"], args: ["--name", "blue"], scheme: undefined }
  ])(
    "says what comes with a server in another namespace, and what does not: $given",
    ({ args, components, scheme, unless = false, url, values }) =>
      Effect.gen(function*() {
        const { code, out: said } = yield* overlay(values, "--base", baseOf(components, url), ...args)
        expect([code, said.split("\n").filter((_) => _.startsWith("Its server"))]).toEqual([
          0,
          scheme === undefined
            ? []
            : [
              `Its server is in namespace blue, and a new one begins with an empty volume: the states of one elsewhere do not come along (docs/state.md). Set agent.url to its address${
                unless ? ", unless the base has it" : ""
              }: ${scheme}://agent-job-server.blue.svc:8080`
            ]
        ])
      })
  )

  it.live.each([
    { values: { agent: { url: "" } }, components: ["pool"], says: true },
    { values: {}, components: ["pool"], says: false },
    { values: { agent: { url: "" } }, components: [], says: false }
  ])(
    "says that the server of the base is asked no more where $values says so over $components: $says",
    ({ components, says, values }) =>
      Effect.gen(function*() {
        const { code, out: said } = yield* overlay(
          values,
          "--base",
          baseOf(components, "http://agent-job-server.hub.svc:8080"),
          ...otherNames
        )
        expect([code, said.includes("Leave that key out to go on with the server of the base.")]).toEqual([0, says])
      })
  )

  it.live("refuses a base that lists what cannot be read, and writes nothing", () =>
    Effect.gen(function*() {
      for (const name of ["base", "team"]) mkdirSync(join(folder, name))
      writeFileSync(join(folder, "base/kustomization.yaml"), "resources: [../team]")
      symlinkSync("kustomization.yaml", join(folder, "team/kustomization.yaml"))
      const { code, error } = yield* overlay({}, "--base", join(folder, "base"))
      expect([code, error]).toEqual([
        2,
        `error: Cannot read the kustomization in ${
          join(folder, "team")
        } (too many symbolic links encountered); correct that, or name another base with --base.\n`
      ])
      expect(readdirSync(folder)).not.toContain("out")
    }))
})
