import { describe, expect, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { parse, parseAllDocuments } from "yaml"
import { parseLayers } from "../../src/schema/values/values.ts"

interface ExternalSecret {
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: { readonly target: { readonly name: string }; readonly data: ReadonlyArray<{ readonly secretKey: string }> }
}

const read = (file: string) => readFileSync(file, "utf8")
const inGit = globSync("kustomize/**/*.yaml").sort()
const readme = read("kustomize/README.md")

/** The names of the Secrets that the installations of the overlays mount. */
const mounted = [
  ...new Set(
    ["pool/patch-deployment", "server/stateful-set"].flatMap((file) =>
      [...read(`kustomize/components/${file}.yaml`).matchAll(/secretName: (\S+)/gu)].map(([, name = ""]) => name)
    )
  )
].sort()

describe("Secrets", () => {
  it("are in no folder here", () => {
    expect(
      inGit.filter((file) =>
        parseAllDocuments(read(file)).some((document) => (document.toJS() as { readonly kind?: string } | null)?.kind === "Secret")
      )
    ).toEqual([])
  })

  it("that the overlays mount are those that the README tells of", () => {
    const told = [...readme.matchAll(/^\| `(agent-job-[a-z-]+-token)` \|/gmu)].map(([, name = ""]) => name)
    expect(told.sort()).toEqual(mounted)
  })

  it("come from External Secrets under the names, in the namespace and with the key that are mounted", () => {
    const found = parseAllDocuments(read("kustomize/samples/secrets/external-secrets.yaml")).map((_) => _.toJS() as ExternalSecret)
    expect(found.map(({ spec: { target } }) => target.name).sort()).toEqual(mounted)
    for (const { metadata, spec } of found) {
      expect(metadata).toEqual({ name: spec.target.name, namespace: "agent-job" })
      expect(spec.data.map(({ secretKey }) => secretKey)).toEqual(["token"])
    }
  })

  it("are tried again by Flux until the namespace is there, which nothing that makes it waits for", () => {
    const { spec } = parse(read("kustomize/samples/secrets/flux-decryption.yaml")) as { readonly spec: object }
    expect(spec).toMatchObject({ retryInterval: "1m" })
    const waits = globSync("{flux,kustomize}/**/*.yaml").filter((file) => read(file).includes("name: agent-job-secrets"))
    expect(waits).toEqual(["kustomize/samples/secrets/flux-decryption.yaml"])
  })

  it("are encrypted by SOPS where the README says to put them, and nothing but their data", () => {
    const [rule] = (parse(read("kustomize/samples/secrets/sops-rules.yaml")) as {
      readonly creation_rules: ReadonlyArray<{ readonly path_regex: string; readonly encrypted_regex: string }>
    }).creation_rules
    const path = /(\S+\.yaml)\n +sops encrypt/u.exec(readme)?.[1] ?? ""
    expect(path.replace(">", "")).toMatch(new RegExp(rule?.path_regex ?? "$^", "u"))
    for (const [key, encrypted] of [["data", true], ["stringData", true], ["metadata", false]] as const) {
      expect(new RegExp(rule?.encrypted_regex ?? "", "u").test(key)).toBe(encrypted)
    }
  })
})

describe("the values in the README", () => {
  it("are valid", () => {
    const blocks = [...readme.matchAll(/```yaml\n# values\.yaml\n([^]*?)```/gu)].map(([, text = ""]) =>
      parse(text) as { readonly [key: string]: unknown }
    )
    const pool = { agent: { tokenExistingSecret: { name: "agent-job-pool-token" } } }
    expect(
      blocks.map((tree) =>
        parseLayers([pool, tree].map((tree) => ({ name: "values.yaml", tree, place: () => ({ line: 1, column: 1 }) })))._tag
      )
    ).toEqual(["Success"])
  })
})
