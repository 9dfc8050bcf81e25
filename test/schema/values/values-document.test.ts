// The JSON Schema of values files and the decoder accept the same files, except where one key rules out another.
import { describe, expect, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Arbitrary, Result } from "effect"
import { readFileSync } from "node:fs"
import { isTree } from "../../../src/schema/document/layers.ts"
import { valueKeys } from "../../../src/schema/values/values-document.ts"
import { parseValues } from "../../../src/schema/values/values.ts"
import { document, made, Tape } from "./made-file.ts"

const published: unknown = JSON.parse(readFileSync("schemas/values.schema.json", "utf8"))
const matches = new Ajv2020({ allowUnionTypes: true, strictRequired: false, strictTypes: false }).compile(
  isTree(published) ? published : {}
)
const problems = (file: unknown): ReadonlyArray<string> => Result.match(parseValues(file), { onFailure: (_) => _, onSuccess: () => [] })

/** Files that the schema accepts and the decoder refuses, because of what one key says about another. */
const acrossKeys = [
  { says: "needs admissionPolicies.enabled", file: { admissionPolicies: { secrets: ["a"] } } },
  { says: "needs admissionPolicies.enabled", file: { admissionPolicies: { tokenRequesters: ["a"] } } },
  { says: "closes nothing without", file: { task: { networkPolicy: { privateCidrs: ["203.0.113.0/24"] } } } },
  ...["256.0.0.0/8", "01.0.0.0/8", "1::2::/64", "1:2:3:4:5:6:7:8:9/64", ":/8"].map((cidr) => ({
    says: "is no network",
    file: { task: { networkPolicy: { denyPods: true, privateCidrs: [cidr] } } }
  })),
  { says: "is open already", file: { task: { networkPolicy: { cloudIdentity: "gke" } } } },
  { says: "agent.auth.token: differs from agent.token", file: { agent: { token: "a", auth: { token: "b" } } } },
  {
    says: "agent.token: is given, and agent.tokenExistingSecret.name too",
    file: { agent: { token: "a", tokenExistingSecret: { name: "b" } } }
  },
  { says: "agent.url: needs a token", file: { agent: { url: "https://example.com" } } },
  {
    says: "is there already; give that one",
    file: { task: { identities: [{ name: "a", workspaces: ["a"] }, { name: "a", workspaces: ["b"] }] } }
  },
  {
    says: "no task ever has it",
    file: { task: { identities: [{ name: "a", workspaces: ["*"] }, { name: "b", workspaces: ["b"] }] } }
  },
  {
    says: "is the controller's account",
    file: { serviceAccount: { name: "a" }, task: { identities: [{ name: "a", workspaces: ["a"] }] } }
  },
  { says: "is the name of a volume of ours", file: { task: { extraVolumes: [{ name: "data" }] } } },
  { says: "is the name of a container of ours", file: { task: { sidecars: [{ name: "worker" }] } } },
  {
    says: "is no container of a task's Pod",
    file: {
      task: {
        job: { podFailurePolicy: { rules: [{ action: "FailJob", onExitCodes: { containerName: "x", operator: "In", values: [1] } }] } }
      }
    }
  },
  { says: "there is no volume", file: { task: { runner: { extraVolumeMounts: [{ name: "a", mountPath: "/a" }] } } } },
  { says: "allowPrivilegeEscalation: true too", file: { agent: { securityContext: { privileged: true } } } },
  { says: "is less than the request of", file: { task: { worker: { resources: { limits: { cpu: "1m" } } } } } },
  { says: "is no resource of a container", file: { task: { worker: { resources: { limits: { a: 1 } } } } } },
  { says: "must be a whole number, since", file: { task: { worker: { resources: { limits: { "a/b": 0.5 } } } } } },
  { says: "needs the same amount in limits", file: { task: { worker: { resources: { requests: { "a/b": 1 } } } } } },
  {
    says: "must be more than 0, since a claim of that size is made",
    file: { persistence: { enabled: true, persistentVolumeClaim: { storage: 0 } } }
  },
  { says: "needs localhostProfile", file: { agent: { securityContext: { seccompProfile: { type: "Localhost" } } } } },
  { says: "is no address that a program can ask", file: { agent: { url: "http://a:99999", token: "a" } } },
  { says: "is Unmasked, which Kubernetes refuses", file: { agent: { securityContext: { procMount: "Unmasked" } } } },
  { says: "is root, which runAsNonRoot refuses", file: { task: { runner: { securityContext: { runAsUser: 0 } } } } },
  {
    says: "neither a user nor a group in common",
    file: { task: { podSecurityContext: { fsGroup: null }, runner: { securityContext: { runAsUser: 2, runAsGroup: 2 } } } }
  },
  { says: "is there already", file: { task: { extraVolumes: [{ name: "a" }, { name: "a" }] } } },
  { says: "must be empty with the operator Exists", file: { task: { tolerations: [{ operator: "Exists", value: "a" }] } } },
  { says: "needs a key, or the operator Exists", file: { task: { tolerations: [{}] } } },
  { says: "needs the effect NoExecute", file: { task: { tolerations: [{ key: "a", tolerationSeconds: 1 }] } } },
  { says: "leaves no minute for a stage", file: { task: { job: { activeDeadlineSeconds: 1 } } } },
  { says: "needs nameservers", file: { task: { dnsPolicy: "None" } } },
  {
    says: "differs from that of another mirror",
    file: { agent: { providerNetworkMirrors: [{ url: "https://a/" }, { url: "https://a/b", tokenSecret: { name: "c" } }] } }
  },
  {
    says: "is given, and agent has provider mirrors",
    file: { agent: { providerFilesystemMirrors: [{ path: "/a" }] }, global: { extraEnv: { TF_CLI_CONFIG_FILE: "b" } } }
  },
  { says: "so that no node with a controller could ever be drained", file: { controller: { podDisruptionBudget: { enabled: true } } } },
  {
    says: "is given, and caBundleSecret too",
    file: { global: { tls: { caBundleConfigMap: { name: "a" }, caBundleSecret: { name: "b" } } } }
  }
]
const isAcrossKeys = (problem: string): boolean =>
  acrossKeys.some(({ says }) => problem.includes(says)) || /is given, and caBundle\w+ too/u.test(problem) ||
  /is given, and caBundleConfigMap and caBundleSecret too/u.test(problem)

describe("the JSON Schema of values", () => {
  const counts = { taken: 0, refused: 0 }
  it.prop(
    "agrees with the decoder on any file, and is the weaker one where keys contradict each other",
    [Arbitrary.schema(Tape)],
    ([tape]) => {
      const file = made(tape)
      const [byDecoder, bySchema] = [problems(file), matches(file)]
      counts[bySchema ? "taken" : "refused"]++
      const told = `${JSON.stringify(file)}\ndecoder: ${byDecoder.join("; ")}\nschema: ${JSON.stringify(matches.errors)}`
      if (bySchema) expect(byDecoder.filter((_) => !isAcrossKeys(_)), told).toEqual([])
      else expect(byDecoder, told).not.toEqual([])
    }
  )
  it("has seen enough files of both sorts to say so", () => expect(Math.min(counts.taken, counts.refused)).toBeGreaterThan(50))

  it.each(acrossKeys)("leaves to the decoder: $says", ({ file, says }) => {
    expect(matches(file)).toBe(true)
    expect(problems(file)).toEqual([expect.stringContaining(says)])
  })

  it.each([
    { given: "an empty file", file: null },
    { given: "a section taken away", file: { agent: null } },
    { given: "a key taken away", file: { controller: { resources: { limits: { cpu: null } } } } },
    {
      given: "a part of a default that needs the rest",
      file: { agent: { securityContext: { seccompProfile: { localhostProfile: "a" } } } }
    }
  ])("takes $given, as the decoder does", ({ file }) => expect([matches(file), problems(file)]).toEqual([true, []]))

  it.each([
    { given: "a key that nobody knows, also where it takes away", file: { agent: { tokn: null } } },
    { given: "what a default cannot do without, taken away", file: { agent: { securityContext: { seccompProfile: { type: null } } } } },
    { given: "null in a list", file: { task: { tolerations: [null] } } },
    { given: "a name that no label has, also where it takes away", file: { task: { nodeSelector: { "a b": null } } } }
  ])("refuses $given, as the decoder does", ({ file }) => expect([matches(file), problems(file).length]).toEqual([false, 1]))

  it("takes null for a key where the decoder does, and refuses it where that does", () => {
    const nested = ([first = "", ...rest]: ReadonlyArray<string>): object => ({ [first]: rest.length === 0 ? null : nested(rest) })
    const paths = valueKeys().flatMap(({ key }) => key.split(".").map((_, index, parts) => parts.slice(0, index + 1)))
    const taken = (takes: (file: object) => boolean) => paths.filter((path) => takes(nested(path))).map((_) => _.join("."))
    expect(taken((file) => matches(file))).toEqual(taken((file) => problems(file).length === 0))
  })

  it("has for each key of an editor's list a sentence, and for each choice its words", () => {
    const keys = (node: unknown, path: string): ReadonlyArray<string> =>
      !isTree(node) ? [] : "default" in node
        ? typeof node["description"] === "string" ? [] : [path]
        : Object.entries(isTree(node["properties"]) ? node["properties"] : {}).flatMap(([key, inner]) => keys(inner, `${path}.${key}`))
    expect(keys(document, "")).toEqual([])
    expect(JSON.stringify(document)).toContain(JSON.stringify({ enum: ["", "Always", "IfNotPresent", "Never", null] }).slice(1, -1))
  })
})
