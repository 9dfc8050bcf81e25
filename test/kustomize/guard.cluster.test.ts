// An older CRD over a newer one, as a commit that is reverted or an old checkout brings it: what kustomize/guard says, and how it is allowed.
// The CRD and the policy have names of their own, so that they are beside those of the other tests.
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { established } from "../established.ts"
import { kubectl } from "./api-server.ts"

const policy = "agent-job-older-definition"
const suffix = randomBytes(4).toString("hex")
const group = `t${suffix}.test.agent-job.io`
const ours = (file: string): string =>
  readFileSync(file, "utf8")
    .replaceAll("atasks.scalr.io", `atasks.${group}`)
    .replaceAll("group: scalr.io", `group: ${group}`)
    .replaceAll(policy, `${policy}-${suffix}`)

const guard = ours("kustomize/guard/older-definition.yaml")
const newer = ours("kustomize/crd/crd.yaml")
const first = ours("test/gitops/crd-v0.yaml")
const titled = (fields: number): string => newer.replace(/title: \d+ fields/u, `title: ${fields} fields`)

const apply = (manifests: string, ...more: ReadonlyArray<string>): Promise<string> =>
  kubectl(["apply", "--server-side", "--force-conflicts", ...more, "-f", "-"], manifests)
const tried = (manifests: string): Promise<string> => apply(manifests, "--dry-run=server").catch(String)
const refusal = /put everything back but the CRD.* kubectl (annotate crd \S+ --overwrite scalr\.io\/replace-generation=\d+)$/mu

beforeAll(async () => {
  await apply(newer)
  for (const state of established) await kubectl(["wait", `--for=${state}`, "--timeout=300s", `crd/atasks.${group}`])
  await apply(guard)
})
afterAll(() => kubectl(["delete", "--ignore-not-found", "-f", "-"], `${guard}\n---\n${newer}`))

it("an older one is refused, whoever applies it and however, with what to do instead", async () => {
  await expect.poll(() => tried(first), { interval: 100, timeout: 300_000 }).toMatch(refusal) // a policy is in force within moments
  expect(await tried(titled(9))).toMatch(refusal)
  await expect(apply(first, "--field-manager=other")).rejects.toThrow(refusal)
  await expect(kubectl(["replace", "-f", "-"], first)).rejects.toThrow(refusal)
  await expect(kubectl(["apply", "-f", "-"], first)).rejects.toThrow(refusal)
})

it("the same one and a newer one are taken", async () => {
  for (const manifest of [newer, titled(1_000)]) expect(await tried(manifest)).toContain("serverside-applied")
})

it("an older one is taken after the command of the refusal, once: the newer one may come back, and is kept again", async () => {
  const [, command = ""] = refusal.exec(await tried(first)) ?? []
  await kubectl(command.split(" "))
  await apply(first)
  await apply(newer)
  expect(await tried(first)).toMatch(refusal)
})
