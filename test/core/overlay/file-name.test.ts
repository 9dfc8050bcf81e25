// The file of an identity's account, whose name may be as long as Kubernetes takes it.
import { expect, it } from "@effect/vitest"
import { fileName } from "../../../src/core/overlay/file-name.ts"
import { configOf } from "../configs.ts"

const longest = 253
const names = ["network", "n".repeat(200), `${"n".repeat(longest - 1)}a`, `${"n".repeat(longest - 1)}b`]
const config = configOf({ task: { identities: names.map((name, index) => ({ name, workspaces: [`w${index}`] })) } })

it("has its name, or the beginning of a long one and what tells it apart, and room for the names of patches", () => {
  const files = names.map((name) => fileName({ kind: "ServiceAccount", metadata: { name } }, [], config))
  expect(files.slice(0, 2)).toEqual(["service-account-identity-network.yaml", `service-account-identity-${"n".repeat(200)}.yaml`])
  expect(new Set(files).size).toBe(names.length)
  expect(Math.max(...files.map((file) => `patch-${file}`.length))).toBeLessThanOrEqual(255)
})
